"""Array files: .npz with arrays by name, or .npy with one array. Pickled objects are never loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from longtail.facts.paths import regular

FEATURES = ("X", "features", "embeddings", "embedding", "images", "inputs", "data", "x")
CANDIDATES = "candidates"
LABELS = ("y", "labels", "targets", "label", "target", "Y")
"""Names of arrays. The first two are ours and have precedence; of the others a file must hold one alone."""
SUFFIXES = (".npz", ".npy")
ARRAYS = (b"\x93NUMPY", b"PK")
PICKLED = (b"\x80", *ARRAYS)
"""First bytes of a pickle, and of the array files that may hold pickled objects."""


def read(path: Path, label: str | None = None, group: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of a file under our names: X, y and, where declared, X_val, y_val, X_test, y_test, classes, group.

    Candidate sets (N, C) of truth values are called candidates, in place of y.

    Args:
        path: .npz or .npy.
        label: the file of the labels beside an .npy, or the array of labels in an .npz.
        group: the array of groups in an .npz.

    Raises:
        ValueError: not an array file, the expected arrays are missing or ambiguous, or it holds pickled objects.
    """
    regular(path)
    if path.suffix == ".npy":
        if group is not None:
            raise ValueError(f"group must be an array of an .npz, got {group!r} for {path.name}; save all in one .npz")
        return _read_npy(path, label)
    if path.suffix != ".npz":
        raise ValueError(
            f"data must be {' or '.join(SUFFIXES)}, got {str(path)!r}; save arrays with numpy.savez(path, X=X, y=y)"
        )
    return _read_npz(path, label, group)


def source_name(path: Path, part: str) -> str:
    """The name of an array of features as a source."""
    if path.suffix == ".npy":
        return path.name
    return f"{path.name}: X" + ("" if part == "train" else f"_{part}")


def array_names(path: Path) -> list[str]:
    """The names of the arrays of an .npz.

    Raises:
        ValueError: a file that cannot be read, or a single array.
    """
    with _opened(path) as loaded:
        names = None if isinstance(loaded, np.ndarray) else list(loaded.files)
    if names is None:
        raise ValueError(f"{path.name} is one array under the name of an archive; rename it to .npy")
    return names


def load_array(path: Path, name: str | None = None) -> np.ndarray:
    """The array of this name of an .npz, or that of an .npy.

    Raises:
        ValueError: a file that cannot be read, or pickled objects.
    """
    with _opened(path, "" if name is None else f", array {name},") as loaded:
        return np.asarray(loaded if name is None else loaded[name])


def find_array(names: Sequence[str], known: Sequence[str], path: Path) -> str | None:
    """The array that has one of the `known` names, or such a name with _train behind it; None where there is none.

    Raises:
        ValueError: several have one.
    """
    ours = [name for name in known[:2] if name in names]
    others = [name for name in known[2:] if name in names]
    training = [f"{name}_train" for name in known if f"{name}_train" in names]
    if not ours and len(others or training) > 1:
        raise ValueError(
            f"{path.name} must hold one array of {known[1]}, got {' and '.join(others or training)}; "
            f"save the one that is meant as {known[0]}"
        )
    return next(iter([*ours, *others, *training]), None)


def _read_npy(path: Path, label: str | None) -> dict[str, np.ndarray]:
    if label is None:
        raise ValueError(
            f"{path.name} holds features only; name the file of its labels with --label labels.npy, "
            "or save both in one .npz as X and y"
        )
    label_path = Path(label) if Path(label).exists() else path.parent / label
    if not label_path.exists():
        raise ValueError(f"label file {label!r} does not exist; check the path")
    return {"X": load_array(path), "y": load_array(regular(label_path, "label file"))}


def _read_npz(path: Path, label: str | None, group: str | None) -> dict[str, np.ndarray]:
    names = array_names(path)
    features, labels = find_array(names, FEATURES, path), label or find_array(names, LABELS, path)
    listed = ", ".join(names[:12])
    if CANDIDATES in names and label is None:
        if labels is not None and load_array(path, CANDIDATES).dtype == np.bool_:
            raise ValueError(
                f"{path.name} must hold one label a row or candidate sets, got {labels} and {CANDIDATES}; name one "
                "with label (--label), or save it alone"
            )
        labels = labels or CANDIDATES
    if features is None or labels is None:
        raise ValueError(
            f"{path.name} must hold X (or features) and y (or labels), got {listed or 'no arrays'}; "
            "save it with numpy.savez(path, X=X, y=y); embeddings, images, data and targets are understood, too"
        )
    inputs = load_array(path, features)
    if labels not in names:
        raise ValueError(f"label (--label) must be an array of {path.name}, got {label!r}; it holds {listed}")
    if group is not None and group not in names:
        raise ValueError(f"group must be an array of {path.name}, got {group!r}; save it beside X and y")
    sets = labels == CANDIDATES
    chosen = {CANDIDATES if sets else "y": labels, "classes": "classes", "sample_weight": "sample_weight"}
    chosen |= {} if group is None else {"group": group}
    for part in ("val", "test"):
        x, y = (name.removesuffix("_train") + f"_{part}" for name in (features, labels))
        if sets and y not in names:  # evaluated rows have one candidate, which is a label
            y = f"y_{part}"
        chosen |= {f"X_{part}": x, f"candidates_{part}" if y == f"candidates_{part}" else f"y_{part}": y}
        if (x in names) != (y in names):
            raise ValueError(
                f"{path.name} must declare both {x} and {y}, got only one of them; save the other or drop it"
            )
    return {"X": inputs, **{ours: load_array(path, name) for ours, name in chosen.items() if name in names}}


@contextmanager
def _opened(path: Path, where: str = "") -> Iterator[Any]:
    """What numpy loads from the file; any error in the block is one of reading it."""
    try:
        with open(path, "rb") as file:  # a file of our own: numpy does not close its own when the archive is damaged
            yield np.load(file, allow_pickle=False)
    except Exception as error:  # whatever a damaged file makes the readers raise
        raise ValueError(f"{path.name}{where} {_reason(path, error)}") from None


def _reason(path: Path, error: Exception) -> str:
    """Why numpy could not read the file, and the way out.

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
