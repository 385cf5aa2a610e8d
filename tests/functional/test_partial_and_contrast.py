"""Losses of candidate sets and NT-Xent against the papers' formulas, and what follows from these."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.functional import partial_and_contrast_formulas as formulas
from torch import Tensor

from longtail.functional import (
    candidate_activation,
    candidate_likelihood,
    candidate_posterior,
    consistent_candidates,
    cross_entropy,
    leverage_weights,
    leveraged_loss,
    nt_xent,
)


def sets(size: int = 40, classes: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (N, C) float64 and candidate sets, single ones and full ones among them."""
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.rand(size, classes, generator=generator) < 0.4
    candidates[torch.arange(size), torch.randint(classes, (size,), generator=generator)] = True
    candidates[0] = torch.arange(classes) == 2
    candidates[1] = True
    return 3 * torch.randn(size, classes, generator=generator, dtype=torch.float64), candidates


class TestCandidates:
    def test_are_the_papers(self) -> None:
        z, candidates = sets()
        rows = list(zip(z.tolist(), candidates.tolist(), strict=True))
        expected = torch.tensor([formulas.cc(*row) for row in rows], dtype=torch.float64)
        torch.testing.assert_close(candidate_likelihood(z, candidates), expected, rtol=1e-12, atol=1e-12)
        posterior = torch.tensor([formulas.proden_update(*row) for row in rows], dtype=torch.float64)
        torch.testing.assert_close(candidate_posterior(z, candidates), posterior, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
    def test_single_ones_are_cross_entropy_bit_for_bit(self, dtype: torch.dtype) -> None:
        z = sets()[0].to(dtype)
        y = torch.arange(len(z)) % z.shape[1]
        one, other = (z.clone().requires_grad_() for _ in range(2))
        loss, plain = candidate_likelihood(one, F.one_hot(y, z.shape[1]).bool()), cross_entropy(other, y)
        assert loss.equal(plain)
        loss.mean().backward()
        plain.mean().backward()
        assert one.grad is not None
        assert one.grad.equal(other.grad)

    def test_the_set_of_all_classes_teaches_nothing(self) -> None:
        z = sets()[0].requires_grad_()
        loss = candidate_likelihood(z, torch.ones_like(z, dtype=torch.bool))
        torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=1e-12)
        (slope,) = torch.autograd.grad(loss.sum(), z)
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-12)

    def test_the_gradient_is_that_of_confidences_from_these_outputs(self) -> None:
        z, candidates = sets()
        z.requires_grad_()
        (own,) = torch.autograd.grad(candidate_likelihood(z, candidates).sum(), z)
        (soft,) = torch.autograd.grad(cross_entropy(z, candidate_posterior(z.detach(), candidates)).sum(), z)
        torch.testing.assert_close(own, soft, rtol=1e-10, atol=1e-12)
        assert torch.autograd.gradcheck(lambda x: candidate_likelihood(x, candidates), z)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    def test_are_finite_where_every_candidate_underflows(self, dtype: torch.dtype) -> None:
        z = torch.tensor([[1e4, -1e4, -9e3], [-1e4, 1e4, 0.0]], dtype=dtype, requires_grad=True)
        candidates = torch.tensor([[False, True, True], [True, False, False]])
        loss = candidate_likelihood(z, candidates)
        assert loss.tolist() == pytest.approx([19e3, 2e4], rel=1e-2)
        loss.sum().backward()
        assert z.grad is not None
        assert z.grad.isfinite().all()
        assert candidate_posterior(z, candidates).sum(1).tolist() == [1.0, 1.0]


