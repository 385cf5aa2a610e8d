"""Adaptive regularisation: strengths and norms of the formulas."""

from __future__ import annotations

import math

import torch
from tests.cases import cases
from tests.functional import har_formulas as formulas

from longtail.functional.adaptive_regularisation import class_strengths, gradient_norms


@cases(
    "accuracies, counts, powers",
    [
        ([0.9, 0.5, 0.0], [100, 20, 5], (0.6, 0.4)),
        ([0.9, 1.0, 0.25], [5000, 1, 50], (0.6, 0.4)),
        ([0.3, 0.6, 0.6], [10, 7, 7], (1.0, 0.0)),
        ([0.3, 0.6, 0.1], [10, 7, 3], (0.0, 1.5)),
        ([1.0, 1.0, 1.0], [10, 7, 3], (0.6, 0.4)),
    ],
)
def test_strengths_are_those_of_the_formula(
    accuracies: list[float], counts: list[int], powers: tuple[float, float]
) -> None:
    found = class_strengths(torch.tensor(accuracies, dtype=torch.float64), torch.tensor(counts), *powers)
    expected = formulas.strengths(accuracies, [float(n) for n in counts], *powers)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.tolist(), expected, rtol=1e-13, atol=0)


def test_by_hand() -> None:
    # 0.19^0.6 / 16^0.4 against 0.75^0.6 / 1
    found = class_strengths(torch.tensor([0.81, 0.25]), torch.tensor([16, 1])).tolist()
    assert found[1] == 1.0
    assert math.isclose(found[0], (0.19 / 0.75) ** 0.6 / 16**0.4, rel_tol=1e-6)


def test_norms_add_up_over_layers_and_are_not_squared() -> None:
    g = [torch.tensor([[[3.0, 4.0]], [[0.0, 0.0]]]), torch.tensor([[12.0, 0, 5], [8, 0, 6]], dtype=torch.bfloat16)]
    found = gradient_norms(g)
    assert found.tolist() == [5 + 13, 0 + 10]
    assert found.dtype == torch.float32


def test_the_gradient_of_a_norm_of_0_is_0_in_every_dtype() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        g = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=dtype, requires_grad=True)
        (slope,) = torch.autograd.grad(gradient_norms([g, 0 * g]).sum(), g)
        torch.testing.assert_close(slope.double(), torch.tensor([[0, 0], [0.6, 0.8]]).double(), rtol=1e-2, atol=0)


def test_the_norms_derivative() -> None:
    g = torch.randn(3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gradient_norms([x, x**2]), g)
