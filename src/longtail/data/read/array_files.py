"""Array files: .npz with features and labels, or .npy beside a label file. Pickled objects are never loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from longtail.facts.paths import regular

FEATURES = ("X", "features", "embeddings", "embedding", "images", "inputs", "data", "x")
LABELS = ("y", "labels", "targets", "label", "target", "Y")
"""What arrays are called. The first two are ours and come first; of the others a file must hold one alone."""
SUFFIXES = (".npz", ".npy")
ARRAYS = (b"\x93NUMPY", b"PK")
PICKLED = (b"\x80", *ARRAYS)
"""How a pickle and the array files that may hold pickled objects begin."""


def read(path: Path, label: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of a file under our names: X, y and, where declared, X_val, y_val, X_test, y_test, classes.

    Args:
        path: .npz or .npy.
        label: the file of the labels beside an .npy, or the array of labels in an .npz.

    Raises:
        ValueError: not an array file, the expected arrays are missing or may be several, or it holds pickled objects.
    """
    if not path.exists():
        raise ValueError(f"data file {str(path)!r} does not exist; check the path")
    if path.suffix == ".npy":
        return _read_npy(path, label)
    if path.suffix != ".npz":
        raise ValueError(
            f"data must be {' or '.join(SUFFIXES)}, got {str(path)!r}; save arrays with numpy.savez(path, X=X, y=y)"
        )
    return _read_npz(path, label)


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
    return {"X": _load(path), "y": _load(regular(label_path, "label file"))}


def _read_npz(path: Path, label: str | None) -> dict[str, np.ndarray]:
    # a file of our own: numpy leaves its handle open when the archive is damaged
    with _file(path) as file, _opened(file, path) as archive:
        found = list(archive.files)
        features, labels = named(found, FEATURES, path), label or named(found, LABELS, path)
        if features is None or labels is None:
            raise ValueError(
                f"{path.name} must hold X (or features) and y (or labels), got {', '.join(found[:12]) or 'no arrays'}; "
                "save it with numpy.savez(path, X=X, y=y); embeddings, images, data and targets are understood, too"
            )
        inputs = _array(archive, features, path)
        if labels not in found:
            held = ", ".join(found[:12])
            raise ValueError(f"label (--label) must be an array of {path.name}, got {label!r}; it holds {held}")
        names = {labels: "y", "classes": "classes", "sample_weight": "sample_weight"}
        for part in ("val", "test"):
            x, y = (name.removesuffix("_train") + f"_{part}" for name in (features, labels))
            names |= {x: f"X_{part}", y: f"y_{part}"}
            if (x in found) != (y in found):
                raise ValueError(
                    f"{path.name} must declare both {x} and {y}, got only one of them; save the other or drop it"
                )
        rest = {ours: _array(archive, theirs, path) for theirs, ours in names.items() if theirs in found}
        return {"X": inputs, **rest}


class SeveralError(ValueError):
    """More than one array of a file may be meant."""


def named(found: Sequence[str], known: Sequence[str], path: Path) -> str | None:
    """The array that is called one of the `known` names, or so with _train behind it; None where there is none.

    Raises:
        SeveralError: several are.
    """
    ours = [name for name in known[:2] if name in found]
    theirs = [name for name in known[2:] if name in found]
    apart = [f"{name}_train" for name in known if f"{name}_train" in found]
    if not ours and len(theirs or apart) > 1:
        raise SeveralError(
            f"{path.name} must hold one array of {known[1]}, got {' and '.join(theirs or apart)}; "
            f"save the one that is meant as {known[0]}"
        )
    return next(iter([*ours, *theirs, *apart]), None)


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