class TestOtherRules:
    def test_are_the_papers(self) -> None:
        z, candidates = sets()
        rows = list(zip(z.tolist(), candidates.tolist(), strict=True))
        labels = torch.tensor([formulas.cavl_update(*row) for row in rows], dtype=torch.float64)
        assert candidate_activation(z, candidates).equal(labels)
        weights = torch.tensor([formulas.lw_update(*row) for row in rows], dtype=torch.float64)
        torch.testing.assert_close(leverage_weights(z, candidates), weights, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("form", ["sigmoid", "cross-entropy"])
    @pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
    def test_leveraged_loss_is_the_papers(self, beta: float, form: str) -> None:
        z, candidates = sets()
        w = leverage_weights(sets(seed=1)[0], candidates)
        rows = zip(z.tolist(), w.tolist(), candidates.tolist(), strict=True)
        expected = torch.tensor([formulas.lw_loss(*row, beta, form) for row in rows], dtype=torch.float64)
        torch.testing.assert_close(leveraged_loss(z, w, beta, form=form), expected, rtol=1e-12, atol=1e-12)
        assert torch.autograd.gradcheck(lambda x: leveraged_loss(x, w, beta, form=form), z.requires_grad_())

    @pytest.mark.parametrize("consistency", [0.0, 1.0, 0.3])
    def test_consistency_of_two_views_is_the_papers(self, consistency: float) -> None:
        z, candidates = sets()
        views = torch.stack([z, sets(seed=1)[0]], 1)
        q = candidate_posterior(sets(seed=2)[0], candidates)
        rows = zip(views.tolist(), q.tolist(), candidates.tolist(), strict=True)
        expected = torch.tensor([formulas.corr_loss(*row, consistency) for row in rows], dtype=torch.float64)
        found = consistent_candidates(views, q, candidates, consistency)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        few = views[:6].requires_grad_()
        assert torch.autograd.gradcheck(lambda x: consistent_candidates(x, q[:6], candidates[:6], consistency), few)

    def test_a_label_is_a_candidate_where_no_candidate_has_a_value_above_0(self) -> None:
        z = torch.tensor([[-3.0, -0.1, 5.0], [-2.0, 4.0, 1.0]])
        candidates = torch.tensor([[True, True, False], [True, False, False]])
        assert candidate_activation(z, candidates).tolist() == [[0, 1, 0], [1, 0, 0]]

    def test_a_full_set_has_no_other_classes(self) -> None:
        z = torch.tensor([[0.0, 1.0, -1.0]])
        full = torch.ones(1, 3, dtype=torch.bool)
        torch.testing.assert_close(leverage_weights(z, full), z.softmax(1))

    @pytest.mark.parametrize("form", ["sigmoid", "cross-entropy"])
    def test_leveraged_loss_is_finite_at_extremes(self, form: str) -> None:
        z = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], requires_grad=True)
        loss = leveraged_loss(z, torch.tensor([[-1.0, 0.5, 0.5], [1.0, -0.5, -0.5]]), form=form)
        assert loss.isfinite().all()
        loss.sum().backward()
        assert z.grad is not None
        assert z.grad.isfinite().all()


class TestNTXent:
    @pytest.mark.parametrize("t", [0.05, 0.2, 1.0])
    def test_is_the_papers(self, t: float) -> None:
        first, second = torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        expected = torch.tensor(formulas.nt_xent(first.tolist(), second.tolist(), t), dtype=torch.float64)
        torch.testing.assert_close(nt_xent(first, second, t), expected, rtol=1e-11, atol=1e-11)
        assert nt_xent(second, first, t).equal(nt_xent(first, second, t)) or torch.allclose(
            nt_xent(second, first, t), expected, rtol=1e-11
        )

    def test_has_the_gradient_of_its_value(self) -> None:
        views = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        views.requires_grad_()
        assert torch.autograd.gradcheck(lambda v: nt_xent(v[0], v[1], 0.3), views)

    def test_is_exact_at_a_small_temperature_in_float32(self) -> None:
        first = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
        second = (first + 0.1 * torch.randn(64, 16, generator=torch.Generator().manual_seed(1))).requires_grad_()
        first[3] = first[2]  # a negative as near as the positive
        loss = nt_xent(first, second, 0.01)
        expected = torch.tensor(formulas.nt_xent(first.tolist(), second.tolist(), 0.01))
        torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-4)
        loss.mean().backward()
        assert second.grad is not None
        assert second.grad.isfinite().all()
        z = F.normalize(torch.cat([first, second.detach()]), dim=1)
        assert (z @ z.T / 0.01).exp().sum(1).isinf().any(), "the sum of raw exponentials overflows here"

    def test_of_equal_projections_is_the_logarithm_of_the_candidates(self) -> None:
        same = torch.ones(6, 4)
        torch.testing.assert_close(nt_xent(same, same, 0.1), torch.full((6,), 11.0).log())
        assert nt_xent(torch.ones(1, 4), torch.zeros(1, 4), 0.1).tolist() == [0.0]

    def test_takes_a_temperature_as_a_tensor_and_half_precision(self) -> None:
        first, second = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
        assert nt_xent(first, second, torch.tensor(0.2)).equal(nt_xent(first, second, 0.2))
        assert nt_xent(first.half(), second.half(), 0.01).dtype == torch.float32
