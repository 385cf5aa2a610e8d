"""The menu: one line per method. A new method is one leaf file, one line here and one test."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import entry_points

from longtail.methods import (
    abadam,
    decoupled,
    deferred,
    estimators,
    ldam,
    logit_adjustment,
    plain,
    resampling,
    reweighting,
    robust,
)
from longtail.methods.definition import Method

Builder = Callable[..., Method]
log = logging.getLogger(__name__)

CATALOG: dict[str, Builder] = {
    "ce": plain.ce,
    "sigmoid-ce": plain.sigmoid_ce,
    "focal": plain.focal,
    "cb-ce": reweighting.cb_ce,
    "cb-focal": reweighting.cb_focal,
    "cb-rs": resampling.cb_rs,
    "sqrt-rs": resampling.sqrt_rs,
    "ce-drw": deferred.ce_drw,
    "ce-drs": deferred.ce_drs,
    "focal-drw": deferred.focal_drw,
    "ldam": ldam.ldam,
    "ldam-drw": ldam.ldam_drw,
    "logit-adjusted": logit_adjustment.logit_adjusted,
    "logit-adjusted-posthoc": logit_adjustment.logit_adjusted_posthoc,
    "balanced-softmax": logit_adjustment.balanced_softmax,
    "ce-threshold": logit_adjustment.ce_threshold,
    "absgd": robust.absgd,
    "absgd-decoupled": decoupled.absgd_decoupled,
    "abadam": abadam.abadam,
    "term": robust.term,
    "eg": robust.eg,
    "small-loss": robust.small_loss,
    "logistic": estimators.logistic,
    "logistic-cw": estimators.logistic_cw,
    "logistic-posthoc": estimators.logistic_posthoc,
    "trees": estimators.trees,
    "trees-cw": estimators.trees_cw,
    "trees-posthoc": estimators.trees_posthoc,
}

QUICK = (
    "ce", "focal", "cb-focal", "cb-rs", "ce-drw", "ce-drs", "ldam-drw", "logit-adjusted", "logit-adjusted-posthoc",
)  # fmt: skip
ESTIMATORS = ("logistic", "logistic-cw", "logistic-posthoc", "trees", "trees-cw", "trees-posthoc")
"""scikit-learn's classifiers; for a table they join the presets of `WITH_ESTIMATORS`."""
PRESETS: dict[str, tuple[str, ...]] = {
    "quick": QUICK,
    "all": tuple(key for key in CATALOG if key not in ESTIMATORS),
    "estimators": ESTIMATORS,
}
WITH_ESTIMATORS = ("quick", "all")

ENTRY_POINTS = "longtail.methods"
"""Other packages add methods here: `key = "package.module:builder"`, a builder like those above."""


def catalogue() -> dict[str, Builder]:
    """Our methods and those that installed packages add; no package can take a name that is taken.

    Raises:
        ValueError: two methods under one name.
    """
    found = dict(CATALOG)
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in found:
            whose = "of one of ours" if point.name in CATALOG else "that another package uses"
            raise ValueError(f"method {point.name!r} of {point.value} has the name {whose}; rename its entry point")
        try:
            found[point.name] = point.load()
        except Exception as error:  # whatever a package of somebody else raises must not stop ours
            log.warning("method %r of %s cannot be loaded (%s) and is left out", point.name, point.value, error)
    return found
