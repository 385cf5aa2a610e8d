"""A run folder belongs to one configuration, and has one line per finished epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longtail.runs.run import Run, claim, first_difference
from resealing import unsealed

CONFIG: dict[str, Any] = {
    "schema_version": 2,
    "method": "ldam-drw",
    "seed": 0,
    "data": {"name": "digits", "facts": {"ratio": 50.0}, "hash": "aa", "classes": ["a", "b"], "class_counts": [9, 1]},
    "recipe": {"epochs": 200, "model_args": {"hidden": (128, 128)}},
    "precision": "float32",
    "device": "cpu",
    "threads": 1,
    "machine": {},
    "versions": {"torch": "2.13.0"},
}


class TestClaim:
    def test_a_new_folder_takes_the_configuration(self, tmp_path: Path) -> None:
        assert claim(tmp_path / "a" / "b", CONFIG) == CONFIG
        assert json.loads((tmp_path / "a" / "b" / "config.json").read_text())["method"] == "ldam-drw"

    def test_the_same_again_is_let_in_and_what_was_recorded_stays(self, tmp_path: Path) -> None:
        claim(tmp_path, CONFIG)
        stored = claim(tmp_path, {**CONFIG, "threads": 8, "versions": {"torch": "9"}})
        assert stored["threads"] == 1
        assert stored["versions"] == {"torch": "2.13.0"}

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"method": "ce"}, "method is 'ldam-drw' there, 'ce' was asked"),
            ({"seed": 1}, "seed is 0 there, 1 was asked"),
            ({"recipe": {**CONFIG["recipe"], "epochs": 10}}, "recipe.epochs is 200 there, 10 was asked"),
            (
                {"data": {**CONFIG["data"], "facts": {"ratio": 10.0}, "hash": "bb"}},
                "data.facts.ratio is 50.0 there, 10.0 was asked",
            ),
            ({"data": {**CONFIG["data"], "hash": "bb"}}, "data.hash is 'aa' there, 'bb' was asked"),
        ],
    )
    def test_another_is_refused_by_its_first_difference(self, tmp_path: Path, change: dict, told: str) -> None:
        claim(tmp_path, CONFIG)
        with pytest.raises(ValueError, match=f"another configuration: {told}; choose another --out") as found:
            claim(tmp_path, {**CONFIG, **change})
        assert "\n" not in str(found.value)
        assert json.loads((tmp_path / "config.json").read_text())["seed"] == 0

    @pytest.mark.parametrize("damage", [lambda text: "{", lambda text: text.replace('"threads": 1', '"threads": 2')])
    def test_a_damaged_one_is_said_and_written_anew(
        self, tmp_path: Path, damage: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        claim(tmp_path, CONFIG)
        path = tmp_path / "config.json"
        whole = path.read_text()
        path.write_text(damage(whole))
        assert claim(tmp_path, CONFIG) == CONFIG
        assert path.read_text() == whole
        (line,) = caplog.messages
        assert line.startswith(str(path))
        assert line.endswith("; beginning this run anew")

    def test_one_without_a_checksum_still_tells_whose_the_folder_is(self, tmp_path: Path) -> None:
        claim(tmp_path, CONFIG)
        unsealed(tmp_path / "config.json")
        with pytest.raises(ValueError, match="another configuration: seed is 0 there, 1 was asked"):
            claim(tmp_path, {**CONFIG, "seed": 1})
        assert claim(tmp_path, CONFIG) == CONFIG


def test_the_first_difference_goes_down_to_a_plain_value() -> None:
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, ("a",)) == ("a.c", None, 2)
    assert first_difference({"a": 1}, {"a": {"b": 1}}, ("a",)) == ("a", 1, {"b": 1})
    assert first_difference({"a": 1, "b": 2}, {"a": 1, "b": 3}, ("a",)) is None


def test_a_folder_without_a_finished_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as found:
        Run.load(tmp_path)
    assert str(tmp_path) in str(found.value)
    assert "\n" not in str(found.value)
