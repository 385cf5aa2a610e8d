"""Hosts: losses and gradients of whole steps against double loops, averages by hand, predictors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.learners import host_formulas as formulas
from torch import Tensor, nn

from longtail.facts.schedules import linear
from longtail.facts.types import Batch, Outputs
from longtail.learners import PairLearner
from longtail.learners.hosts import BYOL, FocalNTXent, MoCLR, NTXent, SimSiam, SupCon
from longtail.learners.queue import MoCo
from longtail.models.heads import Projection

T, SIZE = 0.3, 5
CLASSES, INDEX = [0, 1, 0, 2, 0], [4, 1, 7, 0, 2]
QUEUE = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
QUEUE_ROWS = [1, 9, 4, -1, 4, 8]


def rows(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def batch() -> Batch:
    first, second = rows(2, SIZE, 4, seed=1).unbind()
    return Batch(inputs=(first, second), index=torch.tensor(INDEX), targets=torch.tensor(CLASSES))


def layer(width: int, seed: int) -> nn.Linear:
    found = nn.Linear(width, 3).double()
    with torch.no_grad():
        found.weight.copy_(rows(3, width, seed=seed))
        found.bias.copy_(rows(3, seed=seed + 1))
    return found


def filled() -> MoCo:
    host = MoCo(6, 3, T, momentum=0.9).double()
    host.keys.copy_(QUEUE)
    host.rows.copy_(torch.tensor(QUEUE_ROWS))
    return host


Lists = tuple[list[list[float]], list[list[float]]]
CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[Lists, Lists, Lists], list[float]]]] = {
    "focal": (lambda: FocalNTXent(T, 1.5), lambda z, p, k: formulas.focal(*z, T, 1.5)),
    "supcon": (lambda: SupCon(T), lambda z, p, k: formulas.supcon(*z, CLASSES, T)),
    "moco": (filled, lambda z, p, k: formulas.moco(z[0], k[1], INDEX, QUEUE.tolist(), QUEUE_ROWS, T)),
    "moclr": (lambda: MoCLR(T, 0.9), lambda z, p, k: formulas.moclr(*z, *k, T)),
    "simsiam": (lambda: SimSiam(layer(3, 7)), lambda z, p, k: formulas.simsiam(*p, *k)),
    "byol": (lambda: BYOL(layer(3, 7), 0.9), lambda z, p, k: formulas.byol(*p, *k)),
}
"""Host and its losses of the projections of both views, the predicted ones, and the targets, which have no gradient."""


@pytest.mark.parametrize("name", CASES)
def test_a_step_has_the_losses_and_the_gradient_of_the_paper(name: str, batch: Batch) -> None:
    make, formula = CASES[name]
    host: Any = make()
    network = layer(4, 5)
    average = layer(4, 11) if host.momentum is not None else None  # far from the network
    learner = PairLearner(network, host, average=average)
    fixed = (network if average is None else average).weight.tolist(), network.bias.tolist()
    if average is not None:
        fixed = average.weight.tolist(), average.bias.tolist()
    first, second = (view.tolist() for view in batch["inputs"])
    predictor = layer(3, 7)

    def expected(weight: list[list[float]]) -> list[float]:
        z = tuple(formulas.linear(weight, network.bias.tolist(), view) for view in (first, second))
        p = tuple(formulas.linear(predictor.weight.tolist(), predictor.bias.tolist(), rows) for rows in z)
        k = tuple(formulas.linear(*fixed, view) for view in (first, second))
        return formula(z, p, k)  # type: ignore[arg-type]

    step = learner.training_step(batch, 0.0)
    assert step.losses is not None
    torch.testing.assert_close(step.losses.tolist(), expected(network.weight.tolist()), rtol=1e-10, atol=1e-10)
    assert step.loss.item() == pytest.approx(sum(step.losses.tolist()) / SIZE, rel=1e-12)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert network.weight.grad is not None
    for row, column in ((0, 0), (1, 3), (2, 2)):  # by central differences, with the targets where they are
        near = []
        for sign in (1, -1):
            weight = network.weight.tolist()
            weight[row][column] += sign * 1e-5
            near.append(sum(expected(weight)) / SIZE)
        slope = (near[0] - near[1]) / 2e-5
        assert network.weight.grad[row, column].item() == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert average is None or average.weight.grad is None


def test_supcon_of_rows_with_a_class_each_and_focal_of_gamma_0_are_simclr(batch: Batch) -> None:
    alone: Batch = {**batch, "targets": torch.arange(SIZE)}
    plain = PairLearner(layer(4, 5), NTXent(T)).training_step(batch, 0.0)
    assert plain.losses is not None
    found = PairLearner(layer(4, 5), SupCon(T)).training_step(alone, 0.0)
    torch.testing.assert_close(found.losses, plain.losses)
    focal = PairLearner(layer(4, 5), FocalNTXent(T, 0.0)).training_step(batch, 0.0)
    assert focal.losses is not None
    assert focal.losses.equal(plain.losses)
    later = PairLearner(layer(4, 5), FocalNTXent(T, linear(0.0, 3.0))).training_step(batch, 0.5)
    torch.testing.assert_close(later.losses.tolist(), CASES["focal"][1](views(batch), ([], []), ([], [])))  # type: ignore[union-attr]


def views(batch: Batch) -> Lists:
    network = layer(4, 5)
    first, second = (network(view).tolist() for view in batch["inputs"])
    return first, second


@pytest.mark.parametrize("make", [lambda: MoCLR(T, 0.75), lambda: BYOL(layer(3, 7), 0.75), filled])
def test_the_average_over_two_steps_is_by_hand(make: Callable[[], nn.Module], batch: Batch) -> None:
    host: Any = make()
    learner = PairLearner(layer(4, 5), host)
    stay = host.momentum
    by_hand = {name: p.detach().clone() for name, p in learner.network.named_parameters()}
    optimizer = torch.optim.SGD(learner.trainable(), lr=0.5)
    for _ in range(2):
        step = learner.training_step(batch, 0.0)
        optimizer.zero_grad()
        step.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        learner.after_update(batch, step, 0.0)
        for name, p in learner.network.named_parameters():
            by_hand[name] = stay * by_hand[name] + (1 - stay) * p.detach()
    assert learner.average is not None
    for name, mean in learner.average.named_parameters():
        torch.testing.assert_close(mean, by_hand[name], rtol=1e-12, atol=1e-12)
        assert not mean.equal(dict(learner.network.named_parameters())[name])


class Body(nn.Module):
    """Features are the inputs; one projector with batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Projection(4, 0, dim=6)

    def forward(self, x: Tensor) -> Outputs:
        return Outputs(self.head(x), x)


