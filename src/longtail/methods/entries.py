"""The entries of the catalogue: one line per method."""

from __future__ import annotations

from longtail.catalogue.alias import aliases_of
from longtail.catalogue.method import Builder
from longtail.methods.decoupling import classifiers, lengths, mislas, oltr, regularised
from longtail.methods.estimators import baselines as estimators
from longtail.methods.estimators import (
    decomposed,
    ensembles,
    forests,
    kernels,
    machines,
    neighbours,
    resampled,
    resampled_trees,
    thresholds,
)
from longtail.methods.estimators.entries import ESTIMATORS_BY_KEY
from longtail.methods.experts import bbn, ride
from longtail.methods.margins import angular, hinge, ldam, maximum, one_vs_rest
from longtail.methods.noisy import (
    bootstrap,
    cdr,
    coteaching,
    generalised,
    har,
    rcal,
    rolt,
    sel_cl,
    symmetric,
    transition,
)
from longtail.methods.partial import cavl, cc, corr, lw, proden, rc, records, solar
from longtail.methods.presets import CONTEXT as CONTEXT
from longtail.methods.presets import ESTIMATORS as ESTIMATORS
from longtail.methods.presets import FEATURES as FEATURES
from longtail.methods.presets import QUICK as QUICK
from longtail.methods.presets import SEARCHES as SEARCHES
from longtail.methods.presets import presets
from longtail.methods.pretrained import contrast, rotation
from longtail.methods.robust import abadam, decoupled
from longtail.methods.robust import weights as robust
from longtail.methods.selfsup import (
    bcl,
    byol,
    density,
    divided,
    focal_simclr,
    geometric,
    moclr,
    moco,
    random_encoder,
    sdclr,
    simclr,
    simsiam,
    supcon,
    temperature,
)
from longtail.methods.semi import abc, crest, darp, fixmatch, mixmatch, simpro
from longtail.methods.steps import l2rw, meta, mwn, rare, recover, sam
from longtail.methods.supervised import (
    class_means,
    deferral,
    deferred,
    fixed_frame,
    logit_adjustment,
    mixing,
    moved_thresholds,
    pairwise,
    plain,
    resampling,
    reweighting,
    smoothing,
)
from longtail.methods.supervised import vector_scaling as scaling
from longtail.methods.tuning import tuned

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
    "ce-threshold": moved_thresholds.ce_threshold,
    "logit-adjusted-threshold": moved_thresholds.logit_adjusted_threshold,
    "threshold-moving": moved_thresholds.threshold_moving,
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
    "gce": generalised.gce,
    "sce": symmetric.sce,
    "bootstrap": bootstrap.bootstrap,
    "forward": transition.forward,
    "co-teaching": coteaching.co_teaching,
    "cdr": cdr.cdr,
    "rolt": rolt.rolt,
    "rolt-drw": rolt.rolt_drw,
    "har": har.har,
    "har-drw": har.har_drw,
    "sel-cl": sel_cl.sel_cl,
    "sel-cl-plus": sel_cl.sel_cl_plus,
    "rcal": rcal.rcal,
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
    "ssp-contrast": contrast.ssp_contrast,
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
    "mixmatch": mixmatch.mixmatch,
    "remixmatch": mixmatch.remixmatch,
    "fixmatch": fixmatch.fixmatch,
    "darp": darp.darp,
    "abc": abc.abc,
    "crest": crest.crest,
    "crest-plus": crest.crest_plus,
    "simpro": simpro.simpro,
    "cc": cc.cc,
    "rc": rc.rc,
    "lw": lw.lw,
    "cavl": cavl.cavl,
    "proden": proden.proden,
    "corr": corr.corr,
    "solar": solar.solar,
    "records": records.records,
    "oracle-la": records.oracle_la,
    "simclr": simclr.simclr,
    "bcl": bcl.bcl,
    "focal-simclr": focal_simclr.focal_simclr,
    "moco": moco.moco,
    "moclr": moclr.moclr,
    "byol": byol.byol,
    "simsiam": simsiam.simsiam,
    "supcon": supcon.supcon,
    "sdclr": sdclr.sdclr,
    "ts": temperature.ts,
    "gh": geometric.gh,
    "dnc": divided.dnc,
    "rwsam": density.rwsam,
    "random-encoder": random_encoder.random_encoder,
    **ESTIMATORS_BY_KEY,
}
BASES = {
    "darp": ("fixmatch", "mixmatch", "remixmatch"),
    "abc": ("fixmatch", "remixmatch"),
    "crest": ("fixmatch",),
    "crest-plus": ("fixmatch",),
    "simpro": ("fixmatch",),
    "records": ("proden", "corr", "lw", "cavl"),
    "gh": ("simclr", "focal-simclr", "sdclr", "bcl", "dnc"),
}
"""Correction -> the bases over which it has a name of its own."""
for _key, _bases in BASES.items():
    CATALOG |= aliases_of(_key, _bases, CATALOG)
ALIASED = tuple(BASES)
"""Methods that are the same as one of their aliases; no preset has both."""

PRESETS = presets(CATALOG, ALIASED)
