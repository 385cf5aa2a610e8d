"""Arrays of integers out of a pickle, without unpickling anything else.

Data sets such as CIFAR and CIFAR-N are distributed as pickles of dicts of arrays. The names that such a pickle may call
are few; each stands here for a class of ours that only records what it is given, so that nothing of NumPy, torch or any
other package is called by a file. Any other name is refused before it is imported.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from longtail.facts.paths import regular

INTEGERS = {"u1": 1, "i1": 1, "u2": 2, "i2": 2, "u4": 4, "i4": 4, "u8": 8, "i8": 8}
"""Codes of the data types that are read, and their bytes."""
ORDERS = {"<": "<", ">": ">", "|": "<", "=": "="}
DEEPEST = 3
"""An .npy of a dict is an array that holds a dict of arrays."""
MOST_BYTES = 1 << 30
ZIPPED, NUMPY = b"PK", b"\x93NUMPY"


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays and lists of integers of a pickled dict by name; its other values are left out.

    Args:
        path: a pickle as such (CIFAR's own files), in an .npy as `numpy.save` writes a dict, or in a .pt as
            `torch.save` does. Names in bytes become text.

    Raises:
        ValueError: the file cannot be read, is none of these, or calls for anything but arrays.
    """
    file = regular(path)
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file.name} must have at most {MOST_BYTES:,} bytes to be read as a dict of arrays")
    try:
        found = _plain(_ArraysOnly(io.BytesIO(_pickle_of(file)), encoding="latin1").load())
    except Exception as error:  # whatever a damaged or foreign pickle makes the reader raise
        raise ValueError(
            f"{file.name} cannot be read as a dict of arrays ({_reason(error)}); download it again, or save its arrays "
            "with numpy.savez"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} must hold a dict of arrays, got a {type(found).__name__}; check the file")
    return {str(name): value for name, value in found.items() if isinstance(value, np.ndarray)}


def _pickle_of(file: Path) -> bytes:
    """The bytes of the pickle that a file holds or is."""
    data = file.read_bytes()
    if data.startswith(ZIPPED):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (member,) = [one for one in archive.infolist() if one.filename.split("/")[-1] == "data.pkl"]
            if member.file_size > MOST_BYTES:
                raise ValueError("its pickle is too large")
            return archive.read(member)
    if data.startswith(NUMPY):
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(stream)
        if shape != () or not kind.hasobject:
            raise ValueError(f"it is one array of {kind} and no dict")
        return stream.read()
    return data


class _Array:
    """An array that a pickle describes; `value` once it is known."""

    value: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Kind):
            raise ValueError("an array without a data type")
        if kind.code == "O8":
            if shape != ():
                raise ValueError("an array of objects")
            (self.value,) = content
            return
        if kind.code not in INTEGERS:
            raise ValueError(f"an array of {kind.code[:9]!r}, and integers alone are read")
        raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
        flat = np.frombuffer(raw, dtype=ORDERS[kind.order] + kind.code)
        self.value = flat.reshape(tuple(map(int, shape)), order="F" if fortran else "C").astype(np.int64)


class _Kind:
    """A data type that a pickle describes: its code, such as "i8", and its byte order."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])


def _array(*_: Any) -> _Array:
    return _Array()


def _bytes(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"text in the encoding {encoding[:20]!r}")
    return text.encode("latin1")


KNOWN: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _bytes,
}
"""The names that a pickle of arrays calls, and what stands for each."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name."""
        if (module, name) not in KNOWN:
            raise ValueError(f"it calls {module}.{name}"[:80])
        return KNOWN[module, name]

    def persistent_load(self, _: Any) -> Any:
        """Refuse what a .pt stores beside its pickle."""
        raise ValueError("it holds tensors")


def _plain(value: Any, depth: int = 0) -> Any:
    """Return dicts, arrays and lists of integers as such; anything else is None."""
    if isinstance(value, _Array):
        return _plain(value.value, depth + 1) if depth < DEEPEST else None
    if isinstance(value, dict):
        return {_text(name): _plain(one, depth + 1) for name, one in value.items()} if depth < DEEPEST else None
    if isinstance(value, list) and all(type(one) is int for one in value):
        return np.array(value, dtype=np.int64)
    return value if isinstance(value, np.ndarray) else None


def _text(name: Any) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:80]
