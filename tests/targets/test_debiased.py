"""RECORDS by hand: the mean feature, the prior of the present head, and what the confidences are updated by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from longtail.facts.types import Batch, Outputs
from longtail.functional import candidate_activation
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.models import Network, Standardize
from longtail.targets import Confidences, Debiased, Records
from longtail.updates import Descend

SETS = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]]).bool()
INPUTS = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def batch(rows: list[int]) -> Batch:
    index = torch.tensor(rows)
    return Batch(inputs=INPUTS[index], index=index, targets=SETS[index])


def network() -> Network:
    torch.manual_seed(0)
    head: Any = torch.nn.Linear(2, 3)
    return Network(Standardize(2), torch.nn.Identity(), head).double()


def softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


@pytest.mark.parametrize("second_pass", [False, True])
@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_two_steps_by_hand(second_pass: bool, tau: float) -> None:
    targets = Records(Confidences(SETS, second_pass=second_pass), 2, 3, momentum=0.9, tau=tau).double()
    learner = SupervisedLearner(network(), CrossEntropyLoss(), targets=targets)
    head: Any = learner.network.head
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.5)
    mean, q = np.zeros(2), (SETS / SETS.sum(1, keepdim=True)).double().numpy()

    def answer(x: np.ndarray) -> np.ndarray:
        return np.asarray(x @ head.weight.detach().numpy().T + head.bias.detach().numpy())

    for rows in ([0, 2, 3], [3, 4, 1, 0]):
        given = batch(rows)
        x, before = given["inputs"].numpy(), answer(given["inputs"].numpy())
        mean = 0.9 * mean + 0.1 * x.mean(0)
        prior = softmax(answer(mean))
        raw = -(q[rows] * np.log(softmax(before))).sum(1).mean()
        step = Descend()(learner, given, optimizer, 0.0)
        assert step.loss.item() == pytest.approx(raw, rel=1e-6), "the loss has the raw logits"
        learner.after_update(given, step, 0.0)
        if second_pass:
            before, prior = answer(x), softmax(answer(mean))
        inside = np.where(SETS.numpy()[rows], softmax(before - tau * np.log(prior + 1e-9)), 0)
        q[rows] = inside / inside.sum(1, keepdims=True)
        np.testing.assert_allclose(targets.inner.confidence.numpy(), q, rtol=1e-6)
        np.testing.assert_allclose(targets.mean.numpy(), mean, rtol=1e-6)
        np.testing.assert_allclose(targets.prior.numpy(), softmax(answer(mean)), rtol=1e-6)
        np.testing.assert_allclose(targets.epoch_record()["prior"], softmax(answer(mean)), rtol=1e-6)
    offsets = targets.offsets()
    assert offsets is not None
    np.testing.assert_allclose(
        learner.inference().scores(INPUTS).detach().numpy(), answer(INPUTS.numpy()) - offsets.numpy(), rtol=1e-6
    )
    np.testing.assert_allclose(softmax(offsets.numpy() / tau), (targets.prior + 1e-9).numpy() / (1 + 3e-9), rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 7, 10])
def test_a_uniform_prior_changes_no_bit_of_proden(classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    sets = torch.rand(20, classes, generator=generator) < 0.5
    sets[:, 0] = True
    given = Batch(inputs=torch.zeros(20, 4), index=torch.arange(20), targets=sets)
    outputs = Outputs(5 * torch.randn(20, classes, generator=generator), torch.randn(20, 4, generator=generator))
    flat: Any = torch.nn.Linear(4, classes)
    torch.nn.init.zeros_(flat.weight)
    torch.nn.init.constant_(flat.bias, 0.3)
    outputs = outputs._replace(extra={"head": flat})
    plain, tracked = Confidences(sets), Records(Confidences(sets), 4, classes)
    for one in (plain, tracked):
        one(given, outputs, 0.0)
        one.observe(given, outputs, 0.0)
    assert tracked.inner.confidence.equal(plain.confidence)
    constant = Debiased(Confidences(sets), torch.full((classes,), 1 / classes))
    constant.observe(given, outputs, 0.0)
    assert constant.inner.confidence.equal(plain.confidence)
    assert constant.offsets().tolist() == [0.0] * classes  # type: ignore[union-attr]


def test_a_further_pass_of_the_step_moves_nothing() -> None:
    targets = Records(Confidences(SETS), 2, 3).double()
    learner = SupervisedLearner(network(), CrossEntropyLoss(), targets=targets)
    learner.training_step(batch([0, 1]), 0.0)
    before = {name: t.clone() for name, t in targets.state_dict().items()}
    with learner.held(again=True):
        learner.training_step(batch([2, 3]), 0.0)
    assert all(t.equal(before[name]) for name, t in targets.state_dict().items())
    learner.training_step(batch([2, 3]), 0.0)
    assert not targets.mean.equal(before["mean"])


def test_activation_values_come_from_the_adjusted_logits() -> None:
    prior = torch.tensor([0.8, 0.15, 0.05])
    targets = Debiased(Confidences(SETS, rule=candidate_activation), prior)
    logits = torch.tensor([[2.0, 1.5, 0.0]])
    targets.observe(Batch(inputs=INPUTS[:1], index=torch.tensor([0]), targets=SETS[:1]), Outputs(logits), 0.0)
    shifted = logits[0].double().numpy() - np.log(prior.double().numpy() / 0.8)
    values = np.where(SETS[0].numpy(), np.abs(shifted - 1) * shifted, -np.inf)
    assert targets.inner.confidence[0].tolist() == [float(k == values.argmax()) for k in range(3)]
    assert values.argmax() == 1


def test_without_strength_there_are_no_offsets() -> None:
    assert Records(Confidences(SETS), 2, 3, tau=0.0).offsets() is None
