"""Read embeddings to use in place of pixels: an .npz with X (N, D) and the image files of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.array_files import FEATURES, SUFFIXES, array_names, find_array, load_array
from longtail.data.read.images.file_tree import listed_order
from longtail.facts.paths import regular


def features_of(path: str | Path, names: Sequence[str]) -> Tensor:
    """Return (N, D) float32, one row per name.

    Args:
        path: .npz with X (N, D) and `files`, the N relative paths; or X alone (or an .npy), with its rows in
            the sorted order of the relative paths.
        names: the relative paths of the images, sorted.

    Raises:
        ValueError: no such file, pickled objects, another shape, NaN, a file that is listed and absent or present and
            not listed.
    """
    X, files = stored(path)
    where = f"features {Path(path).name!r}"
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise ValueError(f"{where} must hold numbers X of shape (N, D), got {X.dtype} {X.shape}; reshape them")
    if files is None and len(X) != len(names):
        raise ValueError(
            f"{where} must have one row per image, got {len(X)} rows for {len(names)} images; "
            "save the relative paths of the rows beside X as files"
        )
    if files is not None and len(X) != len(files):
        raise ValueError(
            f"{where} must name one file per row, got {len(files)} files for {len(X)} rows; save both again"
        )
    order = slice(None) if files is None else listed_order(where, files, names)
    wide = np.ascontiguousarray(X[order], dtype=np.float32)
    broken = np.flatnonzero(~np.isfinite(wide).all(axis=1))
    if len(broken):
        raise ValueError(f"{where} must be finite, got NaN or infinity for {names[int(broken[0])]!r}; compute it again")
    return torch.from_numpy(wide)


def stored(path: str | Path) -> tuple[np.ndarray, list[str] | None]:
    """Return X (or embeddings, ...) of an .npz with its `files`, if any, or the array of an .npy; no pickles."""
    path = Path(path)
    if path.suffix not in SUFFIXES or not path.exists():
        what = "does not exist" if not path.exists() else "is neither .npz nor .npy"
        raise ValueError(f"features {str(path)!r} {what}; save them with numpy.savez(path, X=X, files=relative_paths)")
    regular(path, "features")
    if path.suffix == ".npy":
        return load_array(path), None
    names = array_names(path)
    features = find_array(names, FEATURES, path)
    if features is None:
        raise ValueError(f"features {path.name!r} must hold an array X, and files beside it; save it again")
    if "files" not in names:
        return load_array(path, features), None
    return load_array(path, features), [str(f).replace("\\", "/") for f in load_array(path, "files").ravel().tolist()]
