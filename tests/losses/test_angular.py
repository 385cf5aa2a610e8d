"""L-Softmax: psi without branches is psi by its definition, and the method's criterion is the paper's loss."""

from __future__ import annotations

import math

import pytest
import torch
from tests.cases import cases
from tests.losses import loss_formulas as formulas
from tests.losses.loss_cases import generator
from tests.methods.test_constants import built
from torch import Tensor

from longtail import functional
from longtail.facts.types import Outputs
from longtail.functional.angular import TIMES
from longtail.methods import method
from longtail.models import build

TIMES_ = list(TIMES)


def rows(n: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Features (N, D), weights (C, D), targets (N,) in which every piece of psi occurs."""
    g = generator(5)
    h, w = (torch.randn(k, 3, generator=g, dtype=torch.float64) for k in (n, 4))
    return h, w, torch.arange(n) % 4


def loss(h: Tensor, w: Tensor, targets: Tensor, times: int, annealing: float = 0.0) -> Tensor:
    z = h @ w.T
    by = functional.angular_margins(z, h, w, targets, times) / (1 + annealing)
    return functional.example_margin(z, targets, by, 1.0)


@cases("m", TIMES_)
def test_psi_is_its_definition_on_every_piece_and_its_boundaries(m: int) -> None:
    angles = torch.linspace(0, math.pi, 241, dtype=torch.float64)  # boundaries k pi / m among them
    found = angles.cos() - functional.angular_lowering(angles.cos(), m)
    assert found.tolist() == pytest.approx([formulas.psi(t, m) for t in angles.tolist()], abs=1e-9)
    assert (found.diff() < 1e-9).all()
    assert (found <= angles.cos() + 1e-12).all()


@cases("m", TIMES_)
def test_the_loss_is_the_papers(m: int) -> None:
    h, w, y = rows()
    for annealing in (0.0, 3.0):
        expected = [
            formulas.l_softmax(a, w.tolist(), k, m, annealing) for a, k in zip(h.tolist(), y.tolist(), strict=True)
        ]
        assert loss(h, w, y, m, annealing).tolist() == pytest.approx(expected, rel=1e-7)


@cases("m", TIMES_)
def test_gradients_and_soft_targets(m: int) -> None:
    h, w, y = rows()
    h.requires_grad_(), w.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, y, m), (h, w))
    q = torch.nn.functional.one_hot(y, 4).double()
    torch.testing.assert_close(loss(h, w, q, m), loss(h, w, y, m))
    other = y.flip(0)
    mixed = loss(h, w, 0.3 * q + 0.7 * q.flip(0), m)
    torch.testing.assert_close(mixed, 0.3 * loss(h, w, y, m) + 0.7 * loss(h, w, other, m))


def test_ignored_rows_cost_nothing_and_features_of_zero_have_a_gradient() -> None:
    h, w, y = rows()
    h[0], y[1] = 0, -100
    h.requires_grad_()
    each = loss(h, w, y, 4)
    each.sum().backward()
    assert each[1] == 0
    assert torch.isfinite(h.grad).all()
    assert each[0].item() == pytest.approx(math.log(4))


def test_other_multiples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"times must be one of 1, 2, 3, 4, got 5"):
        functional.angular_lowering(torch.zeros(1), 5)


@cases("m", TIMES_)
def test_the_method_anneals_from_plain_training_to_the_margin(m: int) -> None:
    learner, _ = built(f"l-softmax(times={m})")
    head, criterion = learner.network.head, learner.criterion
    assert head.bias is None
    assert criterion is not None
    features, w = torch.randn(5, head.in_features, generator=generator(3)), head.weight.detach()
    y = torch.tensor([0, 1, 2, 1, 0])
    outputs = Outputs(features @ w.T, features, {"head": head})
    for progress, annealing in ((0.0, 1000.0), (0.5, 1000 * 1.3**-45), (1.0, 1000 * 1.6**-45)):
        expected = [formulas.l_softmax(a, w.double().tolist(), k, m, annealing)
                    for a, k in zip(features.double().tolist(), y.tolist(), strict=True)]  # fmt: skip
        found = criterion(outputs, y, None, torch.tensor(progress))
        assert found.tolist() == pytest.approx(expected, rel=1e-3)
        assert torch.equal(criterion(outputs, y, torch.full((5,), 2.0), torch.tensor(progress)), 2 * found)


def test_a_wide_resnet_has_a_head_without_bias_too() -> None:
    network = build("wide_resnet", input_shape=(3, 32, 32), num_classes=3, head_args={"bias": False}, depth=10)
    assert network.head.bias is None


def test_one_time_the_angle_is_cross_entropy() -> None:
    h, w, y = rows()
    assert torch.equal(loss(h, w, y, 1), functional.cross_entropy(h @ w.T, y))


@cases("text", ["l-softmax(annealing=0.0)", "l-softmax(annealing=inverse(1000, 0.6, 45, 5))"])
def test_annealing_is_a_number_or_a_schedule(text: str) -> None:
    assert built(text)[0].criterion is not None
    assert method(text).spec == text.replace("1000, 0.6, 45, 5", "1000.0, 0.6, 45.0, 5.0")
