"""The epoch that is kept: the best on validation or test rows, resumed to the byte, in the identity of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases

import longtail as lt
from longtail import data
from longtail.data.every_row import load_every_row
from longtail.engine import Recipe
from longtail.runs import manifest
from longtail.runs.fit import Fit
from longtail.runs.run import Run
from longtail.runs.scored import of_run
from longtail.runs.selected import without_choice

DIGITS = data.load("digits", val=0.3)
RECIPE = Recipe(epochs=10, model="linear", lr=10.0, batch_size=64, decay="steps", drop=1.0, warmup=0, momentum=0.0)
FILES = ("predictions.safetensors", "validation.safetensors", "model.safetensors")


def run(folder: Path, method: str = "ce", stop: int | None = None, **options: Any) -> Run | None:
    fit = Fit(method, DIGITS, recipe=RECIPE, folder=folder, **options)
    for count, _ in enumerate(fit, 1):
        if count == stop:
            fit.close()
            return None
    return fit.run


def states(method: str) -> list[Any]:
    """The learner's state after every epoch, by a training that selects nothing."""
    fit = Fit(method, DIGITS, recipe=RECIPE)
    return [{k: v.clone() for k, v in fit.learner.state_dict().items()} for _ in fit]


@pytest.mark.parametrize("select", ["val", "best-test"])
def test_the_best_epoch_is_kept(tmp_path: Path, select: str) -> None:
    found = run(tmp_path, select=select)
    assert found is not None
    values = [record["selection"] for record in found.records]
    epoch = values.index(max(values)) + 1
    assert found.result["select"] == {"rule": select, "epoch": epoch, "balanced_accuracy": max(values)}
    weights = found.predictor.network.state_dict()["head.weight"]
    of_epoch = [state["network.head.weight"] for state in states("ce")]
    assert [bool(torch.equal(weights, one)) for one in of_epoch] == [k == epoch for k in range(1, 11)]
    assert epoch < 10  # else nothing was tested: change the recipe
    assert (found.predictor.sets is None) == of_run(found).chosen == (select == "val")
    if select == "best-test":
        assert found.scores["balanced_accuracy"] == pytest.approx(max(values), abs=1e-6)


@pytest.mark.parametrize("stop", [2, 7, 10])
def test_resumed_it_ends_with_the_same_bytes(tmp_path: Path, stop: int) -> None:
    run(tmp_path / "whole", select="val")
    assert run(tmp_path / "cut", select="val", stop=stop) is None
    run(tmp_path / "cut", select="val")
    for name in FILES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_shared_store_keeps_last_and_best_apart(tmp_path: Path) -> None:
    last = run(tmp_path / "a", store=tmp_path / "s")
    best = run(tmp_path / "b", store=tmp_path / "s", select="val")
    again = run(tmp_path / "c", store=tmp_path / "s", select="val")  # from the store
    assert last is not None
    assert best is not None
    assert again is not None
    assert "select" not in last.config
    assert "select" not in last.result
    assert best.config["select"] == "val"
    assert again.result["reuses"]
    assert again.result["select"] == best.result["select"]
    assert (tmp_path / "b" / FILES[0]).read_bytes() == (tmp_path / "c" / FILES[0]).read_bytes()
    assert (tmp_path / "a" / FILES[0]).read_bytes() != (tmp_path / "b" / FILES[0]).read_bytes()


def test_it_is_part_of_the_identity_of_a_run(tmp_path: Path) -> None:
    run(tmp_path, select="val")
    with pytest.raises(ValueError, match="select is 'val' there, None was asked"):
        run(tmp_path)


def test_what_has_no_epochs_keeps_the_last_and_says_so(tmp_path: Path) -> None:
    found, usual = run(tmp_path / "a", "ncm", select="val"), run(tmp_path / "b", "ncm")
    assert found is not None
    assert usual is not None
    why = "its last stage has no epochs to choose from"
    assert found.result["select"] == {"rule": "val", "epoch": None, "why": why}
    assert found.predictor.sets is not None  # its validation rows chose nothing
    assert (tmp_path / "a" / FILES[0]).read_bytes() == (tmp_path / "b" / FILES[0]).read_bytes()
    reasons = {key: without_choice(lt.method(key), RECIPE) for key in ("trees", "ce-tuned", "simclr", "crt")}
    assert reasons["trees"] == why
    assert "search" in str(reasons["ce-tuned"])
    assert "probes" in str(reasons["simclr"])
    assert reasons["crt"] is None


