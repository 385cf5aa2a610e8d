"""The true class counts are given to the context row that asks for them, and to nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.methods import task_data

import longtail as lt
from longtail.catalogue.tasks import role
from longtail.data import TrainingSet
from longtail.data.true_labels import with_true_counts


def test_counts_are_those_of_the_clean_labels_and_the_labels_are_sets() -> None:
    splits = task_data.splits("partial")
    rows = with_true_counts(splits)
    assert splits.truth is not None
    assert rows.clean_counts.equal(torch.bincount(splits.truth, minlength=3))
    assert rows.labeled.kind == "candidates"
    assert rows.hash == TrainingSet.of(splits).hash
    assert rows.to("cpu").clean_counts.equal(rows.clean_counts)


def test_unknown_truth_is_refused_before_training(tmp_path: Path) -> None:
    splits = task_data.splits("partial")
    some = ~splits.train.targets.all(1)
    inputs, sets = splits.train.inputs[some], splits.train.targets[some]  # type: ignore[union-attr]
    said = "method 'oracle-la' needs true labels beside hidden or wrong ones, got data without"
    with pytest.raises(ValueError, match=said):
        lt.compare(inputs, candidates=sets, methods="oracle-la", out=tmp_path / "runs")
    with pytest.raises(ValueError, match="'oracle-la' learns from true class counts of rows whose labels are sets"):
        lt.fit("oracle-la", inputs, candidates=sets)


def test_it_is_shown_beside_partial_methods_and_is_no_method_of_other_tasks(tmp_path: Path) -> None:
    result = lt.compare("digits", ambiguity=0.3, ratio=20, methods="proden", epochs=1, seeds=1, jobs=1)
    assert {row["method"]: row["role"] for row in result.summary["rows"]} == {
        "cc": "reference", "proden": "method", "oracle": "context", "oracle-la": "context",
    }  # fmt: skip
    for spec in ("oracle-la(base='corr')", "sam(base='oracle-la')", "oracle-la(tau=0.5)"):
        assert role("partial", "partial", lt.method(spec).spec) == "context"
    with pytest.raises(ValueError, match="method 'oracle-la' is partial and needs candidate sets, got one label a row"):
        lt.fit("oracle-la", "digits")
