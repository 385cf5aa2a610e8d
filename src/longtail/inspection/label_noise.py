"""How many given labels are wrong, class by class, where the clean ones are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from longtail.data import Splits, transition_matrix
from longtail.data.simulate.noise import noise_of
from longtail.data.true_labels import known_labels


def label_noise(splits: Splits) -> dict[str, Any] | None:
    """Return the noise of the training labels; None where the clean ones are unknown, or none is wrong or asked for.

    `noise`: as it was asked for, None of labels that people gave. `rows`: labelled training rows, `wrong` ones among
    them, and their `rate`, with the `expected_rate` over all draws (None where a cut came after the noise, and without
    `noise`). `classes`, in the order of the classes: rows whose `true` class it is, rows with this class `given`; of
    the given ones how many are `wrong`, their `share_wrong` (None of none) and where they come `from` (true class ->
    rows, the most first); of the true ones how many are `lost` to other classes.
    """
    labels, noise = known_labels(splits), splits.facts.get("noise")
    if labels is None or (noise is None and not bool(labels.wrong.any())):
        return None
    given, truth, moved = (values.numpy() for values in labels)
    names, size = splits.classes, len(splits.classes)
    true, now = (np.bincount(values, minlength=size) for values in (truth, given))
    wrong, lost = (np.bincount(values[moved], minlength=size) for values in (given, truth))
    return {
        "noise": noise,
        "rows": len(given),
        "wrong": int(moved.sum()),
        "rate": float(moved.mean()),
        "expected_rate": None if noise is None else _expected(noise, true, names),
        "classes": [
            {
                "class": name,
                "true": int(true[j]),
                "given": int(now[j]),
                "wrong": int(wrong[j]),
                "share_wrong": float(wrong[j] / now[j]) if now[j] else None,
                "from": _origins(truth[moved & (given == j)], names),
                "lost": int(lost[j]),
            }
            for j, name in enumerate(names)
        ],
    }


def _expected(noise: str, true: np.ndarray, classes: Sequence[str]) -> float | None:
    if noise_of(noise).first:
        return None
    kept = transition_matrix(noise, torch.from_numpy(true), classes=classes).diagonal().numpy()
    return float(1 - (true * kept).sum() / true.sum())


def _origins(truth: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(truth, minlength=len(classes))
    return {classes[j]: int(counts[j]) for j in np.argsort(-counts, kind="stable") if counts[j]}
