"""A file is written whole or not at all, and what killed processes left half-written is removed."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path

import pytest

from longtail.facts import files


def test_bytes_text_and_json_are_written_as_they_are(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a", b"\r\n\xff")
    files.write_text(tmp_path / "b", "ä\r\n")
    files.write_json(tmp_path / "c", {"b": 1, "a": [0.1]})
    assert (tmp_path / "a").read_bytes() == b"\r\n\xff"
    assert (tmp_path / "b").read_bytes() == "ä\r\n".encode()
    assert (tmp_path / "c").read_text() == '{\n  "b": 1,\n  "a": [\n    0.1\n  ]\n}\n'
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    files.write_bytes(path, b"old")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        files.write_bytes(path, b"new")
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_whatever_stops_a_write_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "state"
    files.write_bytes(path, b"old")

    def stopped() -> None:
        with files.replacing(path) as temporary:
            temporary.write_bytes(b"half")
            assert path.read_bytes() == b"old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_have_two_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with files.replacing(path) as one, files.replacing(path) as other:
        assert one != other
        one.write_bytes(b"1")
        other.write_bytes(b"2")
    assert path.read_bytes() == b"1"


def test_a_folder_that_does_not_exist_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "file"
    with pytest.raises(FileNotFoundError) as error:
        files.write_text(path, "x")
    assert error.value.filename == str(path)


def test_json_is_strict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": math.nan})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shared", [False, True])
def test_unfinished_files_are_removed_and_young_ones_of_a_shared_folder_stay(tmp_path: Path, shared: bool) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "stages" / "aa").mkdir(parents=True)
    (tmp_path / "ce" / "seed-0").mkdir(parents=True)
    folders = [tmp_path, tmp_path / "checkpoint", tmp_path / "stages" / "aa"]
    old, young = ([folder / f"{name}.tmp" for folder in folders] for name in ("old", "young"))
    others = [tmp_path / "ce" / "seed-0" / "of-another.tmp", tmp_path / "run.json"]
    for path in (*old, *young, *others):
        path.write_bytes(b"half")
    for path in old:
        os.utime(path, (0, 0))
    files.remove_unfinished(tmp_path, shared=shared)
    assert not any(path.exists() for path in old)
    assert all(path.exists() is shared for path in young)
    assert all(path.exists() for path in others)


def test_checksums_are_sha256(tmp_path: Path) -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "x").write_bytes(b"abc")
    assert files.file_checksum(tmp_path / "x") == expected
    assert files.checksum(b"abc") == files.checksum(b"a", memoryview(b"bc")) == expected
    text = b'{"a": [1, 2.5], "b": null}'
    assert files.json_checksum({"b": None, "a": (1, 2.5)}) == hashlib.sha256(text).hexdigest()


def test_torch_is_not_imported() -> None:
    assert "torch" not in Path(files.__file__).read_text().replace("No torch", "")
