"""Geometric harmonization against plain loops, the value that theory gives, and what the labels must hold."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import geometric_formulas as formulas
from torch import Tensor

from longtail.functional import (
    info_nce,
    project_on_totals,
    simplex_frame,
    surrogate_labels,
    surrogate_logits,
    swapped_prediction,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def long_tail(classes: int, ratio: float = 100.0) -> Tensor:
    shares = ratio ** (-torch.arange(classes, dtype=torch.float64) / (classes - 1))
    return shares / shares.sum()


def vertices(classes: int) -> Tensor:
    """The best logits of each class."""
    frame = simplex_frame(classes, classes - 1, torch.Generator().manual_seed(0))
    return surrogate_logits(frame, frame)


class TestTheStructure:
    def test_is_the_definition_for_every_number_of_classes_even_one_more_than_dimensions(self) -> None:
        for size in range(2, 101):
            for dim in {size - 1, min(2 * size, 128)}:
                products = simplex_frame(size, dim, torch.Generator().manual_seed(size))
                products = products @ products.T
                wanted = torch.full((size, size), -1 / (size - 1), dtype=torch.float64).fill_diagonal_(1.0)
                torch.testing.assert_close(products, wanted, rtol=0, atol=1e-13)

    def test_logits_are_of_length_one_whatever_the_length_of_the_projection(self) -> None:
        frame, z = simplex_frame(5, 7, torch.Generator().manual_seed(1)), drawn(6, 7)
        q = surrogate_logits(z, frame)
        torch.testing.assert_close(q, torch.tensor(formulas.logits(z.tolist(), frame.tolist())).double())
        torch.testing.assert_close(surrogate_logits(1e3 * z, frame), q)
        assert surrogate_logits(z.half(), frame).dtype == torch.float32
        assert surrogate_logits(torch.zeros(1, 7), frame).equal(torch.zeros(1, 5))

    @cases("classes", [2, 5, 100])
    def test_the_best_logits_lead_by_the_root_of_k_over_k_minus_one(self, classes: int) -> None:
        best = vertices(classes)
        others = best[~torch.eye(classes, dtype=torch.bool)].view(classes, -1)
        gap = torch.full_like(others, math.sqrt(classes / (classes - 1)))
        torch.testing.assert_close(best.diagonal()[:, None] - others, gap)


class TestLabels:
    @cases("iterations", [1, 2, 7, 300])
    @cases("tail", [False, True])
    def test_are_those_of_the_released_loop_after_every_number_of_iterations(self, iterations: int, tail: bool) -> None:
        q = surrogate_logits(drawn(12, 8), simplex_frame(5, 8, torch.Generator().manual_seed(0)))
        prior = long_tail(5) if tail else torch.ones(5, dtype=torch.float64)
        expected = torch.tensor(formulas.labels(q.tolist(), prior.tolist(), 0.05, iterations), dtype=torch.float64)
        found = surrogate_labels(q, prior, iterations=iterations)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-14)
        torch.testing.assert_close(found.sum(1), torch.ones(12, dtype=torch.float64), rtol=1e-12, atol=0)

    def test_go_to_the_one_projection_on_the_prior(self) -> None:
        q, prior = surrogate_logits(drawn(40, 9), simplex_frame(10, 9, torch.Generator().manual_seed(0))), long_tail(10)
        limit = project_on_totals(q / 0.05, 40 * prior, log=True, rescale=True).labels
        found = surrogate_labels(q, prior, iterations=1000)
        torch.testing.assert_close(found, limit, rtol=0, atol=1e-8)
        torch.testing.assert_close(found.mean(0), prior, rtol=1e-9, atol=0)

    def test_of_two_batches_at_once_are_those_of_each(self) -> None:
        q, prior = surrogate_logits(drawn(24, 4), drawn(6, 4)).view(2, 12, 6), long_tail(6)
        both = surrogate_labels(q, prior)
        for one, batch in zip(both, q, strict=True):
            torch.testing.assert_close(one, surrogate_labels(batch, prior), rtol=1e-13, atol=1e-15)

    def test_a_class_without_prior_gets_nothing_and_no_value_is_nan(self) -> None:
        q = surrogate_logits(drawn(12, 8), simplex_frame(5, 8, torch.Generator().manual_seed(0)))
        found = surrogate_labels(q, torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0]))
        assert found[:, [1, 3, 4]].eq(0).all()
        torch.testing.assert_close(found.sum(1), torch.ones(12, dtype=torch.float64))
        torch.testing.assert_close(found.mean(0)[::2], torch.tensor([0.5, 0.5, 0.0]).double(), rtol=1e-6, atol=1e-9)
        one = surrogate_labels(q, torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]))
        torch.testing.assert_close(one[:, 1], torch.ones(12, dtype=torch.float64))

    @cases("dtype", [torch.float64, torch.float32, torch.bfloat16])
    def test_are_finite_where_the_released_kernel_is_not(self, dtype: torch.dtype) -> None:
        q = (1000 * drawn(12, 5)).to(dtype)
        found = surrogate_labels(q, long_tail(5))
        assert found.isfinite().all()
        torch.testing.assert_close(found.sum(1), torch.ones_like(found[:, 0]), rtol=1e-3, atol=0)
        with pytest.raises(OverflowError):
            formulas.labels(q.tolist(), [1.0] * 5, 0.05, 1)

    def test_have_no_gradient_and_a_single_row_is_legal(self) -> None:
        q = drawn(1, 4).requires_grad_()
        found = surrogate_labels(q, long_tail(4))
        assert not found.requires_grad
        torch.testing.assert_close(found[0], long_tail(4))

    def test_in_float32_are_near_those_in_float64(self) -> None:
        q, prior = surrogate_logits(drawn(512, 128), simplex_frame(100, 128, torch.Generator())), long_tail(100)
        exact = surrogate_labels(q, prior, iterations=30)
        torch.testing.assert_close(surrogate_labels(q.float(), prior, iterations=30).double(), exact, rtol=0, atol=2e-6)
        assert (exact.mean(0) / prior - 1).abs().max() < 1e-7

    def test_of_clusters_whose_shares_are_not_the_prior_are_slow(self) -> None:
        """As in a trained encoder: what the documentation of the number of iterations says."""
        frame, prior = simplex_frame(100, 128, torch.Generator().manual_seed(0)), long_tail(100)
        generator = torch.Generator().manual_seed(0)
        z = frame[torch.multinomial(prior, 512, True, generator=generator)] + 0.02 * drawn(512, 128)
        off = [
            float((surrogate_labels(surrogate_logits(z, frame), prior, iterations=n).mean(0) - prior).abs().max())
            for n in (100, 300)
        ]
        assert 5e-4 < off[0] < 5e-3
        assert 5e-5 < off[1] < 5e-4

    @cases(
        "arguments, why",
        [
            ({"eps": 0.0}, r"eps must be > 0 and finite, got 0\.0"),
            ({"iterations": 0}, "iterations must be >= 1, got 0"),
            ({"prior": torch.ones(3)}, r"prior must be \(K,\) for logits \(..., B, K\), got \(3,\) for \(2, 4\)"),
        ],
    )
    def test_bad_arguments_are_refused_in_one_line(self, arguments: dict[str, Any], why: str) -> None:
        with pytest.raises(ValueError, match=f"^{why}.*; "):
            surrogate_labels(torch.zeros(2, 4), **{"prior": torch.ones(4), **arguments})


class TestSwappedPrediction:
    def test_is_the_sum_of_both_directions_of_the_plain_loops(self) -> None:
        frame, prior = simplex_frame(6, 8, torch.Generator().manual_seed(0)), long_tail(6)
        x, y = (surrogate_logits(drawn(9, 8, seed=seed), frame) for seed in (0, 1))
        taught = [formulas.labels(q.tolist(), prior.tolist(), 0.05, 50) for q in (x, y)]
        there = formulas.one_direction(taught[0], y.tolist(), 0.1)
        back = formulas.one_direction(taught[1], x.tolist(), 0.1)
        labels = [surrogate_labels(q, prior, iterations=50) for q in (x, y)]
        found = swapped_prediction(x, y, *labels)
        expected = torch.tensor([a + b for a, b in zip(there, back, strict=True)], dtype=torch.float64)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)

    def test_gradients_pass_through_the_log_softmax_alone(self) -> None:
        x, y = (drawn(4, 5, seed=seed).requires_grad_() for seed in (0, 1))
        labels = [drawn(4, 5, seed=seed).softmax(1).requires_grad_() for seed in (2, 3)]
        fixed = [label.detach() for label in labels]
        assert torch.autograd.gradcheck(lambda a, b: swapped_prediction(a, b, *fixed), (x, y))
        swapped_prediction(x, y, *labels).sum().backward()
        assert labels[0].grad is None
        for logits, label in ((x, fixed[1]), (y, fixed[0])):
            assert logits.grad is not None
            torch.testing.assert_close(logits.grad, ((logits / 0.1).softmax(1) - label).detach() / 0.1)

    @cases("classes, one, both", [(5, 5.58e-5, 1.116e-4), (10, 2.379e-4, 4.759e-4), (100, 4.2647e-3, 8.5330e-3)])
    def test_has_the_known_floor_at_the_vertices(self, classes: int, one: float, both: float) -> None:
        """A batch with the composition of the prior: whole rows for every class."""
        q = vertices(classes).repeat(2, 1)
        sure = torch.eye(classes, dtype=torch.float64).repeat(2, 1)
        assert float(swapped_prediction(q, q, sure, sure)[0]) / 2 == pytest.approx(one, rel=4e-4)
        closed = 2 * math.log(1 + (classes - 1) * math.exp(-10 * math.sqrt(classes / (classes - 1))))
        assert float(swapped_prediction(q, q, sure, sure)[0]) == pytest.approx(closed, rel=1e-10)
        labels = surrogate_labels(q, torch.ones(classes))
        assert swapped_prediction(q, q, labels, labels).tolist() == pytest.approx([both] * len(q), rel=4e-4)
        flat = torch.zeros_like(q)
        expected = 2 * math.log(classes)
        assert swapped_prediction(flat, flat, labels, labels).tolist() == pytest.approx([expected] * len(q))

    @cases("classes, negatives", [(3, 9), (10, 1000), (100, 500)])
    def test_has_the_value_of_the_theory_at_the_optimum_beside_info_nce(self, classes: int, negatives: int) -> None:
        """Even classes, temperature 1, weight 1, logits M z, one direction: the paper's value of InfoNCE + GH."""
        frame = simplex_frame(classes, classes, torch.Generator().manual_seed(0))
        q = frame @ frame.T
        labels = surrogate_labels(q, torch.ones(classes), eps=0.02)
        own = swapped_prediction(q, q, labels, labels, 1.0) / 2
        queue = frame.repeat(negatives // classes, 1)
        contrast = torch.cat(
            [info_nce(z[None], z[None], 1.0, queue=torch.cat([queue[:k], queue[k + 1 :]])) for k, z in enumerate(frame)]
        )  # the partner is one of the J that the classes share evenly
        c = -1 / (classes - 1)
        pull = -math.log(1 / (1 + (classes - 1) * math.exp(c - 1)))
        wanted = 2 * pull + math.log(negatives / classes)
        assert (own + contrast).tolist() == pytest.approx([wanted] * classes, rel=1e-6)

    @cases(
        "arguments, why",
        [
            ((torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 3), torch.zeros(2, 3)), "first and second must"),
            ((torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(3, 3), torch.zeros(2, 3)), "first and first_labels"),
            ((*[torch.zeros(2, 3)] * 4, 0.0), "t must be > 0"),
        ],
    )
    def test_bad_arguments_are_refused(self, arguments: Any, why: str) -> None:
        with pytest.raises(ValueError, match=f"^{why}"):
            swapped_prediction(*arguments)
