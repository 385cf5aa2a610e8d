"""The dict that ``evaluate`` returns, from sums over rows and from what only all rows together tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from longtail.metrics import intervals, rate_slopes
from longtail.metrics.correlation import matthews
from longtail.metrics.ranking import Areas
from longtail.metrics.rates import (
    Floats,
    balanced_accuracy,
    f1,
    g_mean,
    macro_f1,
    macro_precision,
    mean_of_defined,
    ratio,
    weighted_f1,
)
from longtail.metrics.rows import Counts, Labels

if TYPE_CHECKING:
    from longtail.metrics.tally import Tally

__all__ = ["Decided", "of"]

Ends = tuple[float, float]
UNKNOWN = (np.nan, np.nan)


@dataclass(frozen=True)
class Decided:
    """True classes, decisions and weights of all rows, (N,) each."""

    targets: Labels
    classes: Labels
    weight: Floats

    def variance(self, metric: str, n: Counts) -> float:
        """Return the first-order variance of a metric of decisions."""
        return float(self.weight @ rate_slopes.of_rows(rate_slopes.SLOPES[metric](n), self.targets, self.classes) ** 2)


def of(tally: Tally, decided: Decided | None, areas: Areas | None) -> dict[str, Any]:
    """Return numbers, intervals and lists per class; None for what the rows would tell, where they are not given."""
    n = tally.counts
    total = float(n.support.sum())
    if total <= 0.0:
        raise ValueError(f"the test examples must have a positive total weight, got {total}; add some first")
    each = _per_class(n, areas, total)
    members = {name: list(group) for name, group in tally.groups._asdict().items() if name != "rule"}
    values = _of_decisions(n, each, members) | _of_probabilities(tally, total, areas)
    ends = _ends_of_decisions(n, each, members, total, values, decided) | _ends_of_probabilities(
        tally, total, values, each, areas
    )
    if tally.cost is not None:
        values["cost"] = float(tally.losses[0, 2] / total)
        ends["cost"] = _cost_ends(tally, values["cost"], total)
    if tally.positive is not None:
        for name in ("recall", "precision", "f1", "average_precision", "roc_auc"):
            low, high = ("low", "high") if name == "recall" else (f"{name}_low", f"{name}_high")
            values[f"positive_{name}"] = float(each[name][tally.positive])
            ends[f"positive_{name}"] = float(each[low][tally.positive]), float(each[high][tally.positive])
    per_class: dict[str, Any] = {name: _numbers(found) for name, found in each.items()}
    per_class["n"] = _numbers(n.support) if tally.weighted else n.support.astype(int).tolist()
    return {
        **{name: _number(value) for name, value in values.items()},
        "groups": tally.groups.rule,
        "intervals": {name: None if np.isnan(a) else [float(a), float(b)] for name, (a, b) in ends.items()},
        "per_class": per_class,
    }


def _per_class(n: Counts, areas: Areas | None, total: float) -> dict[str, Floats]:
    hits, support, predicted = n.hits, n.support, n.predicted
    found = {"recall": ratio(hits, support), "n": support}
    found["low"], found["high"] = intervals.wilson(np.minimum(hits, support), support)
    found["precision"] = ratio(hits, predicted)
    found["precision_low"], found["precision_high"] = intervals.precision_ends(hits, predicted)
    found["f1"] = f1(hits, support, predicted)
    found["f1_low"], found["f1_high"] = intervals.f1_ends(hits, support, predicted)
    unknown = np.full(len(hits), np.nan)
    for name in ("average_precision", "roc_auc"):
        value = unknown if areas is None else getattr(areas, name)
        variance = unknown if areas is None else getattr(areas, f"{name}_variance")
        found[name] = value
        others = total - support if name == "roc_auc" else None
        found[f"{name}_low"], found[f"{name}_high"] = intervals.area_ends(value, variance, support, others)
    if areas is not None:  # see there: too high on average, so that the lower end is about what is too low
        found["average_precision_low"], _ = intervals.area_ends(
            areas.others_precision, areas.average_precision_variance, support, None
        )
    return found


def _of_decisions(n: Counts, each: dict[str, Floats], members: dict[str, list[int]]) -> dict[str, float]:
    hits, support, predicted = n.hits, n.support, n.predicted
    return {
        "accuracy": float(hits.sum() / support.sum()),
        "balanced_accuracy": float(balanced_accuracy(hits, support)),
        "macro_f1": float(macro_f1(hits, support, predicted)),
        "weighted_f1": float(weighted_f1(hits, support, predicted)),
        "precision": float(macro_precision(hits, support, predicted)),
        "mcc": matthews(hits, support, predicted),
        "g_mean": float(g_mean(hits, support)),
        **{name: float(mean_of_defined(each["recall"][group])) for name, group in members.items()},
        "worst_class": float(np.nanmin(each["recall"])),
    }


def _of_probabilities(tally: Tally, total: float, areas: Areas | None) -> dict[str, float]:
    return {
        "average_precision": np.nan if areas is None else areas.mean_average_precision,
        "roc_auc": np.nan if areas is None else areas.mean_roc_auc,
        "log_loss": float(tally.losses[0, 0] / total),
        "brier": float(tally.losses[0, 1] / total),
        "ece": float(np.abs(tally.gaps[0]).sum() / total),
        "classwise_ece": float(np.abs(tally.class_gaps[0]).sum() / (total * tally.num_classes)),
    }


def _ends_of_decisions(
    n: Counts,
    each: dict[str, Floats],
    members: dict[str, list[int]],
    total: float,
    values: dict[str, float],
    decided: Decided | None,
) -> dict[str, Ends]:
    recall, low, high = each["recall"], each["low"], each["high"]
    right = float(n.hits.sum())
    of_accuracy = intervals.wilson(min(right, total), total)
    found: dict[str, Ends] = {
        "accuracy": (float(of_accuracy[0]), float(of_accuracy[1])),
        "balanced_accuracy": intervals.mean_ends(recall, low, high),
        **dict.fromkeys(("macro_f1", "weighted_f1", "precision", "mcc"), UNKNOWN),
        "g_mean": intervals.geometric_mean_ends(recall, low, high, n.support),
        **{name: intervals.mean_ends(recall[g], low[g], high[g]) for name, g in members.items()},
        "worst_class": intervals.worst_ends(n.hits, n.support),
    }
    if decided is None:
        return found
    shared = intervals.common_factor(
        decided.variance("macro_f1", n), intervals.f1_variances(n.hits, n.support, n.predicted)
    )
    found["macro_f1"] = intervals.mean_ends(each["f1"], each["f1_low"], each["f1_high"], shared)
    shared = intervals.common_factor(
        decided.variance("precision", n), intervals.precision_variances(n.hits, n.predicted)
    )
    unused = (n.support > 0) & (n.predicted == 0)  # 0 in the mean, though it may be anything
    lowest, highest = (
        [np.where(unused, bound, each[f"precision{end}"]) for end in ("", "_low", "_high")] for bound in (0.0, 1.0)
    )
    found["precision"] = (
        intervals.mean_ends(lowest[0], lowest[1], lowest[2], shared)[0],
        intervals.mean_ends(highest[0], highest[1], highest[2], shared)[1],
    )
    found["weighted_f1"] = intervals.of_rows(values["weighted_f1"], decided.variance("weighted_f1", n), total)
    found["mcc"] = intervals.correlation_ends(values["mcc"], decided.variance("mcc", n), n)
    return found


def _ends_of_probabilities(
    tally: Tally, total: float, values: dict[str, float], each: dict[str, Floats], areas: Areas | None
) -> dict[str, Ends]:
    found: dict[str, Ends] = {}
    for name in ("average_precision", "roc_auc"):
        found[name] = UNKNOWN
        if areas is not None:
            slope, variances = getattr(areas, f"{name}_slope"), getattr(areas, f"{name}_variance")
            shared = intervals.common_factor(float(areas.weight @ slope**2), variances)
            low, high = each[f"{name}_low"], each[f"{name}_high"]
            found[name] = intervals.mean_ends(each[name], low, high, shared)
            if name == "average_precision":
                found[name] = intervals.mean_ends(areas.others_precision, low, high, shared)[0], found[name][1]
    squares = tally.losses[1] / total
    found["log_loss"] = intervals.of_positive_mean(values["log_loss"], squares[0], total)
    highest = 1.0 if tally.num_classes == 2 else 2.0
    found["brier"] = _between(values["brier"], squares[1], total, 0.0, highest)
    found["ece"] = intervals.of_absolute_sum(values["ece"], tally.gaps[1] / total**2)
    by_class = [intervals.of_absolute_sum(0.0, row)[1] for row in tally.class_gaps[1] / total**2]
    half = float(np.mean(by_class))
    found["classwise_ece"] = max(values["classwise_ece"] - half, 0.0), min(values["classwise_ece"] + half, 1.0)
    return found


def _cost_ends(tally: Tally, value: float, total: float) -> Ends:
    assert tally.cost is not None
    return _between(value, float(tally.losses[1, 2] / total), total, float(tally.cost.min()), float(tally.cost.max()))


def _between(value: float, squares: float, total: float, lowest: float, highest: float) -> Ends:
    """Return the interval of a mean of numbers in [lowest, highest], from its mean square."""
    if highest <= lowest:
        return value, value
    span = highest - lowest
    variance = max(squares - value**2, 0.0) / total
    low, high = intervals.of_rows((value - lowest) / span, variance / span**2, total)
    return lowest + span * low, lowest + span * high


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _numbers(values: Floats) -> list[float | None]:
    return [_number(value) for value in values]
