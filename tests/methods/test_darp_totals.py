"""DARP with totals="confusion": the estimate itself, that it is used, and that nothing else changes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods import task_data
from torch import Tensor, nn

import longtail as lt
from longtail.data import Examples, TrainingSet
from longtail.data.label_kinds import unlabeled
from longtail.engine import Recipe, Stage, Training
from longtail.facts.learner import Learner
from longtail.learners.confusion_totals import ConfusionTotals
from longtail.methods import method
from longtail.posthoc import ConfusionEstimate
from longtail.report import tables
from longtail.runs.train import train
from longtail.sampling import meta_rows

RECIPE = Recipe(epochs=6, batch_size=16, lr=0.1, model="mlp", model_args={"hidden": (8,)})
SPLITS = task_data.splits("semi-supervised", apart=2.0)
ROWS = TrainingSet.of(SPLITS)
KNOBS = "start=0.0, period=2"
DARP = f"darp(totals='confusion', withheld=3, estimation=0.5, {KNOBS})"


def trained(stages: Sequence[Stage], data: TrainingSet = ROWS) -> Training:
    training = Training(stages, data)
    list(training)
    return training


def after(spec: str, previous: Learner | None) -> dict[str, Tensor]:
    """What the last stage knows in the end, trained by itself after this learner."""
    *_, last = method(spec).stages(RECIPE)
    stage = replace(last, build=lambda data, _: last.build(data, previous))
    return trained([stage]).learner.state_dict()


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(value.equal(other[name]) for name, value in one.items())


class Table(nn.Module):
    """Logits by row; others every epoch."""

    def __init__(self, epochs: Tensor) -> None:
        super().__init__()
        self.epochs, self.now = epochs, 0

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        return self.epochs[self.now][x[:, 0].long()]


def by_hand(logits: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """The totals by the rows after the labelled ones, as the paper has them; None where they are rejected."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    matrix = np.stack([p[: len(labels)][labels == j].mean(0) for j in range(3)], axis=1)
    q = np.linalg.solve(matrix, p[len(labels) :].sum(0))
    return q if (q >= 0).all() and np.linalg.cond(matrix) < 100 else None


def test_totals_are_the_mean_of_the_accepted_epochs() -> None:
    labels, classes = np.array([0, 0, 1, 2, 1, 2]), ("a", "b", "c")
    truth = np.repeat([0, 1, 2], [9, 20, 11])
    draw = np.random.default_rng(0)
    signal = 2 * np.eye(3)[np.concatenate([labels, truth])]
    logits = np.stack([strength * signal + draw.normal(size=(46, 3)) for strength in (1, 1, 1, 0.01, 3)])
    logits[1, 6:] = [9.0, 0, 0]  # of one class alone, more surely than any labelled row: others below 0
    estimates = [by_hand(one, labels) for one in logits]
    assert [one is None for one in estimates] == [False, True, False, True, False]

    network = Table(torch.from_numpy(logits).float()).train()
    own = Examples(torch.arange(6.0)[:, None], torch.from_numpy(labels), classes)
    rest = Examples(torch.arange(6.0, 46)[:, None], unlabeled(40), classes)
    targets, given = ConfusionTotals(network, own, rest, torch.tensor([5, 1, 1])), []
    for network.now, expected in enumerate(estimates):
        record = targets.epoch_record()
        assert network.training
        assert record["accepted"] == (expected is not None)
        if expected is not None:
            given.append(expected)
            np.testing.assert_allclose(record["totals"], expected, rtol=1e-4)
        np.testing.assert_allclose(targets.totals, np.mean(given, axis=0), rtol=1e-4)
    assert float(targets.totals.sum()) == pytest.approx(40, rel=1e-4)
    assert [name for name, _ in targets.named_buffers()] == ["sum", "accepted"], "the network is the learner's"


def test_five_to_one_is_estimated_from_balanced_labels() -> None:
    """Two Gaussian classes 2 deviations apart: within 3 % of all rows, where those of the labels are 33 % from it."""
    draw = torch.Generator().manual_seed(0)
    truth = torch.repeat_interleave(torch.tensor([0, 1, 0, 1]), torch.tensor([300, 300, 2000, 400]))
    x = 2 * truth[:, None] + torch.randn(3000, 1, generator=draw)
    labelled = Examples(x[:600], truth[:600], ("a", "b"))
    data = TrainingSet(labelled, replace(labelled, inputs=x[600:], targets=unlabeled(2400)))
    first, second = method("darp(totals='confusion', withheld=150)").stages(replace(RECIPE, epochs=25))
    training = trained([first], data)
    built: Any = second.build(data, training.learner)
    assert built.learner.targets.totals.tolist() == pytest.approx([2000, 400], abs=0.03 * 2400)


