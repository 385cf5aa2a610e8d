"""RECOVER: the recursion of value and gradient, its identities, its state."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from tests.updates import steps_by_hand as hand
from tests.updates.test_sam import batch, network, same, stepped
from tests.updates.test_steps import LR, flat, small
from torch import Tensor, nn

from longtail import models
from longtail.engine import state_files
from longtail.engine.gradient_scaler import GradientScaler
from longtail.facts.schedules import steps, switch
from longtail.facts.types import Batch
from longtail.instance_weights import ABSGD, TERM
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.updates import RECOVER, SAM, Descend


def batches(number: int = 8) -> list[Batch]:
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(number):
        inputs = 2 * torch.randn(6, hand.D, generator=generator, dtype=torch.float64)
        targets = torch.randint(hand.C, (6,), generator=generator)
        found.append(Batch(inputs=inputs, targets=targets, index=torch.arange(6)))
    return found


def path(update: Any, learner: SupervisedLearner | None = None, lr: float = LR) -> list[list[float]]:
    """The parameters after each step."""
    learner = small() if learner is None else learner
    optimizer = torch.optim.SGD(learner.parameters(), lr=lr)
    found = []
    for k, rows in enumerate(batches()):
        update(learner, rows, optimizer, k / 8)
        found.append(flat(learner))
    return found


def close(ours: list[list[float]], theirs: list[list[float]]) -> None:
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("clamp", [False, True])
@pytest.mark.parametrize(
    ("lam", "a", "restart"),
    [(0.7, 0.8, 0.0), (0.7, 0.1, 0.0), (switch(0.5, 200.0, 1.0), 0.5, 0.0), (2.0, 0.3, steps((0.25, 0.75), (0, 1, 2)))],
)
def test_is_the_recursion_of_the_paper(lam: Any, a: float, restart: Any, clamp: bool) -> None:
    w, by_hand, theirs = flat(small()), hand.Recover(clamp), []
    for k, rows in enumerate(batches()):
        values = [knob if isinstance(knob, float) else float(knob(k / 8)) for knob in (lam, a, restart)]
        w = by_hand.step(w, rows["inputs"].tolist(), rows["targets"].tolist(), LR, *values)  # type: ignore[union-attr]
        theirs.append(w)
    close(path(RECOVER(lam, a, restart=restart, clamp=clamp)), theirs)
    assert by_hand.restarts >= (1 if lam == 0.7 else 2 if isinstance(restart, float) else 3)


def test_where_the_estimate_loses_its_sign_it_starts_anew() -> None:
    """A learning rate so large that g falls by more than u in one step."""
    w, by_hand, theirs = flat(small()), hand.Recover(), []
    for rows in batches():
        w = by_hand.step(w, rows["inputs"].tolist(), rows["targets"].tolist(), 4.0, 0.3, 0.05, 0.0)  # type: ignore[union-attr]
        theirs.append(w)
    assert by_hand.restarts > 1
    close(path(RECOVER(0.3, 0.05), lr=4.0), theirs)


@pytest.mark.parametrize("weights", [TERM(1 / 0.7), ABSGD(0.7, 1.0)])
def test_with_a_share_of_1_it_is_the_step_of_the_batchs_own_weights(weights: Any) -> None:
    learner = small()
    close(path(RECOVER(0.7, 1.0)), path(Descend(), SupervisedLearner(learner.network, learner.loss, weights=weights)))


def test_with_infinite_lambda_and_a_share_of_1_it_is_the_plain_step() -> None:
    close(path(RECOVER(math.inf, 1.0)), path(Descend()))


def test_the_pass_at_the_former_parameters_changes_nothing_and_has_the_same_dropout() -> None:
    seen: list[Tensor] = []
    model = network(dropout=0.5)
    model[2].register_forward_hook(lambda module, inputs, output: seen.append(output == 0))  # type: ignore[index, arg-type]
    learner = SupervisedLearner(model, CrossEntropyLoss())
    after, plain = stepped(learner, RECOVER(2.0, 0.9), steps=2), stepped(learner, Descend(), steps=2)
    assert int(after["network.1.num_batches_tracked"]) == 2
    assert after["next random number"].equal(plain["next random number"])
    first, again, second, again_second = seen[:4]
    assert first.equal(again)
    assert second.equal(again_second)
    assert not first.equal(second)


def test_losses_of_any_size_give_finite_steps() -> None:
    learner = SupervisedLearner(nn.Linear(4, 3), CrossEntropyLoss())
    with torch.no_grad():
        learner.network.weight.mul_(1e5)
    assert all(v.isfinite().all() for v in stepped(learner, RECOVER(0.01, 0.5), steps=5).values())


def test_micro_batches_are_the_batch() -> None:
    rows = batch(torch.float64)
    halves = [Batch({k: v[s] for k, v in rows.items()}) for s in (slice(0, 6), slice(6, 12))]  # type: ignore[index, typeddict-item]
    for make in (lambda: RECOVER(0.7, 0.6), lambda: SAM(0.3)):
        found = []
        for given in (rows, halves):
            learner, update = small(), make()
            optimizer = torch.optim.SGD(learner.parameters(), lr=LR)
            for _ in range(3):
                update(learner, given, optimizer, 0.0)
            found.append(flat(learner))
        close([found[0]], [found[1]])


def test_resumes_to_the_bit(tmp_path: Any) -> None:
    learner = SupervisedLearner(network(), CrossEntropyLoss())
    whole = stepped(learner, update := RECOVER(0.5, 0.5), steps=1)
    del whole["next random number"]
    state_files.save(tmp_path / "state", update.state_dict())
    again = RECOVER(0.5, 0.5)
    again.load_state_dict(state_files.load(tmp_path / "state"))
    other = copy.deepcopy(learner)
    other.load_state_dict(whole)
    assert same(stepped(other, again), stepped(other, update))
    assert not same(stepped(other, RECOVER(0.5, 0.5)), stepped(other, again))


def test_an_overflow_does_not_reach_the_state() -> None:
    torch.manual_seed(0)
    network = models.build("mlp", input_shape=(4,), num_classes=3, hidden=(8,), precision="float16")
    learner = SupervisedLearner(network, CrossEntropyLoss())
    optimizer, update = torch.optim.SGD(learner.trainable(), lr=0.1, momentum=0.9), RECOVER(1.0, 0.5)
    scaler = GradientScaler.attach(learner, optimizer)
    assert scaler is not None
    for _ in range(2):
        update(learner, batch(), optimizer, 0.0)
    before, weights = state_files.cloned(update.state_dict()), copy.deepcopy(learner.state_dict())
    scaler.scale.fill_(2.0**40)
    update(learner, batch(), optimizer, 0.0)
    assert float(scaler.scale) == 2.0**39
    assert all(value.equal(weights[name]) for name, value in learner.state_dict().items())
    for name, value in update.state_dict().items():
        pairs = zip(value, before[name], strict=True) if isinstance(value, list) else [(value, before[name])]
        assert all(a.equal(b) for a, b in pairs), name


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"lam": 0.0}, "lam must be > 0, got 0.0"),
        ({"lam": -5.0}, "lam must be > 0, got -5.0"),
        ({"a": 0.0}, r"a must be in \(0, 1\], got 0.0"),
        ({"restart": math.inf}, "restart must be finite, got inf"),
    ],
)
def test_knobs_out_of_range_are_refused(knobs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RECOVER(**knobs)


def test_another_network_needs_another_state() -> None:
    update = RECOVER(1.0)
    stepped(SupervisedLearner(network(), CrossEntropyLoss()), update)
    with pytest.raises(ValueError, match="the state must be of 6 parameters, got 2; use a new RECOVER"):
        stepped(SupervisedLearner(nn.Linear(4, 3), CrossEntropyLoss()), update)
