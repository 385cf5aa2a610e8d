"""Means and standard deviations over seeds, of scores and of what the probes of encoders measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.comparison.plan import Plan
from longtail.learners.probes import PROBES


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
    return {"probe": plan.recipe.probe, "probes": {name: probe.protocol for name, probe in PROBES.items()}}


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
