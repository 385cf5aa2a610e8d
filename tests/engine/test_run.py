"""A run folder belongs to one configuration, and has one line per finished epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longtail.engine import Run
from longtail.engine.run import append_record, claim, cut_records, first_difference

CONFIG: dict[str, Any] = {
    "method": "ldam-drw",
    "seed": 0,
    "data": {"name": "digits", "facts": {"ratio": 50.0}, "hash": "aa"},
    "recipe": {"epochs": 200, "model_args": {"hidden": (128, 128)}},
    "threads": 1,
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
                {"data": {"name": "digits", "facts": {"ratio": 10.0}, "hash": "bb"}},
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

    def test_a_damaged_configuration_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text("{")
        with pytest.raises(ValueError, match=r"config.json is damaged \(.*\); delete its folder"):
            claim(tmp_path, CONFIG)


def test_the_first_difference_goes_down_to_a_plain_value() -> None:
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, ("a",)) == ("a.c", None, 2)
    assert first_difference({"a": 1}, {"a": {"b": 1}}, ("a",)) == ("a", 1, {"b": 1})
    assert first_difference({"a": 1, "b": 2}, {"a": 1, "b": 3}, ("a",)) is None


class TestRecords:
    def test_lines_after_the_checkpoint_are_cut(self, tmp_path: Path) -> None:
        for epoch in range(1, 6):
            append_record(tmp_path, {"epoch": epoch})
        cut_records(tmp_path, 3)
        assert [r["epoch"] for r in Run(tmp_path, {}, {}).records] == [1, 2, 3]
        cut_records(tmp_path, 3)
        assert len(Run(tmp_path, {}, {}).records) == 3
        cut_records(tmp_path, 0)
        assert Run(tmp_path, {}, {}).records == []

    def test_a_line_that_was_being_written_is_cut(self, tmp_path: Path) -> None:
        append_record(tmp_path, {"epoch": 1})
        with open(tmp_path / "metrics.jsonl", "a") as file:
            file.write('{"epo')
        cut_records(tmp_path, 1)
        assert Run(tmp_path, {}, {}).records == [{"epoch": 1}]

    def test_nothing_there_is_nothing_to_cut(self, tmp_path: Path) -> None:
        cut_records(tmp_path, 0)
        assert list(tmp_path.iterdir()) == []

    def test_what_is_not_a_number_is_never_written(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="JSON compliant"):
            append_record(tmp_path, {"loss": float("nan")})


def test_a_folder_without_a_finished_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as found:
        Run.load(tmp_path)
    assert str(tmp_path) in str(found.value)
    assert "\n" not in str(found.value)
