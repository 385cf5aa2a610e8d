"""GH beside a host: its ramp, what it stores of every row, its prior, and both directions in plain loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import geometric_formulas as formulas
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Step
from longtail.functional import simplex_frame
from longtail.learners import PairLearner
from longtail.learners.geometric import GeometricHarmonization
from longtail.learners.hosts import NTXent
from longtail.learners.pair import Compared

FRAME = simplex_frame(4, 5, torch.Generator().manual_seed(0))

BATCH = Batch(inputs=torch.zeros(6, 3), index=torch.arange(6))


def part(size: int = 8, **options: Any) -> GeometricHarmonization:
    return GeometricHarmonization(FRAME, size, **options).double()


def projections(rows: int, seed: int = 0, graph: bool = True) -> Tensor:
    found = torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return found.requires_grad_(graph)


def compared(z1: Tensor, z2: Tensor) -> Compared:
    if z2.requires_grad:
        return Compared(Outputs(z1), Outputs(z2))
    return Compared(Outputs(z1), None, None, Outputs(z2))


def note(gh: GeometricHarmonization, z: Tensor, rows: list[int], progress: Any = 0.0) -> None:
    step = Step(z.sum(), z.sum(1), {}, Outputs(z.detach()), None, torch.tensor(rows))
    gh.after_update(Batch(inputs=z, index=torch.tensor(rows)), step, progress)


def logits(z: Tensor) -> list[list[float]]:
    return formulas.logits(z.tolist(), FRAME.tolist())


class TestTheLoss:
    def test_is_that_of_the_plain_loops_with_the_prior(self) -> None:
        gh, z1, z2 = part(weight=0.7, iterations=40), projections(6), projections(6, 1)
        gh.prior.copy_(torch.tensor([0.5, 0.3, 0.2, 0.0]))
        losses, log = gh(compared(z1, z2), BATCH, 0.75)
        x, y = logits(z1), logits(z2)
        taught = [formulas.labels(q, [0.5, 0.3, 0.2, 0.0], 0.05, 40) for q in (x, y)]
        each = zip(formulas.one_direction(taught[0], y, 0.1), formulas.one_direction(taught[1], x, 0.1), strict=True)
        expected = torch.tensor([0.7 * (a + b) for a, b in each], dtype=torch.float64)
        torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-6)  # the frame is kept in float32
        assert log == {}

    def test_beside_a_key_without_a_graph_trains_in_one_direction(self) -> None:
        gh, z1, key = part(), projections(6), projections(6, 1, graph=False)
        (alone,) = torch.autograd.grad(gh(compared(z1, key), BATCH, 0.9)[0].sum(), z1)
        (joint,) = torch.autograd.grad(gh(compared(z1, projections(6, 1)), BATCH, 0.9)[0].sum(), z1)
        assert alone.abs().sum() > 0
        torch.testing.assert_close(alone, joint)  # the other direction's gradient is the key's

    @cases(
        "progress, share",
        [(0.0, 0.0), (0.499, 0.0), (0.5, 0.1), (0.501, 0.2), (0.508, 0.9), (0.509, 1.0), (0.6, 1.0), (0.999, 1.0)],
    )
    def test_rises_by_a_tenth_in_each_of_ten_epochs_of_a_thousand(self, progress: float, share: float) -> None:
        gh = part(weight=3.0)
        assert gh.strength(progress) == pytest.approx(3 * share)
        found = gh.strength(torch.tensor(progress, dtype=torch.float64))
        assert float(found) == pytest.approx(3 * share)
        assert part(ramp=0.0).strength(progress) == float(progress >= 0.5)

    def test_is_nothing_before_it_begins_whether_or_not_progress_is_a_tensor(self) -> None:
        gh, z1, z2 = part(), projections(6), projections(6, 1)
        assert gh(compared(z1, z2), BATCH, 0.4)[0].equal(torch.zeros(6, dtype=torch.float64))
        held = gh(compared(z1, z2), BATCH, torch.tensor(0.4))[0]
        assert held.eq(0).all()
        assert all(g.eq(0).all() for g in torch.autograd.grad(held.sum(), (z1, z2)))


class TestWhatIsStored:
    def test_begins_at_the_first_logits_of_a_row_and_follows_by_the_share_that_stays(self) -> None:
        gh = part(stay=(0.9, 0.999))
        first, again, late = (projections(2, seed) for seed in range(3))
        note(gh, first, [5, 2])
        assert gh.seen.nonzero().flatten().tolist() == [2, 5]
        torch.testing.assert_close(gh.stored[[5, 2]], torch.tensor(logits(first)).double(), rtol=1e-6, atol=1e-7)
        assert gh.stored[[0, 1, 3, 4, 6, 7]].eq(0).all()
        note(gh, again, [2, 5], 0.4)
        note(gh, late, [5, 2], torch.tensor(0.5))
        q = [torch.tensor(logits(z)).double() for z in (first, again.flip(0), late)]
        expected = 0.999 * (0.9 * q[0] + 0.1 * q[1]) + 0.001 * q[2]
        torch.testing.assert_close(gh.stored[[5, 2]], expected, rtol=1e-6, atol=1e-7)

    def test_is_counted_at_the_start_and_after_every_refresh(self) -> None:
        gh = part(refresh=0.2)
        uniform = gh.prior.clone()
        gh.start_epoch(None, None, 0.5)  # type: ignore[arg-type]  # nothing has been seen
        assert gh.prior.equal(uniform)
        note(gh, FRAME[[0, 0, 0, 1, 2, 2]], [0, 1, 2, 3, 4, 5])  # two rows are never seen
        gh.start_epoch(None, None, 0.45)  # type: ignore[arg-type]
        assert gh.prior.equal(uniform)
        gh.start_epoch(None, None, 0.5)  # type: ignore[arg-type]
        assert gh.prior.tolist() == pytest.approx([3 / 6, 1 / 6, 2 / 6, 0])
        record = gh.epoch_record()
        assert record["surrogate_largest"] == pytest.approx(0.5)
        assert record["surrogate_entropy"] == pytest.approx(-sum(p * math.log(p) for p in (1 / 2, 1 / 6, 1 / 3)))
        note(gh, FRAME[[3, 3]], [6, 7])
        gh.start_epoch(None, None, 0.6)  # type: ignore[arg-type]
        assert gh.prior[3] == 0
        gh.start_epoch(None, None, 0.7)  # type: ignore[arg-type]
        assert gh.prior.tolist() == pytest.approx([3 / 8, 1 / 8, 2 / 8, 2 / 8])

    def test_every_twenty_epochs_of_a_thousand(self) -> None:
        gh, when = part(), []
        note(gh, FRAME, [0, 1, 2, 3])
        for epoch in range(1000):
            before = gh.refreshed.clone()
            gh.start_epoch(None, None, epoch / 1000)  # type: ignore[arg-type]
            if not gh.refreshed.equal(before):
                when.append(epoch)
        assert when == list(range(500, 1000, 20))

    def test_a_pseudo_count_is_added_to_every_count(self) -> None:
        gh = part(pseudo_count=2.0)
        note(gh, FRAME[[0, 0]], [0, 1])
        gh.start_epoch(None, None, 0.5)  # type: ignore[arg-type]
        assert gh.prior.tolist() == pytest.approx([0.4, 0.2, 0.2, 0.2])

    def test_is_saved_with_the_learner_and_stays_while_it_is_held(self) -> None:
        torch.manual_seed(0)
        learner: Any = PairLearner(nn.Linear(3, 5), NTXent(), auxiliary=GeometricHarmonization(FRAME, 4))
        batch = Batch(inputs=(torch.randn(4, 3), torch.randn(4, 3)), index=torch.arange(4))
        with learner.held():
            step = learner.training_step(batch, 0.6)
            learner.after_update(batch, step, 0.6)
        assert not learner.auxiliary.seen.any()
        learner.after_update(batch, learner.training_step(batch, 0.6), 0.6)
        names = {name.removeprefix("auxiliary.") for name in learner.state_dict() if name.startswith("auxiliary.")}
        assert names == {"frame", "stored", "seen", "prior", "refreshed"}
        assert learner.auxiliary.seen.all()
        assert {"surrogate_entropy", "surrogate_largest"} <= learner.epoch_record().keys()
