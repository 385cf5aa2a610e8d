"""The presets: which methods a comparison has where none is named."""

from __future__ import annotations

from longtail.catalogue.choose import Presets
from longtail.catalogue.method import Builders
from longtail.catalogue.tasks import PARTIAL, SELF_SUPERVISED, SEMI_SUPERVISED, SUPERVISED

QUICK = {
    SUPERVISED: (
        "ce", "focal", "cb-focal", "cb-rs", "ce-drw", "ce-drs", "ldam-drw", "logit-adjusted", "logit-adjusted-posthoc",
    ),
    SEMI_SUPERVISED: ("fixmatch", "fixmatch-darp", "fixmatch-abc", "fixmatch-simpro"),
    PARTIAL: ("cc", "proden", "proden-records"),
    SELF_SUPERVISED: ("simclr", "moco", "byol"),
}  # fmt: skip
"""Task -> its methods in the preset quick; a comparison takes those of its own task."""
ESTIMATORS = ("logistic", "logistic-cw", "logistic-posthoc", "trees", "trees-cw", "trees-posthoc")
"""scikit-learn's classifiers; for a table they are added to the presets of the networks."""
ESTIMATOR_THRESHOLDS = ("logistic-threshold", "trees-threshold")
"""Added with them where there is a validation part."""
CLASSICAL = (
    *(
        f"{one}{kind}"
        for one in ("forest", "knn", "svm", "kernel-logistic")
        for kind in ("", "-cw", "-posthoc", "-threshold")
    ),
    "plugin", "logistic-cog", "logistic-cog-os",
    *(
        f"{one}-{how}"
        for one in ("logistic", "trees")
        for how in ("smote", "borderline-smote", "over", "under", "smote-under")
    ),
    "balanced-forest", "easy-ensemble", "rusboost", "self-paced",
)  # fmt: skip
"""Further classifiers on rows of numbers; the preset classical has them all."""
PRACTICE = (
    "trees", "trees-threshold", "forest-posthoc", "balanced-forest", "easy-ensemble", "logistic-smote", "ce",
    "logit-adjusted",
)  # fmt: skip
"""What a practitioner tries first; on embeddings also the preset features."""
CONTEXT = ("oracle", "oracle-la", "random-encoder")
"""Methods that are shown beside others; no preset has them."""
SEARCHES = ("ce-tuned", "tuned")
"""Methods that are several trainings each."""
GIVEN_COSTS = ("threshold-moving",)
"""Methods whose costs are the user's to give; no preset has them."""
NOISY = (
    "ce", "gce", "gce(k=0.5)", "sce", "bootstrap", "bootstrap(hard=True)", "forward", "small-loss", "co-teaching",
    "cdr", "eg(tau=switch(0.666, inf, 1))", "absgd(lam=switch(0.666, inf, -1))", "crt", "mislas", "har", "har-drw",
    "rolt", "rolt-drw", "rcal", "sel-cl", "sel-cl-plus",
)  # fmt: skip
"""What learns from wrong labels, and two-stage methods that are published beside it."""
FEATURES = "features"
"""The preset for embeddings: classifiers on the features as they are, by a linear model (`comparison.prepare`)."""
ON_FEATURES = (
    "lift-head", "logit-adjusted", "logit-adjusted-posthoc", "tau-norm", "ncm", "maxnorm", "los", "logistic",
)  # fmt: skip


def presets(catalogue: Builders, aliased: tuple[str, ...]) -> Presets:
    """Return the presets.

    Args:
        catalogue: all methods.
        aliased: those that are the same as one of their aliases; no preset has both.
    """
    beside = (*ESTIMATORS, *ESTIMATOR_THRESHOLDS, *CLASSICAL, *CONTEXT, *GIVEN_COSTS, *aliased, "tuned")
    return Presets(
        {
            "quick": tuple(key for keys in QUICK.values() for key in keys if key in catalogue),
            "all": tuple(key for key in catalogue if key not in beside),
            "noisy": NOISY,
            "estimators": ESTIMATORS,
            "classical": tuple(key for key in CLASSICAL if key in catalogue),
            "practice": tuple(key for key in PRACTICE if key in catalogue),
            FEATURES: ON_FEATURES,
        },
        extended=("quick", "all"),
        with_val=("ce-threshold",),
        with_table=(*ESTIMATORS, *ESTIMATOR_THRESHOLDS),
        on_embeddings={"practice": ON_FEATURES},
    )  # fmt: skip
