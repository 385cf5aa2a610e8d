"""The registry: one line per method. A new method is one leaf file, one line here and one test."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

from longtail.catalogue.choose import Presets, choose
from longtail.catalogue.describe import explanation, method_rows
from longtail.catalogue.method import Builder, Builders, Method
from longtail.catalogue.resolve import resolve
from longtail.catalogue.tasks import PARTIAL, SELF_SUPERVISED, SEMI_SUPERVISED, SUPERVISED, TASKS
from longtail.data import Part, TrainingSet
from longtail.engine import Recipe
from longtail.methods.decoupling import classifiers, lengths, mislas, oltr, regularised
from longtail.methods.estimators import baselines as estimators
from longtail.methods.experts import bbn, ride
from longtail.methods.margins import angular, hinge, ldam, maximum, one_vs_rest
from longtail.methods.partial import cc, proden
from longtail.methods.pretrained import rotation
from longtail.methods.robust import abadam, decoupled
from longtail.methods.robust import weights as robust
from longtail.methods.selfsup import random_encoder, simclr
from longtail.methods.semi import fixmatch
from longtail.methods.steps import l2rw, meta, mwn, rare, recover, sam
from longtail.methods.supervised import (
    class_means,
    deferral,
    deferred,
    fixed_frame,
    logit_adjustment,
    mixing,
    pairwise,
    plain,
    resampling,
    reweighting,
    smoothing,
)
from longtail.methods.supervised import vector_scaling as scaling
from longtail.methods.tuning import tuned

log = logging.getLogger(__name__)

CATALOG: dict[str, Builder] = {
    "ce": plain.ce,
    "ce-tuned": tuned.ce_tuned,
    "oracle": plain.oracle,
    "sigmoid-ce": plain.sigmoid_ce,
    "focal": plain.focal,
    "cb-ce": reweighting.cb_ce,
    "cb-focal": reweighting.cb_focal,
    "inverse-ce": reweighting.inverse_ce,
    "sqrt-ce": reweighting.sqrt_ce,
    "influence-balanced": reweighting.influence_balanced,
    "label-smoothing": smoothing.label_smoothing,
    "label-aware-smoothing": smoothing.label_aware_smoothing,
    "seql": smoothing.seql,
    "cb-rs": resampling.cb_rs,
    "sqrt-rs": resampling.sqrt_rs,
    "progressive-rs": resampling.progressive_rs,
    "class-aware-rs": resampling.class_aware_rs,
    "reversed-rs": resampling.reversed_rs,
    "under-rs": resampling.under_rs,
    "over-rs": resampling.over_rs,
    "ce-drw": deferred.ce_drw,
    "ce-drs": deferred.ce_drs,
    "focal-drw": deferred.focal_drw,
    "drw": deferral.drw,
    "drs": deferral.drs,
    "sqrt-drs": deferral.sqrt_drs,
    "progressive-drs": deferral.progressive_drs,
    "mixup": mixing.mixup,
    "manifold-mixup": mixing.manifold_mixup,
    "remix": mixing.remix,
    "ldam": ldam.ldam,
    "ldam-drw": ldam.ldam_drw,
    "m-drw": ldam.m_drw,
    "ldam-hg": hinge.ldam_hg,
    "hg-drs": hinge.hg_drs,
    "ldam-hg-drs": hinge.ldam_hg_drs,
    "mm": maximum.mm,
    "mm-drw": maximum.mm_drw,
    "mm-ldam-drw": maximum.mm_ldam_drw,
    "l-softmax": angular.l_softmax,
    "hinge": one_vs_rest.hinge,
    "ls-svm": one_vs_rest.ls_svm,
    "logit-adjusted": logit_adjustment.logit_adjusted,
    "logit-adjusted-posthoc": logit_adjustment.logit_adjusted_posthoc,
    "balanced-softmax": logit_adjustment.balanced_softmax,
    "balanced-softmax-drw": logit_adjustment.balanced_softmax_drw,
    "lift-head": class_means.lift_head,
    "ce-threshold": logit_adjustment.ce_threshold,
    "logit-adjusted-threshold": logit_adjustment.logit_adjusted_threshold,
    "adaptive": pairwise.adaptive,
    "equalised": pairwise.equalised,
    "logit-adjusted-adaptive": pairwise.logit_adjusted_adaptive,
    "cdt": scaling.cdt,
    "cdt-drw": scaling.cdt_drw,
    "vs": scaling.vs,
    "vs-tla-adrw": scaling.vs_tla_adrw,
    "absgd": robust.absgd,
    "absgd-decoupled": decoupled.absgd_decoupled,
    "abadam": abadam.abadam,
    "term": robust.term,
    "eg": robust.eg,
    "small-loss": robust.small_loss,
    "etf-dr": fixed_frame.etf_dr,
    "crt": classifiers.crt,
    "ncm": classifiers.ncm,
    "lws": lengths.lws,
    "tau-norm": lengths.tau_norm,
    "maxnorm": regularised.maxnorm,
    "los": regularised.los,
    "mislas": mislas.mislas,
    "oltr": oltr.oltr,
    "tuned": tuned.tuned,
    "ssp": rotation.ssp,
    "recover": recover.recover,
    "sam": sam.sam,
    "asam": sam.asam,
    "imbsam": rare.imbsam,
    "sam-a": rare.sam_a,
    "l2rw": l2rw.l2rw,
    "mwn": mwn.mwn,
    "meta": meta.meta,
    "bbn": bbn.bbn,
    "ride": ride.ride,
    "fixmatch": fixmatch.fixmatch,
    "cc": cc.cc,
    "proden": proden.proden,
    "simclr": simclr.simclr,
    "random-encoder": random_encoder.random_encoder,
    "logistic": estimators.logistic,
    "logistic-cw": estimators.logistic_cw,
    "logistic-posthoc": estimators.logistic_posthoc,
    "trees": estimators.trees,
    "trees-cw": estimators.trees_cw,
    "trees-posthoc": estimators.trees_posthoc,
}

QUICK = {
    SUPERVISED: (
        "ce", "focal", "cb-focal", "cb-rs", "ce-drw", "ce-drs", "ldam-drw", "logit-adjusted", "logit-adjusted-posthoc",
    ),
    SEMI_SUPERVISED: ("fixmatch",),
    PARTIAL: ("cc", "proden"),
    SELF_SUPERVISED: ("simclr",),
}  # fmt: skip
"""Task -> its methods in the preset quick; a comparison takes those of its own task."""
ESTIMATORS = ("logistic", "logistic-cw", "logistic-posthoc", "trees", "trees-cw", "trees-posthoc")
"""scikit-learn's classifiers; for a table they are added to the presets of the networks."""
CONTEXT = ("oracle", "random-encoder")
"""Methods that are shown beside others; no preset has them."""
SEARCHES = ("ce-tuned", "tuned")
"""Methods that are several trainings each."""
FEATURES = "features"
"""The preset for embeddings: classifiers on the features as they are, by a linear model (`comparison.prepare`)."""
PRESETS = Presets(
    {
        "quick": tuple(key for keys in QUICK.values() for key in keys if key in CATALOG),
        "all": tuple(key for key in CATALOG if key not in (*ESTIMATORS, *CONTEXT, "tuned")),
        "estimators": ESTIMATORS,
        FEATURES: (
            "lift-head",
            "logit-adjusted",
            "logit-adjusted-posthoc",
            "tau-norm",
            "ncm",
            "maxnorm",
            "los",
            "logistic",
        ),
    },
    extended=("quick", "all"),
    with_val=("ce-threshold",),
    with_table=ESTIMATORS,
)

