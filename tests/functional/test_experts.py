"""The diversity of experts and its temperatures, against plain loops."""

from __future__ import annotations

import pytest
import torch
from tests.functional import expert_formulas as formulas

from longtail import functional

COUNTS = torch.tensor([60, 25, 9, 2])


def logits(experts: int = 3) -> torch.Tensor:
    return 4 * torch.randn(6, experts, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.9])
def test_temperatures_are_those_of_the_formula_and_lower_for_rare_classes(share: float) -> None:
    found = functional.tail_temperature(COUNTS, share)
    expected = torch.tensor(formulas.tail_temperature(COUNTS.tolist(), share), dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    assert float(found.max()) == 1.0
    assert (found.diff() < 0).all() if share else (found == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.9])
def test_diversity_is_that_of_the_formula(share: float) -> None:
    temperature = functional.tail_temperature(COUNTS, share)
    expected = [formulas.diversity(example, temperature.tolist()) for example in logits().tolist()]
    found = functional.expert_diversity(logits(), temperature)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-13)


def test_equal_experts_and_a_single_one_have_none() -> None:
    temperature = functional.tail_temperature(COUNTS)
    one = logits(1)
    for z in (one, one.expand(-1, 3, -1)):
        assert functional.expert_diversity(z, temperature).abs().max() < 1e-13


def test_the_mean_is_constant_in_the_gradient() -> None:
    temperature = functional.tail_temperature(COUNTS)
    z = logits().requires_grad_()
    functional.expert_diversity(z, temperature).sum().backward()
    # d KL(p || softmax(z_e / T)) / d z_e = (softmax(z_e / T) - p) / T
    p = (z.mean(1, keepdim=True) / temperature).softmax(-1)
    expected = temperature.mean() ** 2 * ((z / temperature).softmax(-1) - p) / temperature
    torch.testing.assert_close(z.grad, expected.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_is_finite_for_large_logits(dtype: torch.dtype) -> None:
    z = (1e4 * logits().sign()).to(dtype).requires_grad_()
    found = functional.expert_diversity(z, functional.tail_temperature(COUNTS))
    assert found.isfinite().all()
    found.sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
