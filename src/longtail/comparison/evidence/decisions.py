"""Load the predicted classes of every run of a comparison, with the test rows in one order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from longtail.metrics.rates import Floats

Labels = NDArray[np.int64]


def load_decisions(
    folders: Mapping[str, Mapping[int, Path]], judged: Mapping[str, Any] | None = None
) -> tuple[dict[str, dict[int, Any]], Labels, Floats | None]:
    """Return predicted classes (M,) per method and seed, true classes (M,), and row weights (M,) or None.

    ``judged``: by folder what stands in place of the predicted classes, such as `Judged`.

    Rows are paired by their position in the file, which with cross-validation folds is ascending by index.

    Raises:
        ValueError: runs that tested other rows.
    """
    predictions: dict[str, dict[int, Any]] = {}
    shared: tuple[Labels, Labels, Floats | None] | None = None
    for method, seeds in folders.items():
        predictions[method] = {}
        for seed, folder in seeds.items():
            predicted, index, targets, weight = _read(folder)
            if shared is None:
                shared = (index, targets, weight)
            if not (_same_rows(index, shared[0]) and np.array_equal(targets, shared[1])):
                raise ValueError(f"{folder} tested other rows than the other runs; delete it and run the same again")
            predictions[method][seed] = (judged or {}).get(str(folder), predicted)
    assert shared is not None
    return predictions, shared[1], shared[2]


def _read(folder: Path) -> tuple[Labels, Labels, Labels, Floats | None]:
    arrays = load_file(folder / "predictions.safetensors")
    predicted = arrays.get("adjusted_scores", arrays["scores"]).argmax(1)
    weight = arrays.get("sample_weight")
    return (
        predicted.astype(np.int64),
        arrays["index"],
        arrays["targets"].astype(np.int64),
        None if weight is None else weight.astype(np.float64),
    )


def _same_rows(index: Labels, other: Labels) -> bool:
    """Whether two runs tested the same rows; older versions wrote 0 to M - 1 in place of the index."""
    counted = np.arange(len(index))
    return np.array_equal(index, other) or (
        len(index) == len(other) and (np.array_equal(index, counted) or np.array_equal(other, counted))
    )