ENTRY_POINTS = "longtail.methods"
"""Other packages add methods here: `key = "package.module:builder"`, a builder like those above."""


def catalogue() -> Builders:
    """Return our methods and those that installed packages add, each under a name of its own.

    Raises:
        ValueError: two methods under one name.
    """
    builders = dict(CATALOG)
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in builders:
            whose = "of one of ours" if point.name in CATALOG else "that another package uses"
            raise ValueError(f"method {point.name!r} of {point.value} has the name {whose}; rename its entry point")
        try:
            builders[point.name] = point.load()
        except Exception as error:  # an error in another package must not stop this one
            log.warning("method %r of %s cannot be loaded (%s) and is left out", point.name, point.value, error)
    return builders


def method(spec: str | Method) -> Method:
    """Return the method that a spec string names, such as "ldam-drw(scale=20)"; see `resolve`."""
    return resolve(spec, catalogue())


def methods(
    asked: str | Iterable[str | Method] = "quick",
    *,
    val: bool = False,
    table: bool = False,
    task: str | None = None,
    data: TrainingSet | Part | None = None,
    truth: bool = False,
    recipe: Recipe | None = None,
) -> list[Method]:
    """The methods of a comparison, each once, in the order asked; see `choose`."""
    return choose(asked, catalogue(), PRESETS, val=val, table=table, task=task, data=data, truth=truth, recipe=recipe)


def added(task: str, baseline: Method | None = None, *, truth: bool = False) -> list[Method]:
    """Return the methods that every comparison of a task has: its reference first, then those shown as context.

    Args:
        task: of the comparison.
        baseline: the reference in place of the task's own.
        truth: whether true labels are known where labels are missing or sets, for context methods that need them.

    Raises:
        ValueError: one of them is not in the catalogue.
    """
    builders = catalogue()
    keys = (*(() if baseline else (TASKS[task].reference,)), *TASKS[task].always_shown)
    if missing := [key for key in keys if key not in builders]:
        raise ValueError(
            f"{task} methods are compared with {missing[0]!r}, which is not among the methods; install a package that "
            f"adds it by the entry points {ENTRY_POINTS}, or train each method by itself"
        )
    always = [one for one in (resolve(key, builders) for key in keys) if truth or not one.needs_truth]
    return [*([baseline] if baseline else []), *always]


def overview(task: str | None = None) -> list[dict[str, Any]]:
    """Return what `longtail methods` prints: one dict per method."""
    return method_rows(catalogue(), PRESETS, task)


def explained(name: str) -> dict[str, Any]:
    """Return what `longtail explain` prints about one method."""
    return explanation(name, catalogue(), PRESETS)
