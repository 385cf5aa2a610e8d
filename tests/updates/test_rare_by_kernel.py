"""The part of a loss that some rows have, where loss and losses come out of one kernel."""

from __future__ import annotations

import pytest
import torch
from tests.cases import cases
from tests.kernels import DEVICE, QUIET, by_formula, by_kernel, kernels
from torch import nn

from longtail import losses
from longtail.facts.types import Batch
from longtail.learners import SupervisedLearner
from longtail.updates import SAM, ByClass, ImbSAM
from longtail.updates.passes import weighted

pytestmark = [QUIET, pytest.mark.slow]  # the interpreter of kernels is NumPy
__all__ = ["kernels"]
COUNTS = torch.tensor([30, 9, 2])
LOSSES = {
    "batch": lambda: losses.CrossEntropyLoss(),
    "weights": lambda: losses.CrossEntropyLoss(COUNTS, class_weight="inverse"),
    "sum": lambda: losses.CrossEntropyLoss(reduction="sum"),
    "a number": lambda: losses.CrossEntropyLoss(normalize=7.0),
    "sigmoid": lambda: losses.ClassBalancedLoss(COUNTS, base="sigmoid"),
}


def rows() -> Batch:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(11, 4, generator=generator, dtype=torch.float64)
    targets = torch.arange(11) % 3
    return Batch(inputs=inputs.to(DEVICE), index=torch.arange(11).to(DEVICE), targets=targets.to(DEVICE))


def learner(name: str) -> SupervisedLearner:
    torch.manual_seed(0)
    return SupervisedLearner(nn.Linear(4, 3).double(), LOSSES[name]()).to(DEVICE)


@cases("name", LOSSES)
def test_its_gradient_is_that_of_the_formula(name: str) -> None:
    def gradient(one: SupervisedLearner) -> torch.Tensor:
        step = one.training_step(rows(), 0.0)
        part = weighted(step, torch.linspace(0, 1, 11, dtype=torch.float64, device=DEVICE))
        return torch.autograd.grad(part, one.network.weight)[0]

    ours = learner(name)
    assert ours.training_step(rows(), 0.0).losses.grad_fn is not None
    if name != "a number":
        assert by_kernel(ours.training_step(rows(), 0.0).loss)
    found = gradient(ours)
    with by_formula():
        torch.testing.assert_close(found, gradient(learner(name)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SAM(0.1, ascent=ByClass(torch.tensor([0.1, 1.0, 3.0]))),
        lambda: ImbSAM(torch.tensor([False, True, True])),
    ],
    ids=["sam-a", "imbsam"],
)
def test_steps_by_class_are_those_of_the_formula(make) -> None:  # type: ignore[no-untyped-def]
    def stepped() -> torch.Tensor:
        one = learner("weights")
        update = make()
        if isinstance(update, nn.Module):
            update.to(DEVICE)
        update(one, rows(), torch.optim.SGD(one.parameters(), lr=0.1), 0.0)
        return one.network.weight.detach()

    found = stepped()
    with by_formula():
        torch.testing.assert_close(found, stepped(), rtol=1e-10, atol=1e-12)
