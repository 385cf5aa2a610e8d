"""Means and standard deviations over seeds, of scores and of what the probes of encoders measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.comparison.plan import Plan
from longtail.data.label_kinds import count_classes
from longtail.learners.probe_protocols import OURS, differences


def numbers(values: list[Any]) -> np.ndarray:
    """Return values of runs as an array; None becomes NaN."""
    return np.array(values, dtype=float)


def mean(values: np.ndarray) -> float | None:
    """Return the mean over seeds; None where a value is missing."""
    return None if np.isnan(values).any() else float(values.mean())


def std(values: np.ndarray) -> float | None:
    """Return the standard deviation over seeds; None for one seed or where a value is missing."""
    return None if len(values) < 2 or np.isnan(values).any() else float(values.std(ddof=1))


def probe_protocols(plan: Plan) -> dict[str, Any]:
    """Return the probe of the verdict and the protocol of each, of a self-supervised comparison."""
    if plan.task != SELF_SUPERVISED:
        return {}
    counts = count_classes(plan.splits.train.targets, len(plan.splits.classes), None)
    full = counts
    if (cut := plan.splits.cut_rows) is not None:
        full = counts + count_classes(cut.targets, len(plan.splits.classes), None)
    protocols = {}
    for probe in plan.recipe.probes:
        notes = [probe.note((full if probe.full else counts).tolist())]
        if probe.views and getattr(plan.splits.train, "augment", None) is None:
            notes.append("rows of this kind have no such augmentation")
        said = ", ".join(note for note in notes if note is not None)
        protocols[probe.name] = probe.protocol + (f" ({said})" if said else "")
    return {
        "probe": plan.recipe.probe,
        "probes": protocols,
        **({} if plan.recipe.protocol == OURS else {"protocol": differences(plan.recipe.protocol)}),
    }


def encoder_statistics(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what runs say of their encoder, `probes` and `features`, over seeds; {} where they say nothing."""
    return {**probe_statistics(runs), **feature_statistics(runs)}


def feature_statistics(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds of what was measured of the features; {} where nothing was."""
    if not all("features" in run for run in runs):
        return {}
    names = [name for name in runs[0]["features"] if name != "spread"]
    table = {name: numbers([run["features"][name] for run in runs]) for name in names}
    classes = numbers([run["features"]["spread"] for run in runs]).T
    return {
        "features": {
            "mean": {**{name: mean(values) for name, values in table.items()}, "spread": [mean(c) for c in classes]},
            "std": {name: std(values) for name, values in table.items()},
        }
    }


def probe_statistics(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds of what each probe measured; {} for methods without probes."""
    if not all("probes" in run for run in runs):
        return {}
    statistics: dict[str, Any] = {}
    for probe, first in runs[0]["probes"].items():
        table = {name: numbers([run["probes"][probe][name] for run in runs]) for name in first}
        statistics[probe] = {
            "mean": {name: mean(values) for name, values in table.items()},
            "std": {name: std(values) for name, values in table.items()},
        }
    return {"probes": statistics}
