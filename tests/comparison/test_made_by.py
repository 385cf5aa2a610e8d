"""What made a comparison: calls as they are typed, and versions, those of other days included."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from tests.cases import cases

from longtail.cli import terminal
from longtail.comparison import compare
from longtail.comparison.made_by import earlier_commands, python_call, versions
from longtail.facts.json_documents import write_sealed
from longtail.methods import method
from longtail.version import __version__

X = np.zeros((2, 2))


@cases(
    ("given", "expected"),
    [
        ({"data": "digits", "seeds": 3, "metric": "balanced_accuracy"}, "longtail.compare('digits')"),
        ({"data": X, "y": X, "methods": "ce,ldam", "seeds": 2}, "longtail.compare(X, y, methods='ce,ldam', seeds=2)"),
        ({"data": X, "y": "label", "methods": ["ce", method("focal")]},
         "longtail.compare(X, 'label', methods=['ce', 'focal'])"),
        ({"data": Path("a b.csv"), "label": "y", "val": None, "jobs": 2, "budget": 5.0},
         "longtail.compare('a b.csv', label='y')"),
        ({"data": X, "sample_weight": X, "model_args": {"hidden": [4]}, "network": compare},
         "longtail.compare(X, sample_weight=..., model_args={'hidden': [4]}, network=...)"),
        ({"data": "d", "classes": ["a"] * 80}, "longtail.compare('d', classes=[" + "'a', " * 50 + "...])"),
        ({"data": "d", "methods": X}, "longtail.compare('d', methods=...)"),
    ],
)  # fmt: skip
def test_a_call_is_written_as_it_is_typed(given: dict[str, Any], expected: str) -> None:
    assert python_call(compare, given) == expected


def test_no_argument_is_given_twice_and_defaults_are_those_of_compare() -> None:
    usual = {name: one.default for name, one in inspect.signature(compare).parameters.items() if name != "options"}
    assert python_call(compare, usual) == "longtail.compare('digits')"


def test_earlier_commands_are_those_of_the_folder_without_this_one(tmp_path: Path) -> None:
    assert earlier_commands(tmp_path, "c") == []
    (tmp_path / "comparison.json").write_text('{"command": "b", "earlier_commands": ["a", "c"]}')
    assert earlier_commands(tmp_path, "c") == ["a", "b"]
    assert earlier_commands(tmp_path, None) == ["a", "c", "b"]
    (tmp_path / "comparison.json").write_text('{"command": null}')
    assert earlier_commands(tmp_path, "c") == []
    (tmp_path / "comparison.json").write_text("{")
    assert earlier_commands(tmp_path, "c") == []


def test_versions_are_those_of_now_and_of_runs_that_had_others(tmp_path: Path) -> None:
    now = {"longtail": __version__, "torch": torch.__version__}
    folders = []
    for i, config in enumerate(
        [
            {"threads": 1, "machine": {"cpu": "Fast"}, "versions": now},
            {"threads": 2, "machine": {"cpu": "Fast", "gpu": "Big"}, "versions": now | {"torch": "1.0"}},
        ]
    ):
        folders.append(tmp_path / str(i))
        folders[-1].mkdir()
        write_sealed(folders[-1] / "config.json", config)
    found = versions(folders, "cpu")
    assert (found["torch"], found["scikit-learn"]) == (torch.__version__, sklearn.__version__)
    assert found["threads of a run"] == "1, 2"
    assert found["processor"] == "Big Fast, Fast"
    assert found["runs trained with other versions"] == "torch 1.0 (1 of 2 runs)"
    assert "runs trained with other versions" not in versions(folders[:1], "cpu")
    assert "threads of a run" not in versions([], "cpu")
    json.dumps(found)


@pytest.mark.parametrize("words", [["compare", "a b.csv", "--methods", "ldam(s=30)"], []])
def test_the_command_line_is_quoted_for_a_shell(words: list[str]) -> None:
    terminal.remember(words)
    assert terminal.command() == ("longtail compare 'a b.csv' --methods 'ldam(s=30)'" if words else "longtail")