@pytest.mark.parametrize("stop", [6, 10, 16])
def test_of_two_stages_the_last_one_chooses(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path / "whole", "crt", select="val")
    run(tmp_path / "cut", "crt", select="val", stop=stop)
    run(tmp_path / "cut", "crt", select="val")
    assert whole is not None
    chosen = [("selection" in record, record["stage"]) for record in whole.records]
    assert chosen == [(False, whole.records[0]["stage"])] * 10 + [(True, whole.records[-1]["stage"])] * (
        len(chosen) - 10
    )
    for name in FILES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"select \(--select\) must be one of last, val, best-test, got 'best'"):
        Fit("ce", DIGITS, select="best")
    with pytest.raises(ValueError, match=r"\(--select val\) needs a validation part, got none; add --val 0.2"):
        Fit("ce", data.load("digits"), select="val")
    with pytest.raises(ValueError, match="best-test needs a test part, and every row is for training"):
        Fit("ce", load_every_row("digits"), select="best-test")


def test_a_comparison_says_which_epochs_count(tmp_path: Path) -> None:
    def compared(**options: Any) -> lt.Comparison:
        asked: dict[str, Any] = {"methods": "ce,ncm,ldam", "seeds": 1, "epochs": 3, "model": "linear", "jobs": 1}
        return lt.compare("digits", **{"out": tmp_path, **asked, **options})

    found = compared(select="best-test")
    assert found.summary["select"] == "best epoch on the test rows, as many papers did"
    assert "3 epochs, best epoch on the test rows, as many papers did." in str(found)
    assert "these numbers are optimistic, and not comparable with" in found.verdict
    notes = " ".join(found.summary["data"]["notes"])
    assert "ncm keeps the last epoch (its last stage has no epochs to choose from)" in notes
    for row in found.rows:
        (one,) = (Run.load(tmp_path / run["folder"]) for run in row["runs"])
        if row["key"] != "ncm":
            values = [record["selection"] for record in one.records]
            assert row["mean"]["balanced_accuracy"] == pytest.approx(max(values), abs=1e-6)
    with pytest.raises(ValueError, match="holds another comparison: select is 'best-test' there, None was asked"):
        compared()
    with pytest.raises(ValueError, match="needs a validation part"):
        compared(select="val", out=None)


def test_every_fold_chooses_for_itself(tmp_path: Path) -> None:
    frame = lt.data.load("digits").train
    options: dict[str, Any] = {"methods": "ce", "seeds": 1, "epochs": 3, "model": "linear", "jobs": 1, "val": 0.3}
    images, labels = frame.inputs[:, 0].numpy(), frame.targets.numpy()
    found = lt.compare(images, labels, folds=2, select="val", out=tmp_path, **options)
    (run,) = (Run.load(tmp_path / run["folder"]) for run in found.rows[0]["runs"])
    folds = [Run.load(run.folder / f"fold-{j}").result["select"]["epoch"] for j in range(2)]
    assert run.result["select"] == {"rule": "val", "epoch": folds, "balanced_accuracy": None}
    assert not of_run(run).chosen  # by the validation rows of each fold, which are not those that it tests
    assert run.config["select"] == "val"


@cases(
    ("rows", "result", "chosen"),
    [
        ("val", {}, False),
        ("val", {"search": {}}, True),
        ("best-test", {"search": {}}, False),
        ("val", {"select": {"rule": "val", "epoch": 3}}, True),
        ("val", {"select": {"rule": "val", "epoch": None}}, False),
        ("val", {"select": {"rule": "best-test", "epoch": 3}}, False),
        ("best-test", {"select": {"rule": "best-test", "epoch": [None, 3]}}, True),
        ("best-test", {"select": {"rule": "best-test", "epoch": [None, None]}}, False),
    ],
)
def test_which_rows_chose_a_training(rows: str, result: dict[str, Any], chosen: bool) -> None:
    assert manifest.chosen_on(rows, result) is chosen
