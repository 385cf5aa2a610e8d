"""Embed new rows: the features of a trained network, as `--features` reads them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from longtail.data.prepare import new_rows
from longtail.facts import files
from longtail.runs.predictor import Predictor

SUFFIX = ".npz"


@dataclass(frozen=True)
class Embeddings:
    """X (N, D) float32, with the names of the rows (paths of images), or None where they are numbered.

    `skipped` says of rows that could not be read why they have no embedding; they are neither in X nor in `names`.
    """

    X: Tensor
    names: tuple[str, ...] | None = None
    skipped: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.X)

    def write(self, path: Path) -> None:
        """Write an .npz with X and, where the rows have names, files."""
        buffer, X = io.BytesIO(), self.X.numpy()
        if self.names is None:
            np.savez(buffer, X=X)
        else:
            np.savez(buffer, X=X, files=np.array(self.names, dtype=np.str_))
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, buffer.getvalue())


def embed(predictor: Predictor, data: Any, *, skip_bad: bool = False) -> Embeddings:
    """Return the features that enter the network's classifier, one row each.

    Args:
        predictor: the trained model.
        data: raw rows; see `Predictor.prepared`.
        skip_bad: leave out images that cannot be decoded.

    Raises:
        ValueError: data that do not fit the model, or a model without features (scikit-learn's classifiers).
    """
    read = new_rows.read(data, predictor.preparation, skip_bad=skip_bad)
    X = predictor.features(read.inputs).cpu()
    named = read.names
    names = None if named is None else tuple(name for i, name in enumerate(named) if i not in read.skipped)
    skipped = {str(i) if named is None else named[i]: why for i, why in read.skipped.items()}
    return Embeddings(X, names, skipped)
