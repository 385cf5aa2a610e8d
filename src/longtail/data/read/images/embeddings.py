"""Embeddings computed elsewhere, in place of pixels: an .npz with X (N, D) and the files its rows belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.array_files import FEATURES, SUFFIXES, array_names, find_array, load_array
from longtail.data.read.images.file_tree import listed
from longtail.facts.paths import regular


def features_of(path: str | Path, names: Sequence[str]) -> Tensor:
    """(N, D) float32, one row per name.

    Args:
        path: .npz with X (N, D) and `files`, the N relative paths; or X alone (or an .npy), whose rows then stand in
            the sorted order of the relative paths.
        names: the relative paths of the images, sorted.

    Raises:
        ValueError: no such file, pickled objects, another shape, NaN, a file that is listed and not there or there
            and not listed.
    """
    X, files = stored(path)
    where = f"features {Path(path).name!r}"
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise ValueError(f"{where} must hold numbers X of shape (N, D), got {X.dtype} {X.shape}; reshape them")
    if files is None:
        if len(X) != len(names):
            raise ValueError(
                f"{where} must have one row per image, got {len(X)} rows for {len(names)} images; "
                "save the relative paths of the rows beside X as files"
            )
        order = np.arange(len(names))
    else:
        order = _order(files, names, len(X), where)
    wide = np.ascontiguousarray(X[order], dtype=np.float32)
    broken = np.flatnonzero(~np.isfinite(wide).all(axis=1))
    if len(broken):
        raise ValueError(f"{where} must be finite, got NaN or infinity for {names[int(broken[0])]!r}; compute it again")
    return torch.from_numpy(wide)


def _order(files: list[str], names: Sequence[str], rows: int, where: str) -> np.ndarray:
    """The row of X for every name."""
    if len(files) != rows:
        raise ValueError(f"{where} must name one file per row, got {len(files)} files for {rows} rows; save both again")
    place = {name: row for row, name in enumerate(files)}
    if len(place) < len(files):
        twice = next(name for row, name in enumerate(files) if place[name] != row)
        raise ValueError(f"{where} names {twice!r} twice; keep one row per image")
    there = set(names)
    absent, unlisted = [f for f in files if f not in there], [n for n in names if n not in place]
    if absent:
        raise ValueError(f"{where} names {listed(absent)}, not among the images; remove the rows or restore the files")
    if unlisted:
        raise ValueError(f"{where} does not name {listed(unlisted)}; compute their rows too or move the images away")
    return np.array([place[name] for name in names])


def stored(path: str | Path) -> tuple[np.ndarray, list[str] | None]:
    """X (or embeddings, ...) of an .npz with its `files` where it has them, or the array of an .npy; no pickles."""
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
