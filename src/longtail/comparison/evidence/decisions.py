"""What the runs of a comparison decided, example by example, each run's rows in one order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from longtail.metrics.rates import Floats

Labels = NDArray[np.int64]


def decisions_of(
    folders: Mapping[str, Mapping[int, Path]],
) -> tuple[dict[str, dict[int, Labels]], Labels, Floats | None]:
    """Predicted classes (M,) per method and seed, true classes (M,), and the rows' weights where they have any.

    Rows are paired by their place in the file, which is ascending by index with folds, whatever the order of testing.

    Raises:
        ValueError: runs that tested other rows.
    """
    found: dict[str, dict[int, Labels]] = {}
    shared: tuple[Labels, Labels, Floats | None] | None = None
    for method, seeds in folders.items():
        found[method] = {}
        for seed, folder in seeds.items():
            decided, index, targets, weight = _read(folder)
            if shared is None:
                shared = (index, targets, weight)
            if not (_same_rows(index, shared[0]) and np.array_equal(targets, shared[1])):
                raise ValueError(f"{folder} tested other rows than the other runs; delete it and run the same again")
            found[method][seed] = decided
    assert shared is not None
    return found, shared[1], shared[2]


def _read(folder: Path) -> tuple[Labels, Labels, Labels, Floats | None]:
    arrays = load_file(folder / "predictions.safetensors")
    decided = arrays.get("adjusted_scores", arrays["scores"]).argmax(1)
    weight = arrays.get("sample_weight")
    return (
        decided.astype(np.int64),
        arrays["index"],
        arrays["targets"].astype(np.int64),
        None if weight is None else weight.astype(np.float64),
    )


def _same_rows(index: Labels, other: Labels) -> bool:
    """Whether two runs tested the same rows; one that an older version left only counted them."""
    counted = np.arange(len(index))
    return np.array_equal(index, other) or (
        len(index) == len(other) and (np.array_equal(index, counted) or np.array_equal(other, counted))
    )
