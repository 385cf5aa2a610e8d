"""The step of adaptive regularisation: that of the formula, and the plain one where nothing is regularised."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import har_formulas as formulas
from torch import Tensor, nn

from longtail import losses
from longtail.facts.types import Batch
from longtail.functional.adaptive_regularisation import gradient_norms
from longtail.learners import SupervisedLearner
from longtail.models import Network, Standardize
from longtail.models.hidden import Hidden
from longtail.updates import Descend
from longtail.updates.adaptive import AdaptiveRegularisation

D, H, C = formulas.D, formulas.H, formulas.C
STRENGTHS = torch.tensor([0.3, 1.0, 0.0])


def batch() -> Batch:
    inputs = torch.randn(7, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Batch(inputs=inputs, targets=torch.tensor([0, 1, 2, 1, 0, 2, 1]), index=torch.arange(7))


def learner(loss: losses.Loss | None = None) -> SupervisedLearner:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, H), nn.Tanh())
    network = Network(Standardize(D), body, nn.Linear(H, C)).double()
    return SupervisedLearner(network, losses.CrossEntropyLoss() if loss is None else loss)


def flat(learner: SupervisedLearner) -> list[float]:
    return torch.cat([p.detach().flatten() for p in learner.parameters()]).tolist()


@cases("reg_weight, per_row", [(0.7, False), (10.0, False), (0.3, True)])
def test_is_the_step_of_the_formula(reg_weight: float, per_row: bool) -> None:
    one = learner()
    rows: Any = batch()
    arguments = (rows["inputs"].tolist(), rows["targets"].tolist(), STRENGTHS.tolist(), reg_weight, per_row)
    expected = formulas.step(flat(one), 0.3, *arguments)
    loss = formulas.objective(flat(one), *arguments)
    update = AdaptiveRegularisation(STRENGTHS, reg_weight, Hidden, per_row=per_row)
    step = update(one, rows, torch.optim.SGD(one.parameters(), lr=0.3), 0.0)
    assert step.loss.item() == pytest.approx(loss, rel=1e-6)  # strengths are float32
    assert flat(one) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert step.losses is not None
    assert len(step.losses) == 7


def stepped(update: Any, one: SupervisedLearner, steps: int = 3) -> dict[str, Tensor]:
    one = copy.deepcopy(one).train()
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(steps):
        update(one, batch(), optimizer, 0.9)
    return one.state_dict()


def test_at_weight_0_it_is_the_plain_step_bit_for_bit() -> None:
    plain = stepped(Descend(), learner())
    found = stepped(AdaptiveRegularisation(STRENGTHS, 0.0, Hidden), learner())
    assert all(torch.equal(value, found[name]) for name, value in plain.items())
    nothing = stepped(AdaptiveRegularisation(0 * STRENGTHS, 10.0, Hidden), learner())
    assert all(torch.equal(value, nothing[name]) for name, value in plain.items())
    other = stepped(AdaptiveRegularisation(STRENGTHS, 0.1, Hidden), learner())
    assert not torch.equal(other["network.body.0.weight"], plain["network.body.0.weight"])


def test_class_weights_of_the_loss_are_part_of_what_is_differentiated() -> None:
    weight = torch.tensor([1.0, 4.0, 0.25])
    one, rows = learner(losses.CrossEntropyLoss(class_weight=weight)), batch()
    network: Any = one.network
    hidden = [network.body[0](network.standardize(rows["inputs"]))]
    hidden.append(network.body[2](hidden[0].tanh()))
    logits = network.head(hidden[1].tanh())
    loss = nn.functional.cross_entropy(logits, rows["targets"], weight=weight.double())
    norms = [g.norm(dim=1) for g in torch.autograd.grad(loss, hidden)]
    expected = loss + 2.0 * (STRENGTHS[rows["targets"]] * (norms[0] + norms[1])).mean()
    step = AdaptiveRegularisation(STRENGTHS, 2.0, Hidden)(one, rows, torch.optim.SGD(one.parameters(), lr=0.1), 0.0)
    torch.testing.assert_close(step.loss, expected)


@cases(
    "change, message",
    [
        ({"reg_weight": -1.0}, "reg_weight must be >= 0, got -1.0"),
        ({"strengths": torch.tensor([1.0, -0.1])}, "strengths must be numbers >= 0, one per class"),
        ({"strengths": torch.ones(2, 2)}, r"strengths must be .* got shape \(2, 2\)"),
    ],
)
def test_what_it_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdaptiveRegularisation(**{"strengths": STRENGTHS, "reg_weight": 1.0, "hidden": Hidden, **change})


class Halved(nn.Module):
    """Two rows become one on the way."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x) // 2, -1) if x.shape[1] == D else x.view(-1, H)


def test_hidden_values_that_are_not_one_per_example_are_refused() -> None:
    body = nn.Sequential(Halved(), nn.Linear(2 * D, 2 * H), Halved())
    one = SupervisedLearner(Network(Standardize(D), body, nn.Linear(H, C)).double(), losses.CrossEntropyLoss())
    rows = batch()
    even = Batch(inputs=rows["inputs"][:6], targets=rows["targets"][:6], index=rows["index"][:6])
    with pytest.raises(ValueError, match=r"network must keep one hidden value per example, 6 here, got .* 3; choose"):
        AdaptiveRegularisation(STRENGTHS, 1.0, Hidden)(one, even, torch.optim.SGD(one.parameters(), lr=0.1), 0.0)


class Shown(nn.Module):
    """A learner whose step says that other targets were compared."""

    def __init__(self, targets: Tensor | None) -> None:
        super().__init__()
        self.one, self.targets = learner(), targets
        self.network = self.one.network

    def training_step(self, batch: Batch, progress: float) -> Any:
        return self.one.training_step(batch, progress)._replace(targets=self.targets)


@cases("targets, got", [(None, "none"), (torch.full((7, C), 1 / C), r"torch.float32 of shape \(7, 3\)")])
def test_steps_without_one_class_a_row_are_refused(targets: Tensor | None, got: str) -> None:
    one = Shown(targets)
    with pytest.raises(
        ValueError, match=rf"targets must be class indices \(B,\) for strengths by class, got {got}; use"
    ):
        AdaptiveRegularisation(STRENGTHS, 1.0, Hidden)(one, batch(), torch.optim.SGD(one.parameters(), lr=0.1), 0.0)


def test_a_soft_target_has_the_strength_of_its_likeliest_class() -> None:
    loss = []
    for likeliest in (0, 1, 2):
        q = torch.full((7, C), 0.3, dtype=torch.float64)
        q[:, likeliest] = 0.4
        one, rows = learner(), batch()
        soft = Batch(inputs=rows["inputs"], targets=q, index=rows["index"])
        plain = one.training_step(soft, 0.0)
        optimizer = torch.optim.SGD(one.parameters(), lr=0.0)
        step = AdaptiveRegularisation(STRENGTHS, 1.0, Hidden)(one, soft, optimizer, 0.0)
        loss.append(float(step.loss.detach() - plain.loss.detach()))
        with Hidden(one.network) as hidden:
            norms = gradient_norms(hidden.gradients(one.training_step(soft, 0.0).loss))
        assert loss[-1] == pytest.approx(float(STRENGTHS[likeliest]) * float(norms.detach().mean()))
    assert loss[0] > 0
    assert loss[2] == 0
