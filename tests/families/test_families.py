"""What holds for every trial method: it trains, repeats, survives a kill, saves and loads, and is really applied."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from tests.methods.task_data import by_task
from toys import LEAVES, RECIPE, SPLITS, TOYS, TRIALS

from longtail.catalogue.describe import table
from longtail.facts import knobs
from longtail.facts.schedules import Schedule
from longtail.methods import method, registry
from longtail.methods.entries import CATALOG
from longtail.runs.predictor import Predictor
from longtail.runs.run import Run

ESTIMATING = "darp(totals='confusion', estimation=0.6)"
PAUSES = {
    "crt": ("train", 5), "simclr": ("encoder", 3), "ssp-contrast": ("train", 3),
    "bcl": ("encoder", 3), "sdclr": ("encoder", 3), "ts(cycles=2)": ("encoder", 4),
    "gh": ("encoder", 4), "rwsam": ("encoder", 3), "dnc": ("experts", 2),
    "crest": ("generation-2", 1), "crest-plus": ("generation-1", 2), ESTIMATING: ("totals", 2),
}  # fmt: skip
"""Where a training is killed; in its one stage's third epoch, where no other place is named."""


def predictions(folder: Path) -> bytes:
    return (folder / "predictions.safetensors").read_bytes()


@pytest.mark.parametrize("key", TRIALS)
class TestEveryTrial:
    def test_trains_every_epoch_of_its_stages_and_learns(self, runs: dict[str, Run], key: str) -> None:
        expected = [(s.name, e) for s in method(key).stages(RECIPE) for e in range(1, s.epochs + 1)]
        assert [(r["stage"], r["epoch"]) for r in runs[key].records] == expected
        assert all(np.isfinite(r["loss"]) for r in runs[key].records)
        if key not in ("crest", "crest-plus", "darp"):  # of fewer steps, and of labels that were refined once
            assert runs[key].scores["balanced_accuracy"] > 0.4  # three classes, 25 steps

    def test_repeats_to_the_byte_and_another_seed_is_another(
        self, runs: dict[str, Run], key: str, tmp_path: Path
    ) -> None:
        torch.rand(3)  # the global generator stands elsewhere now
        toys.trained(key, tmp_path / "again")
        assert predictions(tmp_path / "again") == predictions(runs[key].folder)
        toys.trained(key, tmp_path / "other", seed=1)
        assert predictions(tmp_path / "other") != predictions(runs[key].folder)

    def test_what_it_saved_predicts_the_same(self, runs: dict[str, Run], key: str) -> None:
        arrays = runs[key].predictions()
        for predictor in (Run.load(runs[key].folder).predictor, Predictor.load(runs[key].folder)):
            scores = predictor.scores(SPLITS["supervised"].test.inputs)
            assert scores.equal(arrays["scores"])
            assert predictor.adjusted(scores).equal(arrays.get("adjusted_scores", arrays["scores"]))

    def test_is_one_file_that_knows_no_other(self, key: str) -> None:
        for node in ast.walk(ast.parse(Path(inspect.getfile(TRIALS[key])).read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            known = {
                "longtail",
                "copy",
                "torch",
                "collections",
                "dataclasses",
                "math",
                "typing",
                "warnings",
                "__future__",
            }
            assert {name.partition(".")[0] for name in names} <= known

    def test_every_knob_moves_the_text_of_its_training(self, key: str) -> None:
        plain = [stage.spec for stage in method(key).stages(RECIPE)]
        for name, knob in knobs.declared(TRIALS[key]).items():
            if isinstance(knob.rule, knobs.Choice):
                fitting = {"fixmatch": "sam(base='fixmatch')", "proden": "sam(base='proden')", "ce": "focal"}
                fitting |= {"first": "both", "entropy": "uniform", "labels": "em", "median": 0.3}
                fitting |= {"simclr": "simclr(t=0.5)", "moclr": "moclr(t=0.5)", "two": "one"}
                value: Any = fitting.get(knob.default, "un")
            elif isinstance(knob.default, bool):
                value = not knob.default
            elif isinstance(knob.default, Schedule):
                value = 0.5
            else:
                value = knob.default + 1 if isinstance(knob.default, int) else knob.default / 2 or 0.5
            other = method(f"{key}({name}={value!r})")
            assert [stage.spec for stage in other.stages(RECIPE)] != plain, name


@pytest.mark.slow
@pytest.mark.parametrize("key", [
    *TOYS, "mwn", "cc", "proden", "simclr", "recover", "co-teaching", "mixmatch", "remixmatch", "abc", "simpro",
    ESTIMATING, "sdclr", "bcl", "gh", "ts(cycles=2)", "rwsam", "dnc", "ssp-contrast",
])  # fmt: skip
def test_killed_and_given_again_it_goes_on_and_ends_the_same(runs: dict[str, Run], key: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    toys.kill(toys.run, key, out, PAUSES.get(key, ("train", 3)))
    before = (out / "metrics.jsonl").read_text()
    assert not (out / "run.json").exists()
    toys.finish(toys.run, key, out)
    assert (out / "metrics.jsonl").read_text().startswith(before)  # measured seconds included: it went on
    assert predictions(out) == predictions(runs[key].folder)


def test_a_new_leaf_of_any_task_stands_in_the_contract_of_that_task() -> None:
    groups = by_task(registry.CATALOG)
    assert all(key in groups[method(key).task] for key in TRIALS)
    assert all(groups.values())
    assert {key for keys in groups.values() for key in keys} == set(registry.CATALOG)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_an_installed_package_adds_it_by_its_entry_points(monkeypatch: pytest.MonkeyPatch, leaf: Any) -> None:
    class Point:
        def __init__(self, name: str) -> None:
            self.name, self.value, self.load = name, f"package:{name}", lambda: leaf.METHODS[name]

    ours = {key: builder for key, builder in CATALOG.items() if key not in leaf.METHODS}
    monkeypatch.setattr(registry, "CATALOG", ours)
    monkeypatch.setattr(registry, "entry_points", lambda group: [Point(name) for name in leaf.METHODS])
    if leaf.__name__ == "semi_trials":
        assert method(list(leaf.METHODS)[1]).spec == list(leaf.METHODS)[1]  # over the other of the same package
    told = {row["method"]: row for row in registry.overview()}
    for name in leaf.METHODS:
        assert told[name]["task"] == method(name).task
        assert told[name]["paper"] == method(name).reference.short
        assert f"`{name}`" in table(list(told.values()))
