"""Trials: no test part, resumed to the same, each with its own recipe."""

from dataclasses import replace

import pytest
import torch

from longtail.comparison import prepare
from longtail.comparison.tune.trials import run_trials, trials
from longtail.comparison.tune.tune import tune
from longtail.engine import Recipe
from longtail.methods.tuning.search import best_of, grid
from longtail.methods.tuning.space import space


def _prepared(out, val=0.2):
    return prepare("digits", methods="ce", seeds=1, epochs=3, val=val, out=out)


def _chosen(prepared, **options):
    one = space("ce", "lr=[0.1, 0.000001]")
    candidates = [one.candidate(s, Recipe()) for s in grid(one)]
    plan = trials(prepared, candidates)
    metric = run_trials(plan, jobs=1, **options)
    return candidates[best_of(metric)].text, metric, plan


def test_the_choice_does_not_depend_on_the_test_part_and_is_resumed(tmp_path):
    prepared = _prepared(tmp_path / "a")
    chosen, metric, plan = _chosen(prepared)
    assert chosen == "ce with lr=0.1"
    assert metric[0] > metric[1]  # each had its own learning rate
    test = prepared.splits.test
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
    spoilt = replace(test, inputs=torch.full_like(test.inputs, torch.nan), targets=test.targets[order])
    other = replace(prepared, splits=replace(prepared.splits, test=spoilt), out=tmp_path / "b")
    assert trials(other, plan.candidates).data.hash == plan.data.hash
    (plan.tasks[0].folder / "run.json").unlink()
    assert _chosen(replace(other, out=prepared.out))[:2] == (chosen, metric)  # the same folder, the same bytes


def test_without_validation_rows_it_is_refused(tmp_path):
    with pytest.raises(ValueError, match="validation rows"):
        _chosen(_prepared(tmp_path, None))


@pytest.mark.parametrize("search", ["grid", "coordinate"])
def test_a_search_writes_its_files_and_ends_the_same_when_begun_again(tmp_path, search):
    asked = {"method": "ldam(scale=[10, 30])", "vary": "lr=[1e-6, 0.1]", "search": search, "val": 0.2, "epochs": 3}
    first = tune("digits", out=tmp_path, run={"jobs": 1}, **asked)
    assert first.recipe == {"lr": 0.1}
    written = (tmp_path / "tune.json").read_bytes()
    next(tmp_path.glob("ldam-*/seed-0/run.json")).unlink()
    assert tune("digits", out=tmp_path, run={"jobs": 1}, **asked).summary == first.summary
    assert (tmp_path / "tune.json").read_bytes() == written
    assert "Chosen: ldam" in repr(first)
