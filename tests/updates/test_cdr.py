"""CDR: which numbers are critical, what moves them and the others; against plain loops in float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tests.updates import steps_by_hand as hand
from tests.updates.test_recover import batches
from tests.updates.test_sam import batch, network, same, stepped
from tests.updates.test_steps import LR, flat, small
from torch import Tensor, nn

from longtail import models
from longtail.engine.gradient_scaler import GradientScaler
from longtail.facts.schedules import switch
from longtail.facts.types import Batch
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.updates import CDR, ClosureStep, Descend
from longtail.updates.cdr import critical


def chosen(w: Sequence[float], g: Sequence[float], places: Sequence[int], rate: float) -> set[int]:
    """The places of the largest |w g|, one at least."""
    ranked = sorted(places, key=lambda i: -abs(w[i] * g[i]))
    return set(ranked[: max(1, int((1 - rate) * len(places) + 1e-9))])


@pytest.mark.parametrize("decay", ["optimizer", "sign"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("rate", [0.3, 0.9, 0.999, switch(0.5, 0.1, 0.6)])
def test_the_path_of_several_steps(rate: Any, scaled: bool, decay: str) -> None:
    mu, wd = 0.9, 0.05
    learner, update = small(), CDR(rate, scaled=scaled, decay=decay)
    w = flat(learner)
    v = [0.0] * len(w)
    optimizer = torch.optim.SGD(learner.parameters(), lr=LR, momentum=mu, weight_decay=wd)
    others = 0
    for k, rows in enumerate(batches()):
        update(learner, rows, optimizer, k / 8)
        r = rate if isinstance(rate, float) else (0.1 if k < 4 else 0.6)
        xs, ys = rows["inputs"].tolist(), rows["targets"].tolist()  # type: ignore[union-attr]
        g = hand.gradient(w, xs, ys, [1 / 6] * 6)
        best = chosen(w, g, hand.WEIGHTS, r)
        others += len(hand.WEIGHTS) - len(best)
        moved = []
        for i, (a, b) in enumerate(zip(w, g, strict=True)):
            is_weight, keeps = i in hand.WEIGHTS, i in best
            kept = (b * (1 - r if scaled else 1.0) if keeps else 0.0) if is_weight else b
            v[i] = mu * v[i] + kept + (wd * a if decay == "optimizer" else 0.0)
            if decay == "optimizer":
                moved.append(a - LR * v[i])
            else:
                start = a if is_weight and not keeps else a - LR * v[i]
                moved.append(start - LR * wd * ((a > 0) - (a < 0)))
        w = moved
        torch.testing.assert_close(torch.tensor(flat(learner)), torch.tensor(w), rtol=1e-9, atol=1e-11)
    assert others > 0
    assert {group["weight_decay"] for group in optimizer.param_groups} == {wd}


def conv() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)
    return nn.Sequential(*layers).double()


IMAGES = Batch(
    inputs=torch.rand(12, 1, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
    targets=torch.arange(12) % 3,
    index=torch.arange(12),
)


def test_convolutions_and_linear_layers_are_ranked_together_and_the_rest_takes_the_plain_step() -> None:
    learner = SupervisedLearner(conv(), CrossEntropyLoss())
    plain = copy.deepcopy(learner)
    for one, update in ((learner, CDR(0.4, scaled=False)), (plain, Descend())):
        update(one, IMAGES, torch.optim.SGD(one.parameters(), lr=0.1), 0.0)  # type: ignore[operator]
    start = conv()
    before = dict(start.named_parameters())
    start(IMAGES["inputs"])
    gradients = {n: p.grad for n, p in plain.network.named_parameters() if p.grad is not None}
    weights = {n: p for n, p in before.items() if n in ("0.weight", "4.weight")}
    w = [float(x) for p in weights.values() for x in p.detach().flatten()]
    g = [float(x) for n in weights for x in gradients[n].flatten()]
    best = chosen(w, g, range(len(w)), 0.4)
    kept = torch.tensor([float(i in best) for i in range(len(w))], dtype=torch.float64).split(
        [p.numel() for p in weights.values()]
    )
    shares = [float(part.mean()) for part in kept]
    assert min(shares) < 0.6 < max(shares)  # not layer by layer
    masks = dict(zip(weights, kept, strict=True))
    for name, p in learner.network.named_parameters():
        mask = masks[name].reshape(p.shape) if name in masks else 1.0
        torch.testing.assert_close(p, before[name] - 0.1 * gradients[name] * mask, rtol=1e-12, atol=1e-14)
    assert learner.network.get_buffer("1.num_batches_tracked").item() == 1
    for name, value in plain.network.named_buffers():
        assert learner.network.get_buffer(name).equal(value), name


def test_a_share_that_is_a_tensor_is_the_same_number() -> None:
    """Of a captured step: nothing may wait for it."""
    generator = torch.Generator().manual_seed(0)
    w, g = (torch.randn(2, 50, generator=generator) for _ in range(2))
    for share in (0.29, 0.1, 1.0, 1e-6, 0.995):
        plain = critical([w[0], w[1]], [g[0], g[1]], share)
        traced = critical([w[0], w[1]], [g[0], g[1]], torch.tensor(share, dtype=torch.float64))
        assert all(a.equal(b) for a, b in zip(plain, traced, strict=True))
        assert sum(int(mask.sum()) for mask in plain) == max(1, round(100 * share - 0.4))
    assert critical([], [], 0.5) == []


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_with_rate_0_it_is_the_plain_step_bit_for_bit(scaled: bool, dropout: float) -> None:
    learner = SupervisedLearner(network(dropout=dropout), CrossEntropyLoss())
    plain = stepped(learner, Descend())
    assert same(stepped(learner, CDR(0.0, scaled=scaled)), plain)
    assert not same(stepped(learner, CDR(0.2, scaled=scaled)), plain)


@pytest.mark.parametrize("decay", ["optimizer", "sign"])
def test_weight_decay_acts_on_what_is_not_critical(decay: str) -> None:
    learner = SupervisedLearner(network(), CrossEntropyLoss())
    weight = learner.network.get_parameter("0.weight")
    before = weight.detach().clone()
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1, weight_decay=0.01)
    CDR(0.9, decay=decay)(learner, batch(), optimizer, 0.0)
    shrunk = before - 0.1 * 0.01 * (before if decay == "optimizer" else before.sign())
    close = torch.isclose(weight, shrunk, rtol=1e-6, atol=1e-9)
    assert 0.5 < close.float().mean() < 1
    assert not bool((weight == before).any())


def test_parameters_without_gradient_are_not_ranked() -> None:
    model = network()
    model.register_parameter("unused", nn.Parameter(torch.full((1000, 4), 9.0)))
    learner = SupervisedLearner(model, CrossEntropyLoss())
    alone = SupervisedLearner(network(), CrossEntropyLoss())
    for one in (learner, alone):
        CDR(0.5)(one, batch(), torch.optim.SGD(one.parameters(), lr=0.1), 0.0)
    for name, value in alone.network.state_dict().items():
        assert model.state_dict()[name].equal(value), name


@pytest.mark.parametrize("decay", ["optimizer", "sign"])
def test_an_overflow_of_float16_changes_nothing(decay: str) -> None:
    torch.manual_seed(0)
    net = models.build("mlp", input_shape=(4,), num_classes=3, hidden=(8,), precision="float16")
    learner = SupervisedLearner(net, CrossEntropyLoss())
    optimizer, update = torch.optim.SGD(learner.trainable(), lr=0.1, weight_decay=0.1), CDR(0.3, decay=decay)
    scaler = GradientScaler.attach(learner, optimizer)
    assert scaler is not None
    update(learner, batch(), optimizer, 0.0)
    weights = copy.deepcopy(learner.state_dict())
    scaler.scale.fill_(2.0**40)
    update(learner, batch(), optimizer, 0.0)
    assert float(scaler.scale) == 2.0**39
    assert all(value.equal(weights[name]) for name, value in learner.state_dict().items())
    scaler.scale.fill_(2.0**10)
    update(learner, batch(), optimizer, 0.0)
    assert not learner.state_dict()["network.body.1.weight"].equal(weights["network.body.1.weight"])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"rate": 1.0}, r"rate must be in \[0, 1\), got 1.0"),
        ({"rate": -0.1}, r"rate must be in \[0, 1\), got -0.1"),
        ({"rate": switch(0.5, 0.0, 1.0)}, r"rate must be in \[0, 1\), got 1.0"),
        ({"decay": "l1"}, 'decay must be "optimizer" or "sign", got \'l1\''),
    ],
)
def test_knobs_out_of_range_are_refused(knobs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CDR(**knobs)


def test_a_schedule_needs_progress() -> None:
    net = network()
    step = ClosureStep(CDR(switch(0.5, 0.0, 0.2)), net, torch.optim.SGD(net.parameters(), lr=0.1))
    with pytest.raises(TypeError, match=r"rate is the schedule .* and needs progress"):
        step.step(lambda: nn.functional.cross_entropy(net(batch()["inputs"]), batch()["targets"]))


def test_nothing_to_rank_is_the_plain_step() -> None:
    """A stage that trains factors alone."""

    class Scales(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    learner = SupervisedLearner(Scales(), CrossEntropyLoss())
    assert same(stepped(learner, CDR(0.5)), stepped(learner, Descend()))
    assert not same(stepped(learner, CDR(0.5, decay="sign")), learner.state_dict())
