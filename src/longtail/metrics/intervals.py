"""The Wilson score interval, which stands among the facts: data that say what they can measure need it too."""

from longtail.facts.intervals import wilson

__all__ = ["wilson"]