def test_the_stage_before_is_plain_training_on_the_rows_that_are_not_withheld() -> None:
    first, last = method(DARP).stages(RECIPE)
    assert (first.name, first.epochs, first.preparatory) == ("totals", 3, True)
    assert (last.name, last.epochs, last.preparatory) == ("train", 6, False)
    assert [first.lr(k / 3) for k in range(3)] == [replace(RECIPE, epochs=3).learning_rate(k / 3) for k in range(3)]
    learner: Any = trained([first]).learner
    own, stay = meta_rows(ROWS.labeled.targets, 3)
    assert learner.targets.withheld.inputs.equal(ROWS.labeled.inputs[own])
    assert learner.targets.withheld.class_counts.tolist() == [min(3, int(n) // 2) for n in ROWS.class_counts]
    (plain,) = method("ce").stages(replace(RECIPE, epochs=3))
    other = trained([plain], replace(ROWS, labeled=ROWS.labeled.take(stay))).learner
    assert same(learner.network.state_dict(), other.get_submodule("network").state_dict())


class TestTheEstimate:
    """What it is for."""

    FIRST = trained(method(DARP).stages(RECIPE)[:1])

    def test_is_what_labels_are_projected_on(self) -> None:
        totals: Any = self.FIRST.learner.targets.totals
        state = after(DARP, self.FIRST.learner)
        assert state["targets.totals"].equal(totals)
        expected = totals / totals.sum() * len(state["targets.refined"])
        torch.testing.assert_close(state["targets.refined"].double().sum(0), expected, rtol=1e-5, atol=0)

    def test_is_the_training_with_these_numbers_bit_for_bit_and_no_other(self) -> None:
        estimated, totals = after(DARP, self.FIRST.learner), self.FIRST.learner.targets.totals.tolist()
        assert same(estimated, after(f"darp(totals={tuple(totals)}, {KNOBS})", None))
        assert not same(estimated, after(f"darp({KNOBS})", None))

    def test_where_none_is_accepted_the_labels_take_its_place(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        estimate = ConfusionEstimate(torch.tensor([50.0, -1, -1]), False, 3.0)
        monkeypatch.setattr(ConfusionTotals, "estimate", lambda self: estimate)
        (first, _), before = method(DARP).stages(RECIPE), caplog.text
        learner = trained([first]).learner
        assert caplog.text == before
        state = after(DARP, learner)
        assert [(one.levelno, "takes those of the labels" in one.message) for one in caplog.records] == [
            (logging.WARNING, True)
        ]
        assert same(state, after(f"darp({KNOBS})", None))
        tiny: Any = {"epochs": 2, "seeds": 1, "jobs": 1, "model": "mlp", "out": tmp_path}
        more: Any = task_data.splits("semi-supervised", (40, 30, 30))
        labels = torch.cat([more.train.targets, torch.full((len(more.unlabeled),), -1)])
        rows = torch.cat([more.train.inputs, more.unlabeled.inputs])
        methods = ["darp(totals='confusion')"]
        result = lt.compare(rows.numpy(), labels.numpy(), unlabeled="same", methods=methods, folds=2, **tiny)
        (row,) = [row for row in result.rows if row["key"] == "darp"]
        assert row["estimates"] == {"made": 2, "accepted": 0, "trainings": 2, "without": 2}
        assert row["epochs"] == {"totals": 1, "train": 2}
        note = "accepted 0 of 2 estimates of the class totals; where it accepted none, in 2 of 2 trainings, the"
        assert note in " ".join(tables.plain(result.summary).split())


@pytest.mark.parametrize(
    "spec", [f'crt(base="abc(base=\\"{DARP}\\")", more=0.5)', f'crest(base="{DARP}", generations=2)']
)
def test_interrupted_after_any_epoch_it_ends_the_same(spec: str) -> None:
    stages = method(spec).stages(RECIPE)
    assert stages[0].spec == method(DARP).stages(RECIPE)[0].spec, "trained once for all"
    whole = Training(stages, ROWS)
    records, states = [], []
    for record in whole:
        records.append(record)
        states.append(whole.state())
    names = [record["stage"] for record in records]
    assert names in (["totals"] * 3 + ["train"] * 6 + ["classifier"] * 3, ["totals"] * 3 + GENERATIONS)
    for cut in (1, 3, 5, 7, 10):  # inside of every stage, and where the first ends
        if cut >= len(states):
            continue
        resumed = Training(stages, ROWS, resume=states[cut - 1])
        rest = [(record["loss"], record.get("totals")) for record in resumed]
        assert rest == [(record["loss"], record.get("totals")) for record in records[cut:]]
        assert same(resumed.learner.state_dict(), whole.learner.state_dict())


GENERATIONS = ["generation-1"] * 3 + ["generation-2"] * 3


def test_all_generations_have_the_estimate_before_the_first() -> None:
    training = Training(method(f'crest(base="{DARP}", generations=2)').stages(RECIPE), ROWS)
    records = list(training)
    accepted = [record["totals"] for record in records if record.get("accepted")]
    used = [record["totals"] for record in records if record["stage"] != "totals"]
    assert len(used) == 6
    np.testing.assert_allclose(used, [np.mean(accepted, axis=0)] * 6, rtol=1e-6)


@pytest.mark.parametrize("spec", ["sam(base={!r})", "abc(base={!r}, weight=0.5)"])
def test_corrections_over_it_do_not_change_the_estimate(spec: str) -> None:
    outside = f"darp(base={spec.format('fixmatch')!r}, {DARP.removeprefix('darp(')}"
    one, other = (trained(method(each).stages(RECIPE)).learner for each in (spec.format(DARP), outside))
    assert same(one.state_dict(), other.state_dict())


def test_the_truth_is_in_the_records_and_nowhere_in_training(tmp_path: Path) -> None:
    assert SPLITS.truth is not None
    known, unknown = (
        train(DARP, splits, folder=tmp_path / name, recipe=RECIPE)
        for name, splits in (("known", SPLITS), ("unknown", replace(SPLITS, truth=None)))
    )
    assert known.predictions()["scores"].equal(unknown.predictions()["scores"])
    assert all("totals_distance" not in record for record in unknown.records)
    hidden = np.bincount(SPLITS.truth[len(SPLITS.train) :])
    for record in known.records:
        shares = np.array(record["totals"]) / sum(record["totals"])
        assert record["totals_distance"] == pytest.approx(np.linalg.norm(shares - hidden / hidden.sum()))
    assert [record.get("accepted") is None for record in known.records] == [False] * 3 + [True] * 6


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("darp(totals='confusion', withheld=0)", "withheld must be an integer >= 1"),
        ("darp(totals='confusion', estimation=0)", r"estimation must be in \(0, 1\], got 0"),
        ("darp(totals='confusion', estimation=1e999)", r"estimation must be in \(0, 1\], got inf"),
    ],
)
def test_bad_knobs_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(spec)


def test_a_class_of_one_labelled_row_is_refused_before_training() -> None:
    targets = ROWS.labeled.targets
    one = torch.nonzero(targets == 2).flatten()[:1]
    single = ROWS.labeled.take(torch.cat([torch.nonzero(targets < 2).flatten(), one]))
    weight = torch.ones(len(targets))
    weight[torch.nonzero(targets == 2).flatten()[1:]] = 0
    for rows in (single, replace(ROWS.labeled, sample_weight=weight)):
        why = method(DARP).refuses_recipe(RECIPE, rows)
        assert why is not None
        message = 'totals must be "labels", "em" or numbers for data with a class of one labelled row, "2"'
        assert message in why
        with pytest.raises(ValueError, match=message):
            method(DARP).stages(RECIPE)[0].build(replace(ROWS, labeled=rows), None)
        assert method(f"darp({KNOBS})").refuses_recipe(RECIPE, rows) is None
    none = ROWS.labeled.take(torch.nonzero(targets < 2).flatten())
    assert "class without labelled rows" in str(method(DARP).refuses_recipe(RECIPE, none))
    with pytest.raises(ValueError, match="darp needs rows without labels, got none"):
        method(DARP).stages(RECIPE)[0].build(replace(ROWS, unlabeled=None), None)
