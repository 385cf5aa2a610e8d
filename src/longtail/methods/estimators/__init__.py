"""scikit-learn's classifiers, trained and judged beside the networks."""

from longtail.methods.estimators.baselines import (
    logistic,
    logistic_cw,
    logistic_posthoc,
    trees,
    trees_cw,
    trees_posthoc,
)

__all__ = ["logistic", "logistic_cw", "logistic_posthoc", "trees", "trees_cw", "trees_posthoc"]
