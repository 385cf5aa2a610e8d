"""What the class counts alone tell: the imbalance, what can be measured, what to try and why."""

from __future__ import annotations

from typing import Any

from longtail.counts import imbalance_ratio
from longtail.data import Splits
from longtail.groups import groups
from longtail.metrics import wilson

FEW_TESTS = 10
"""Below so many test examples the 95 % interval of a recall is more than 40 points wide at its middle."""


def inspection(splits: Splits) -> dict[str, Any]:
    """Counts, ratio, groups and findings, each finding with its reason."""
    counts = splits.class_counts
    numbers = counts.tolist()
    ratio = imbalance_ratio(counts)
    found = groups(numbers)
    total = sum(numbers)
    return {
        "name": splits.name,
        "hash": splits.hash,
        "classes": list(splits.classes),
        "class_counts": numbers,
        "test_counts": splits.test.class_counts.tolist(),
        "val_counts": None if splits.val is None else splits.val.class_counts.tolist(),
        "imbalance_ratio": ratio,
        "gini": gini(numbers),
        "groups": {
            "rule": found.rule,
            **{g: _names(splits, getattr(found, g)) for g in ("many", "medium", "few")},
        },
        "headline": f"{splits.name}: {total} training examples, {len(numbers)} classes of {max(numbers)} to "
        f"{min(numbers)}, imbalance ratio {ratio:.4g}",
        "findings": [*_measurable(splits), *_advice(splits, ratio)],
    }


def _names(splits: Splits, indices: Any) -> list[str] | None:
    return None if indices is None else [splits.classes[int(j)] for j in indices]


def gini(counts: list[int]) -> float:
    """Gini coefficient of the class sizes: 0 when all are equal, 1 - 1/C when one class has everything."""
    ordered, size = sorted(counts), len(counts)
    weighted = sum((2 * i - size - 1) * n for i, n in enumerate(ordered, start=1))
    return weighted / (size * sum(ordered))


def _measurable(splits: Splits) -> list[str]:
    tested = splits.test.class_counts.tolist()
    findings = list(splits.notes)
    small = [j for j, n in enumerate(tested) if 0 < n < FEW_TESTS]
    if small:
        worst = min(small, key=lambda j: tested[j])
        low, high = wilson(round(tested[worst] / 2), tested[worst])
        findings.append(
            f"{plural(len(small))} fewer than {FEW_TESTS} test examples: a recall of one half measured on the "
            f"{tested[worst]} of {splits.classes[worst]!r} could be anything from {100 * float(low):.0f} to "
            f"{100 * float(high):.0f} %"
        )
    single = [splits.classes[j] for j, n in enumerate(splits.class_counts.tolist()) if n == 1]
    if single:
        findings.append(f"{plural(len(single))} a single training example: {', '.join(single[:5])}")
    return findings


def plural(count: int) -> str:
    """As in "1 class has" and "2 classes have"."""
    return f"{count} class has" if count == 1 else f"{count} classes have"


def _advice(splits: Splits, ratio: float) -> list[str]:
    if ratio < 2:
        return ["try ce alone first: the classes are nearly equal, so re-balancing has little to correct"]
    advice = [
        "try logit-adjusted-posthoc first: it needs no retraining and is consistent for balanced accuracy",
        "try longtail compare with --methods quick: which re-balancing helps differs from data to data",
    ]
    if splits.val is None:
        advice.append("add --val 0.2 to have the strength of the correction chosen on your data (ce-threshold)")
    return advice
