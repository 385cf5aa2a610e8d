"""Arrays out of pickles: what NumPy, torch and Python 2 write is read; anything else is refused before it is called."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.facts.trusted.pickled_arrays import read_arrays

ARRAYS = {
    "clean_label": np.arange(12, dtype=np.int64) % 5,
    "small": np.array([[1, 2, 3], [4, 5, 255]], dtype=np.uint8),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "big endian": np.array([1, -2, 300], dtype=">i4"),
}


def write(path: Path, value: Any, kind: str) -> Path:
    if kind == "npy":
        np.save(path.with_suffix(".npy"), value, allow_pickle=True)
        return path.with_suffix(".npy")
    if kind == "pt":
        torch.save(value, path.with_suffix(".pt"))
        return path.with_suffix(".pt")
    path.write_bytes(pickle.dumps(value, protocol=2))
    return path


@pytest.mark.parametrize("kind", ["npy", "pt", "pickle"])
def test_arrays_are_read_as_they_were_written(kind: str, tmp_path: Path) -> None:
    found = read_arrays(write(tmp_path / "file", ARRAYS, kind))
    assert found.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        assert np.array_equal(found[name], value), name
        assert found[name].dtype == np.int64


def test_the_layout_of_cifars_own_files(tmp_path: Path) -> None:
    """Names in bytes, a list of labels, other values left out; "latin1" text stands for the bytes of Python 2."""
    value = {b"labels": [6, 9, 9], b"data": np.arange(9, dtype=np.uint8).reshape(3, 3), b"filenames": ["a", "b", "c"]}
    found = read_arrays(write(tmp_path / "data_batch_1", value, "pickle"))
    assert found["labels"].tolist() == [6, 9, 9]
    assert found["data"].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert "filenames" not in found


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    """Written by hand: there the content of an array is a str of bytes, here 200 and 7."""
    code = (
        b"\x80\x02}q\x00U\x01aq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b"
        b"\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89U\x02\xc8\x07tbs."
    )
    (tmp_path / "old").write_bytes(code)
    assert read_arrays(tmp_path / "old")["a"].tolist() == [200, 7]


class Runs:
    """A pickle that makes a folder where it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["npy", "pt", "pickle"])
def test_a_file_that_calls_anything_else_is_refused_and_nothing_is_called(kind: str, tmp_path: Path) -> None:
    file = write(tmp_path / "file", {"clean_label": Runs(tmp_path / "made")}, kind)
    with pytest.raises(ValueError, match=r"cannot be read as a dict of arrays \(it calls .*mkdir\); download it again"):
        read_arrays(file)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("value", "kind", "message"), [
    ({"a": torch.arange(3)}, "pt", "it calls torch"),
    ({"a": np.array([1.5])}, "npy", "integers alone are read"),
    ({"a": np.array(["x"], dtype=object)}, "npy", "an array of objects"),
    (np.arange(3), "npy", "it is one array of int64 and no dict"),
    ([1, 2], "pickle", "must hold a dict of arrays, got a ndarray"),
    ({"a": np.dtype("i8")}, "pickle", None),
])  # fmt: skip
def test_other_values_are_refused_or_left_out(value: Any, kind: str, message: str | None, tmp_path: Path) -> None:
    file = write(tmp_path / "file", value, kind)
    if message is None:
        assert read_arrays(file) == {}
        return
    with pytest.raises(ValueError) as refused:
        read_arrays(file)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x93NUMPY\x01", b"text", b"\x80\x02}q\x00"])
def test_damaged_files_are_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"^file cannot be read as a dict of arrays \(.*\); download it again"
    ) as refused:
        read_arrays(tmp_path / "file")
    assert "\n" not in str(refused.value)


def test_an_array_whose_content_does_not_fit_its_shape_is_refused(tmp_path: Path) -> None:
    good = pickle.dumps({"a": np.arange(4, dtype=np.uint8)}, protocol=2)
    assert good.count(b"K\x04\x85") == 1
    (tmp_path / "file").write_bytes(good.replace(b"K\x04\x85", b"K\x09\x85"))
    with pytest.raises(ValueError, match="cannot reshape"):
        read_arrays(tmp_path / "file")


def test_an_archive_without_a_pickle_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme", "x")
    (tmp_path / "file.pt").write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match="cannot be read as a dict of arrays"):
        read_arrays(tmp_path / "file.pt")
