"""Vector scaling of two classes: the paper's binary form, and where the form for several classes is another loss."""

from __future__ import annotations

import pytest
import torch
from tests.cases import cases
from tests.losses import loss_formulas as formulas
from tests.losses.loss_cases import generator
from torch import Tensor
from torch.nn.functional import one_hot

from longtail import losses as L
from longtail.facts.schedules import switch

COUNTS = [90, 10]
Z = 2 * torch.randn(8, 2, generator=generator(), dtype=torch.float64)
Y = torch.arange(8) % 2
KNOBS = [(0.3, 1.0), (0.5, 0.0), (0.0, 1.7), (0.2, 1.2)]


def one_logit(f: Tensor, y: Tensor, gamma: float, tau: float) -> Tensor:
    """The paper's loss log(1 + e^(iota_y - Delta_y t f)) of one logit f, t = 1 for class 0; iota of the ratio of pi."""
    n = torch.tensor(COUNTS, dtype=torch.float64)
    t, iota = 1 - 2 * y, tau * (n.flip(0) / n).log()
    return torch.log1p(torch.exp(iota[y] - (n / n.max())[y] ** gamma * t * f))


@cases(("gamma", "tau"), KNOBS)
def test_it_is_the_papers_form(gamma: float, tau: float) -> None:
    loss = L.BinaryVSLoss(COUNTS, gamma=gamma, tau=tau)
    expected = [
        formulas.binary_vector_scaling(z, y, COUNTS, gamma, tau) for z, y in zip(Z.tolist(), Y.tolist(), strict=True)
    ]
    assert loss.per_example(Z, Y).tolist() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(loss.per_example(Z, Y), one_logit(Z[:, 0] - Z[:, 1], Y, gamma, tau))
    soft = 0.3 * one_hot(Y, 2).double() + 0.7 * one_hot(1 - Y, 2).double()
    mixed = 0.3 * loss.per_example(Z, Y) + 0.7 * loss.per_example(Z, 1 - Y)
    torch.testing.assert_close(loss.per_example(Z, soft), mixed)
    dense = loss.per_example(Z.T.reshape(1, 2, 2, 4), Y.reshape(1, 2, 4))
    torch.testing.assert_close(dense.flatten(), loss.per_example(Z, Y))


@cases("tau", [0.0, 1.0, 1.7])
def test_without_factors_both_forms_are_logit_adjustment(tau: float) -> None:
    binary = L.BinaryVSLoss(COUNTS, gamma=0.0, tau=tau).per_example(Z, Y)
    torch.testing.assert_close(binary, L.VSLoss(COUNTS, gamma=0.0, tau=tau).per_example(Z, Y))
    torch.testing.assert_close(binary, L.LogitAdjustedLoss(COUNTS, tau=tau).per_example(Z, Y))


def test_with_factors_they_differ_but_on_the_logits_of_the_true_class_alone() -> None:
    """The form for several classes has one factor per logit: where the other class's is 0, it is the true class's."""
    several, binary = (kind(COUNTS, gamma=0.5) for kind in (L.VSLoss, L.BinaryVSLoss))
    assert (several.per_example(Z, Y) - binary.per_example(Z, Y)).abs().min() > 1e-3
    own = Z * one_hot(Y, 2)
    torch.testing.assert_close(several.per_example(own, Y), binary.per_example(own, Y))


def test_gradients_ignored_rows_and_schedules() -> None:
    loss, y = L.BinaryVSLoss(COUNTS, gamma=switch(0.8, 0.3, 0.0)), Y.clone()
    y[0] = -100
    z = Z.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss.per_example(x, y, progress=0.5), z)
    assert loss.per_example(z, y, progress=0.5)[0] == 0
    late = L.LogitAdjustedLoss(COUNTS).per_example(z, y)
    torch.testing.assert_close(loss.per_example(z, y, progress=torch.tensor(0.9, dtype=torch.float64)), late)
    large = L.BinaryVSLoss(COUNTS).per_example(1e4 * Z.half(), Y)
    assert torch.isfinite(large).all()