def predictor() -> Projection:
    return Projection(6, 0, dim=6, hidden=3, last="none")


def with_host(name: str, passes: str) -> PairLearner:
    host = SimSiam(predictor(), passes) if name == "simsiam" else BYOL(predictor(), 0.9, passes)
    return PairLearner(Body(), host)


@pytest.mark.parametrize("name", ["simsiam", "byol"])
class TestPredictors:
    def test_are_trained_and_no_part_of_the_encoder(self, name: str, batch: Batch) -> None:
        learner = with_host(name, "split")
        step = learner.training_step(single(batch), 0.0)
        step.loss.backward()  # type: ignore[no-untyped-call]
        trained = {id(p) for group in learner.trainable() for p in group["params"]}
        for part in (learner.network, learner.host.predictor):
            assert {id(p) for p in part.parameters()} <= trained
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in learner.host.predictor.layers[3].parameters())
        assert learner.inference().network is learner.network

    def test_have_a_pass_for_each_view_or_one_for_both(self, name: str, batch: Batch) -> None:
        for passes, count in (("split", 2), ("joint", 1)):
            learner = with_host(name, passes)
            learner.training_step(single(batch), 0.0)
            assert int(learner.host.predictor.layers[1].num_batches_tracked) == count

    def test_take_a_batch_of_one_row(self, name: str, batch: Batch) -> None:
        first, second = (view[:1].float() for view in batch["inputs"])
        learner = with_host(name, "split")
        step = learner.training_step(Batch(inputs=(first, second), index=torch.tensor([0])), 0.0)
        assert step.loss.isfinite()


def single(batch: Batch) -> Batch:
    first, second = (view.float() for view in batch["inputs"])
    return {**batch, "inputs": (first, second)}


def test_one_view_only_is_refused(batch: Batch) -> None:
    learner = PairLearner(layer(4, 5), NTXent(T))
    with pytest.raises(ValueError, match=r"^inputs must be two views of the same rows, got one; draw them with"):
        learner.training_step({**batch, "inputs": batch["inputs"][0]}, 0.0)
    with pytest.raises(ValueError, match=r"^inputs must be two views of the same rows, got 3; draw them with"):
        learner.training_step({**batch, "inputs": (batch["inputs"][0],) * 3}, 0.0)
