"""Labels that the network finds improbable are left out: when this is computed, of what, and what it does to a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from longtail.data import Examples
from longtail.facts.types import Batch
from longtail.instance_weights import ABSGD
from longtail.learners import SupervisedLearner, all_rows
from longtail.learners.mixing import Mixer
from longtail.losses import GeneralizedCrossEntropyLoss
from longtail.targets import Truncated
from longtail.updates import Descend

N, C = 23, 3
G = torch.Generator().manual_seed(0)
ROWS = Examples(torch.randn(N, 4, generator=G), torch.randint(C, (N,), generator=G), ("a", "b", "c"))


def network() -> nn.Module:
    """With what differs in training mode."""
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, C))


def probability(z: list[float], y: int) -> float:
    top = max(z)
    return math.exp(z[y] - top) / math.fsum(math.exp(v - top) for v in z)


def batch(rows: list[int], weight: list[float] | None = None) -> Batch:
    index = torch.tensor(rows)
    made = Batch(inputs=ROWS.inputs[index], index=index, targets=ROWS.targets[index])
    if weight is not None:
        made["sample_weight"] = torch.tensor(weight)
    return made


@contextmanager
def counted_passes(learner: SupervisedLearner, passes: list[int], number: int) -> Iterator[None]:
    """Inside, each pass of the network is noted by a number."""
    hook = learner.network.register_forward_hook(lambda *_: passes.append(number))
    yield
    hook.remove()


@pytest.mark.parametrize("chunk", [1024, 5])
def test_weights_are_by_the_present_network_in_evaluation_mode(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_rows, "CHUNK", chunk)
    learner = SupervisedLearner(network(), GeneralizedCrossEntropyLoss(), targets=Truncated(N, 0.35, start=0.0))
    learner.network[0].running_mean.fill_(0.3)  # unlike the rows', so that the mode shows
    learner.train()
    before = torch.get_rng_state()
    learner.start_epoch(ROWS, 0.0)
    assert learner.training
    assert torch.equal(torch.get_rng_state(), before)
    assert (learner.network[0].running_mean == 0.3).all()
    learner.eval()
    z, y = learner.network(ROWS.inputs).tolist(), ROWS.targets.tolist()
    expected = [float(probability(row, k) > 0.35) for row, k in zip(z, y, strict=True)]
    assert learner.targets.weight.tolist() == expected
    assert 0 < sum(expected) < N
    assert learner.targets.epoch_record() == {"kept": pytest.approx(sum(expected) / N)}


@pytest.mark.parametrize(
    ("epochs", "start", "every", "expected"),
    [
        (120, 1 / 3, 1 / 12, [40, 50, 60, 70, 80, 90, 100, 110]),  # as published
        (12, 1 / 3, 1 / 12, [4, 5, 6, 7, 8, 9, 10, 11]),
        (5, 1 / 3, 1 / 12, [2, 3, 4]),  # a period is shorter than an epoch
        (10, 0.0, 0.25, [0, 3, 5, 8]),  # where they begin within an epoch, the next
        (7, 0.5, 1.0, [4]),
        (7, 0.9, 0.5, []),
        (10, 0.3, 0.1, [3, 4, 5, 6, 7, 8, 9]),  # 0.3 + k 0.1 is no exact sum of floats
    ],
)
def test_they_are_computed_once_a_period(epochs: int, start: float, every: float, expected: list[int]) -> None:
    learner = SupervisedLearner(
        network(), GeneralizedCrossEntropyLoss(), targets=Truncated(N, start=start, every=every)
    )
    passes: list[int] = []
    for epoch in range(epochs):
        with counted_passes(learner, passes, epoch):
            learner.start_epoch(ROWS, epoch / epochs)
            learner.start_epoch(ROWS, epoch / epochs)  # of the same epoch
    assert passes == expected


def test_a_state_in_the_middle_of_a_period_goes_on_with_its_weights() -> None:
    targets = Truncated(N, 0.35, start=0.0, every=0.5)
    SupervisedLearner(network(), GeneralizedCrossEntropyLoss(), targets=targets).start_epoch(ROWS, 0.0)
    other = Truncated(N, 0.35, start=0.0, every=0.5)
    other.load_state_dict(targets.state_dict())
    assert torch.equal(other.weight, targets.weight)
    passes: list[int] = []
    learner = SupervisedLearner(network(), GeneralizedCrossEntropyLoss(), targets=other)
    for tenth in (4, 5):
        with counted_passes(learner, passes, tenth):
            learner.start_epoch(ROWS, tenth / 10)
    assert passes == [5]


def truncated(weight: list[float], **slots: Any) -> SupervisedLearner:
    targets = Truncated(N)
    targets.weight[: len(weight)] = torch.tensor(weight)
    torch.manual_seed(1)
    return SupervisedLearner(nn.Linear(4, C), GeneralizedCrossEntropyLoss(), targets=targets, **slots)


@pytest.mark.parametrize("weight", [None, [1.0, 0.5, 2.0, 0.0, 3.0]])
def test_the_mean_is_over_all_rows_of_the_batch(weight: list[float] | None) -> None:
    kept = [1.0, 0.0, 1.0, 1.0, 0.0]
    learner = truncated(kept)
    z = learner.network(ROWS.inputs[:5]).tolist()
    p = [probability(row, k) for row, k in zip(z, ROWS.targets[:5].tolist(), strict=True)]
    s = weight or [1.0] * 5
    losses = [s_i * w_i * (1 - p_i**0.7) / 0.7 for s_i, w_i, p_i in zip(s, kept, p, strict=True)]
    step = learner.training_step(batch([0, 1, 2, 3, 4], weight), 0.5)
    assert step.loss.item() == pytest.approx(math.fsum(losses) / sum(s), rel=1e-5)
    torch.testing.assert_close(step.losses.detach(), torch.tensor(losses), rtol=1e-5, atol=1e-7)


def test_while_all_rows_are_kept_it_is_the_loss_itself_bit_for_bit() -> None:
    rows = batch([3, 7, 1])
    plain = SupervisedLearner(truncated([]).network, GeneralizedCrossEntropyLoss())
    assert torch.equal(truncated([]).training_step(rows, 0.0).loss, plain.training_step(rows, 0.0).loss)


@pytest.mark.parametrize("weights", [None, ABSGD(-1.0)])
def test_a_batch_of_rows_that_are_left_out_has_loss_0_and_moves_nothing(weights: nn.Module | None) -> None:
    learner = truncated([0.0] * 5, weights=weights)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    step = Descend()(learner, batch([0, 1, 2, 3, 4]), torch.optim.SGD(learner.parameters(), lr=1.0), 0.5)
    assert step.loss.item() == 0
    assert all(torch.equal(value, before[name]) for name, value in learner.network.state_dict().items())


def test_instance_weights_are_of_the_rows_that_are_kept() -> None:
    """mean over all rows of w_i p_i l_i, p_i = e^(-l_i) / the mean of e^(-l) over the rows that are kept."""
    kept = [1.0, 0.0, 1.0, 1.0, 0.0]
    learner = truncated(kept, weights=ABSGD(-1.0, gamma=1.0))
    losses = truncated([]).training_step(batch([0, 1, 2, 3, 4]), 0.5).losses.tolist()
    left = [loss for loss, w in zip(losses, kept, strict=True) if w]
    s = math.fsum(math.exp(-loss) for loss in left) / len(left)
    expected = math.fsum(math.exp(-loss) / s * loss for loss in left) / 5
    assert learner.training_step(batch([0, 1, 2, 3, 4]), 0.5).loss.item() == pytest.approx(expected, rel=1e-5)


def test_rows_that_are_mixed_cannot_be_left_out() -> None:
    with pytest.raises(
        ValueError, match=r"^mixing must be None for Truncated, whose weights are of whole rows, got Mi"
    ):
        truncated([], mixing=Mixer(1))


@pytest.mark.parametrize(("name", "value"), [("k", 0), ("k", 1), ("start", -0.1), ("start", 1.5), ("every", 0)])
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be in .*, got {value}; choose a value in that range"):
        Truncated(N, **{name: value})
