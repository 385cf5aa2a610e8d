"""JSON of ours is read strictly, and a changed document is noticed, whatever the change."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from tests.cases import cases

from longtail.facts import json_documents
from longtail.facts.json_documents import DamagedError, OutdatedError, Rule

WRONG = {
    "nothing": (b"", "is damaged"),
    "half": (b'{"a": 1', "is damaged"),
    "a list": (b"[]", "a list where an object belongs"),
    "a number": (b"3", "a int where an object belongs"),
    "null": (b"null", "a NoneType where an object belongs"),
    "deep lists": (b"[" * 100_000, "brackets nested too deep"),
    "deep objects": (b'{"a":' * 100_000, "brackets nested too deep"),
    "not UTF-8": (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "NaN": (b'{"a": NaN}', "NaN is no number"),
    "infinity": (b'{"a": -Infinity}', "-Infinity is no number"),
    "too large": (b'{"a": 1e999}', "1e999 is too large for a float"),
    "many digits": (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
    "a name twice": (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' occurs twice"),
    "a long name twice": (b'{"' + b"n" * 9000 + b'": 1, "' + b"n" * 9000 + b'": 2}', "occurs twice"),
    "zeros": (bytes(64), "is damaged"),
}


@cases(("content", "told"), WRONG.values(), ids=WRONG.keys())
def test_whatever_is_no_object_is_one_short_line_with_the_way_out(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DamagedError) as found:
        json_documents.read(path, "make it anew")
    line = str(found.value)
    assert told in line
    assert line.startswith(f"{path} is damaged (")
    assert line.endswith("; make it anew")
    assert "\n" not in line
    assert len(line) < 300


def test_a_missing_file_is_said_to_be() -> None:
    for reader in (json_documents.read, json_documents.read_lines):
        with pytest.raises(DamagedError, match=r"^gone.json is missing; make it anew$"):
            reader(Path("gone.json"), "make it anew")


def test_of_lines_the_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert json_documents.read_lines(path, "") == [{"a": 1}, {"a": 2}]
    for line, told in (
        ("[]", "line 2: a list where an object belongs"),
        ("NaN", "line 2: NaN is no number"),
        ("", "line 2: Expecting"),
    ):
        path.write_text(f'{{"a": 1}}\n{line}\n{{"a": 2}}\n')
        with pytest.raises(DamagedError, match=told):
            json_documents.read_lines(path, "")


SOUND: dict[str, Any] = {"schema_version": 2, "name": "ä\udcff", "seeds": [0, 1], "inner": {"seconds": 1.5, "x": None}}
RULES: dict[str, Rule] = {
    "name": str, "seeds": json_documents.is_list_of(int), "inner.seconds": json_documents.is_amount, "inner.more?": str,
}  # fmt: skip


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


class TestASeal:
    def test_leaves_what_was_written(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x.json", json_documents.sealed(SOUND))
        assert json_documents.read_sealed(path, 2, RULES, "") == SOUND

    def test_tells_of_every_change_of_a_character(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x.json", json_documents.sealed(SOUND))
        whole = path.read_bytes()
        for i in range(len(whole)):
            path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
            with pytest.raises(DamagedError):
                json_documents.read_sealed(path, 2, RULES, "")

    def test_taken_away_is_an_old_document_only_under_an_old_version(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x.json", SOUND)
        with pytest.raises(DamagedError, match="its checksum is off") as found:
            json_documents.read_sealed(path, 2, RULES, "")
        assert not isinstance(found.value, OutdatedError)
        written(path, {**SOUND, "schema_version": 1})
        with pytest.raises(OutdatedError, match="was written by an older version of longtail, without checksums"):
            json_documents.read_sealed(path, 2, RULES, "")

    def test_of_a_newer_version_is_no_damage(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x.json", json_documents.sealed({**SOUND, "schema_version": 3}))
        with pytest.raises(ValueError, match="written by a newer version of longtail; update longtail") as found:
            json_documents.read_sealed(path, 2, RULES, "")
        assert not isinstance(found.value, DamagedError)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"name": 3}, "name cannot be 3"),
            ({"name": True}, "name cannot be True"),
            ({"seeds": [0, "1"]}, "seeds cannot be"),
            ({"seeds": [0, True]}, "seeds cannot be"),
            ({"inner": []}, "it has no inner.seconds"),
            ({"inner": {"seconds": -1}}, "inner.seconds cannot be -1"),
            ({"inner": {"seconds": 1, "more": 2}}, "inner.more cannot be 2"),
            ({"schema_version": True}, "schema_version cannot be True"),
            ({"schema_version": None}, "schema_version cannot be None"),
        ],
    )
    def test_does_not_make_a_misfit_fit(self, tmp_path: Path, change: dict[str, Any], told: str) -> None:
        path = written(tmp_path / "x.json", json_documents.sealed({**SOUND, **change}))
        with pytest.raises(DamagedError, match=told):
            json_documents.read_sealed(path, 2, RULES, "")


def test_an_amount_is_a_finite_number_from_0_on() -> None:
    assert all(map(json_documents.is_amount, (0, 1.5, 10**20)))
    assert not any(map(json_documents.is_amount, (-1, math.inf, math.nan, True, "1", None)))


def test_the_checksum_is_of_everything_but_the_seal() -> None:
    document = {"b": [1, 2.5, "ä\ud800"], "a": {"y": None, "x": (True,)}, "c": {10: 1, 9: 2}}
    same = {"c": {"9": 2, "10": 1}, "a": {"x": [True], "y": None}, "b": [1, 2.5, "ä\ud800"], "sha256": 0}
    assert json_documents.checksum(document) == json_documents.checksum(same)
    assert json_documents.checksum(document) != json_documents.checksum({**document, "b": [2.5, 1, "ä\ud800"]})


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")
    for reader in (json_documents.read, json_documents.read_lines):
        with pytest.raises(DamagedError, match="no regular file"):
            reader(tmp_path / "x.json", "make it anew")
