"""Array files: .npz with features and labels, or .npy beside a label file. Pickled objects are never loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

FEATURES = ("X", "features")
LABELS = ("y", "labels")
SUFFIXES = (".npz", ".npy")
ARRAYS = (b"\x93NUMPY", b"PK")
PICKLED = (b"\x80", *ARRAYS)
"""How a pickle and the array files that may hold pickled objects begin."""


def read(path: Path, label: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of a file under our names: X, y and, where declared, X_val, y_val, X_test, y_test, classes.

    Raises:
        ValueError: not an array file, the expected arrays are missing, or it holds pickled objects.
    """
    if not path.exists():
        raise ValueError(f"data file {str(path)!r} does not exist; check the path")
    if path.suffix == ".npy":
        return _read_npy(path, label)
    if path.suffix != ".npz":
        raise ValueError(
            f"data must be {' or '.join(SUFFIXES)}, got {str(path)!r}; save arrays with numpy.savez(path, X=X, y=y)"
        )
    return _read_npz(path)


def array_name(path: Path, part: str) -> str:
    """What an array of features is called as a source."""
    if path.suffix == ".npy":
        return path.name
    return f"{path.name}: X" + ("" if part == "train" else f"_{part}")


def _read_npy(path: Path, label: str | None) -> dict[str, np.ndarray]:
    if label is None:
        raise ValueError(
            f"{path.name} holds features only; name the file of its labels with --label labels.npy, "
            "or save both in one .npz as X and y"
        )
    label_path = Path(label) if Path(label).exists() else path.parent / label
    if not label_path.exists():
        raise ValueError(f"label file {label!r} does not exist; check the path")
    return {"X": _load(path), "y": _load(label_path)}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    # a file of our own: numpy leaves its handle open when the archive is damaged
    with _file(path) as file, _opened(file, path) as archive:
        found = list(archive.files)
        features = next((n for n in FEATURES if n in found), None)
        labels = next((n for n in LABELS if n in found), None)
        if features is None or labels is None:
            raise ValueError(
                f"{path.name} must hold X (or features) and y (or labels), got {', '.join(found) or 'no arrays'}; "
                "save it with numpy.savez(path, X=X, y=y)"
            )
        names = {features: "X", labels: "y", "classes": "classes", "sample_weight": "sample_weight"}
        for part in ("val", "test"):
            names |= {f"{features}_{part}": f"X_{part}", f"{labels}_{part}": f"y_{part}"}
            if (f"{features}_{part}" in found) != (f"{labels}_{part}" in found):
                raise ValueError(
                    f"{path.name} must declare both {features}_{part} and {labels}_{part}, got only one of them; "
                    "save the other or drop it"
                )
        return {ours: _array(archive, theirs, path) for theirs, ours in names.items() if theirs in found}


def _file(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise ValueError(f"{path.name} {unreadable(path, error)}") from None


def _opened(file: BinaryIO, path: Path) -> Any:
    try:
        archive = np.load(file, allow_pickle=False)
    except Exception as error:  # whatever a damaged file makes the readers raise
        raise ValueError(f"{path.name} {unreadable(path, error)}") from None
    if isinstance(archive, np.ndarray):
        raise ValueError(f"{path.name} is one array under the name of an archive; rename it to .npy")
    return archive


def _array(archive: Any, name: str, path: Path) -> np.ndarray:
    try:
        return np.asarray(archive[name])
    except Exception as error:  # whatever a damaged file makes the readers raise
        raise ValueError(f"{path.name}, array {name}, {unreadable(path, error)}") from None


def _load(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise ValueError(f"{path.name} {unreadable(path, error)}") from None


def unreadable(path: Path, error: Exception) -> str:
    """Why a file, of which numpy raised this error, is not read, and the way out.

    In our words: numpy takes whatever has no magic bytes, a text file too, for a pickle, and advises to load it.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be read ({error.strerror}); check its permissions"
    with open(path, "rb") as file:
        begins = file.read(6)
    if "pickle" in str(error).lower() and begins.startswith(PICKLED):
        return (
            "holds pickled objects, which are refused (loading them runs code); "
            "save plain numbers or strings, for example numpy.savez(path, X=X.astype('float32'), y=y.astype(str))"
        )
    what = "empty, 0 bytes" if not begins else "damaged or cut short"
    if begins and not begins.startswith(ARRAYS):
        what = "it does not begin as one does"
    return f"cannot be read as an array file ({what}); save it again with numpy"
