"""Every supervised method as a scikit-learn classifier."""

from longtail.classifier.classifier import LongTailClassifier

__all__ = ["LongTailClassifier"]
