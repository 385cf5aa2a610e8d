"""Momentum losses and scores by hand, number by number."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.methods.recorded_step import recording
from torch import Tensor

from longtail.facts.types import Batch, Outputs, Step
from longtail.functional import memorisation_scores
from longtail.learners.momentum_losses import MomentumLosses


def score_by_hand(m: list[float]) -> list[float]:
    mean = sum(m) / len(m)
    largest = max(abs(x - mean) for x in m)
    return [0.5 * ((x - mean) / largest + 1) for x in m]


def step(index: list[int], losses: list[float]) -> tuple[Batch, Step]:
    extra = {"losses": torch.tensor(losses)}
    inputs = torch.zeros(len(index), 1)
    return Batch(inputs=inputs, index=torch.tensor(index)), Step(
        torch.tensor(0.0), outputs=Outputs(inputs, None, extra)
    )


@cases("seed", range(5))
def test_scores_are_the_formula(seed: int) -> None:
    m = torch.rand(17, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 3
    scores = memorisation_scores(m)
    assert scores.tolist() == pytest.approx(score_by_hand(m.tolist()), abs=1e-12)
    assert float(scores.mean()) == pytest.approx(0.5)
    assert {0.0, 1.0} & set(scores.tolist())
    assert memorisation_scores(5 - 3 * m).tolist() == pytest.approx((1 - scores).tolist(), abs=1e-12)
    known = torch.arange(17) % 3 > 0
    some = memorisation_scores(torch.where(known, m, torch.nan), known)
    assert some[known].tolist() == pytest.approx(score_by_hand(m[known].tolist()), abs=1e-12)
    assert some[~known].tolist() == [0.0] * int((~known).sum())


@cases("m", [[0.1] * 10, [0.1], [], [1e300] * 3, [0.7] * 999])
def test_where_all_are_equal_there_is_no_strength(m: list[float]) -> None:
    assert memorisation_scores(torch.tensor(m, dtype=torch.float64)).tolist() == [0.0] * len(m)
    assert memorisation_scores(torch.tensor(m, dtype=torch.float64), torch.zeros(len(m)) > 0).tolist() == [0.0] * len(m)


def test_the_mean_begins_when_the_losses_of_the_host_can_be_compared() -> None:
    memory = MomentumLosses(2, beta=0.75)
    for losses, settled, expected in (
        ([0.0, 1.0], False, [0.0, 1.0]), ([4.0, 3.0], False, [4.0, 3.0]), ([8.0, 2.0], True, [8.0, 2.0]),
        ([4.0, 4.0], True, [7.0, 2.5]),
    ):  # fmt: skip
        batch, made = step([0, 1], losses)
        made.outputs.extra["settled"] = torch.tensor(settled)  # type: ignore[union-attr,index]
        memory.after_update(batch, made, 0.0)
        assert memory.losses.tolist() == expected
        assert memory.visited.all()
        assert memory.begun.tolist() == [settled] * 2


def test_momentum_by_hand_over_three_epochs_with_a_row_that_one_does_not_visit() -> None:
    memory = MomentumLosses(4, beta=0.75)
    epochs: list[list[Any]] = [
        [([2, 0], [1.0, 3.0]), ([1], [0.5])],
        [([0, 1, 2, 3], [2.0, 1.5, 0.25, 4.0])],
        [([3, 1], [1.0, 0.125])],
    ]
    m: dict[int, float] = {}
    for epoch, batches in enumerate(epochs):
        before = memory.losses.clone()
        memory.start_epoch(None, None, epoch / 3)  # type: ignore[arg-type]
        expected = dict(zip(m, score_by_hand(list(m.values())), strict=True)) if m else {}
        assert memory.strength().tolist() == pytest.approx([expected.get(i, 0.0) for i in range(4)])
        assert memory.losses.equal(before)
        for index, losses in batches:
            scores = memory.strength().clone()
            memory.after_update(*step(index, losses), epoch / 3)
            assert memory.strength().equal(scores), "the scores are those of the epoch"
            for i, loss in zip(index, losses, strict=True):
                m[i] = 0.75 * m[i] + 0.25 * loss if i in m else loss
        assert memory.losses.tolist() == pytest.approx([m.get(i, 0.0) for i in range(4)])
        assert memory.visited.nonzero().flatten().tolist() == sorted(m)
    assert memory.epoch_record()["strength_std"] == pytest.approx(
        torch.tensor(list(expected.values())).std(correction=0)
    )


def test_its_state_goes_on_in_its_own_dtype() -> None:
    memory = MomentumLosses(3)
    memory.after_update(*step([0, 1, 2], [0.1, 0.2, 0.4]), 0.0)
    memory.half().start_epoch(None, None, 0.5)  # type: ignore[arg-type]
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    file.seek(0)
    other = MomentumLosses(3)
    other.load_state_dict(torch.load(file))
    states: list[dict[str, Tensor]] = [memory.state_dict(), other.state_dict()]
    assert set(states[0]) == {"losses", "visited", "begun", "scores"}
    for name, value in states[0].items():
        assert value.equal(states[1][name])
        assert value.dtype == (torch.bool if name in ("visited", "begun") else torch.float64)


def test_a_step_waits_for_nothing() -> None:
    memory, (batch, done) = MomentumLosses(5), step([3, 1], [0.1, 0.2])
    with recording() as recorded:
        memory.after_update(batch, done, 0.5)
    assert recorded.waits == []
