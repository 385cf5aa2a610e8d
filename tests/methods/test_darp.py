"""DARP over every host: bit for bit the host without strength, applied by default, with the totals that it is given."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.methods import task_data
from torch import Tensor

from longtail.data import TrainingSet
from longtail.engine import Recipe, Training
from longtail.facts.types import Batch, Outputs
from longtail.functional import refine_pseudo_labels
from longtail.methods import method
from longtail.methods.semi.darp import _estimated
from longtail.methods.semi.hosts import HOSTS
from longtail.runs.train import train
from longtail.targets import DARP

RECIPE = Recipe(epochs=3, batch_size=8, lr=0.05, model="convnet", model_args={"width": 2})
ROWS = TrainingSet.of(task_data.splits("semi-supervised", shape=(8, 8)))
KNOBS = {"fixmatch": "(threshold=0.4)"}  # which some rows reach in nine steps
SIZE = len(ROWS.unlabeled or ())


def over(host: str, **knobs: Any) -> str:
    inner = "".join(f", {key}={value!r}" for key, value in {"period": 1, "start": 0.3, **knobs}.items())
    return f'darp(base="{host}{KNOBS.get(host, "")}"{inner})'


@cache
def trained(spec: str, data: TrainingSet = ROWS) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    training = Training(method(spec).stages(RECIPE), data)
    records = list(training)
    return training.learner.state_dict(), records


def networks(spec: str) -> dict[str, Tensor]:
    return {name: t for name, t in trained(spec)[0].items() if name.startswith(("network.", "average."))}


def same(one: str, other: str) -> bool:
    first, second = networks(one), networks(other)
    assert first.keys() == second.keys()
    return all(t.equal(second[name]) for name, t in first.items())


@pytest.mark.parametrize("host", HOSTS)
class TestEveryHost:
    def test_is_the_host_bit_for_bit_where_it_never_starts(self, host: str) -> None:
        assert same(over(host, start=1.0), host + KNOBS.get(host, ""))

    def test_is_applied(self, host: str) -> None:
        assert not same(over(host), host + KNOBS.get(host, ""))
        *_, last = trained(over(host))[1]
        assert last["changed"] > 0
        assert trained(over(host))[1][0]["changed"] == 0  # before it starts

    @pytest.mark.parametrize(
        "knobs", [{"keep": 0.5}, {"weights": "uniform"}, {"period": 4}, {"totals": (1, 2, 5)}, {"totals": "em"}]
    )
    def test_every_knob_acts(self, host: str, knobs: dict[str, Any]) -> None:
        assert not same(over(host, **knobs), over(host))

    def test_labels_have_the_totals_of_the_labelled_rows_or_those_given(self, host: str) -> None:
        counts = ROWS.class_counts.double()
        for totals, expected in (("labels", counts), ((1, 2, 5), torch.tensor([1.0, 2, 5]).double())):
            state, _ = trained(over(host, totals=totals))
            refined = state["targets.refined"].double()
            torch.testing.assert_close(refined.sum(0), expected / expected.sum() * SIZE, rtol=1e-5, atol=0)
            torch.testing.assert_close(refined.sum(1), torch.ones(SIZE).double(), rtol=0, atol=1e-5)

    def test_the_name_of_its_own_is_the_same_method(self, host: str) -> None:
        assert same(f"{host}-darp(period=1, start=0.3)", f"darp(base='{host}', period=1, start=0.3)")


def steps(targets: DARP, guesses: list[Tensor], progress: float = 0.5) -> list[Tensor]:
    batch = Batch(inputs=torch.zeros(4, 1), index=torch.tensor([5, 0, 3, 7]))
    return [targets(batch, guess, Outputs(guess.log()[None]), progress) for guess in guesses]


def guesses(count: int) -> list[Tensor]:
    return list(torch.randn(count, 4, 3, generator=torch.Generator().manual_seed(0)).softmax(2))


class TestTargets:
    def test_store_the_batch_and_return_rows_of_the_refinement_of_all(self) -> None:
        targets, (guess,) = DARP(12, torch.tensor([6.0, 2, 1]), start=0.5), guesses(1)
        (found,) = steps(targets, [guess])
        stored = torch.full((12, 3), 1 / 3)
        stored[[5, 0, 3, 7]] = guess
        assert targets.stored.equal(stored)
        expected = refine_pseudo_labels(stored, torch.tensor([6.0, 2, 1]), keep=2.0)
        torch.testing.assert_close(found, expected.labels[[5, 0, 3, 7]])

    def test_refine_every_period_from_their_start_on(self) -> None:
        targets, made = DARP(12, torch.tensor([6.0, 2, 1]), start=0.5, period=3), guesses(6)
        early = steps(targets, made[:2], progress=0.49)
        assert all(one.equal(other) for one, other in zip(early, made, strict=False))
        assert int(targets.step) == 0
        late = steps(targets, made[2:])
        assert late[0].equal(late[1])
        assert late[0].equal(late[2])
        assert not late[3].equal(late[0])

    def test_change_nothing_while_held_and_then_return_what_they_returned(self) -> None:
        targets, made = DARP(12, torch.tensor([6.0, 2, 1]), start=0.0, period=1), guesses(2)
        targets.holding = True
        before = {name: t.clone() for name, t in targets.state_dict().items()}
        assert steps(targets, made[:1])[0].equal(made[0])
        assert all(t.equal(before[name]) for name, t in targets.state_dict().items())
        targets.holding = False
        (first,) = steps(targets, made[:1])
        targets.holding = True
        assert steps(targets, made[1:])[0].equal(first)

    def test_estimate_totals_that_differ_from_those_of_training(self) -> None:
        generator = torch.Generator().manual_seed(0)
        truth = torch.repeat_interleave(torch.arange(3), torch.tensor([100, 300, 600]))
        x = 3 * truth.double() + torch.randn(1000, dtype=torch.float64, generator=generator)
        counts = torch.tensor([70.0, 20, 10])
        p = (-((x[:, None] - 3 * torch.arange(3)) ** 2) / 2 + counts.log()).softmax(1).float()
        found = _estimated(counts)(p)
        assert found.sum() == pytest.approx(1000)
        assert found.tolist() == pytest.approx([100, 300, 600], abs=25)


def test_the_record_of_an_epoch_has_the_share_that_was_changed(tmp_path: Path) -> None:
    run = train(over("fixmatch"), task_data.splits("semi-supervised", shape=(8, 8)), recipe=RECIPE, folder=tmp_path)
    assert '"changed"' in (Path(run.folder or tmp_path) / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("darp(totals=(1, -2, 3))", "totals must be >= 0"),
        ("darp(totals=(0, 0))", "totals must not be all 0"),
        ("darp(totals='true')", 'totals must be "labels", "em", "confusion" or numbers'),
        ("darp(keep=0)", "keep must be > 0"),
        ("darp(period=0)", "period must be an integer >= 1"),
        ("darp(base='ce')", "base must be a semi-supervised method .*, which is supervised"),
        ("darp(base='darp')", "which estimates its targets already"),
    ],
)
def test_bad_knobs_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(spec)


def test_totals_of_other_classes_are_refused_before_training() -> None:
    why = method("darp(totals=(1, 2))").refuses_recipe(RECIPE, ROWS.labeled)
    assert why is not None
    assert "totals must be one number per class, 3, got 2" in why
