"""The projection on class totals: against scipy, its optimality conditions, and iterative proportional fitting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from torch import Tensor

from longtail.functional import Projection, dual_newton, project_on_totals

GEOMETRIC = 100 ** -torch.linspace(0, 1, 10, dtype=torch.float64)


def scaled(shares: Any, size: int) -> Tensor:
    totals = torch.as_tensor(shares, dtype=torch.float64)
    return totals / totals.sum() * size


def problem(size: int = 300, classes: int = 6, sharp: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Soft labels, biased to the first classes, and weights 1 / entropy."""
    generator = np.random.default_rng(seed)
    logits = sharp * generator.normal(size=(size, classes)) - 0.5 * sharp * np.arange(classes)
    p = softmax(logits, axis=1) + 1e-6
    p /= p.sum(1, keepdims=True)
    return torch.tensor(p), torch.tensor(1 / -(p * np.log(p)).sum(1))


def check_optimality(p: Tensor, w: Tensor, totals: Tensor, found: Projection, tolerance: float = 1e-9) -> None:
    """Rows, columns and zeros are right, and w log(y / p) - b is constant in every row: the unique minimum."""
    y = found.labels
    assert y.dtype == p.dtype
    torch.testing.assert_close(y.sum(1), torch.ones_like(w), rtol=0, atol=1e-12)
    assert bool((y >= 0).all())
    used = totals > 0
    worst = ((y.sum(0) - totals).abs() / totals)[used].max()
    assert found.residual <= tolerance
    assert worst <= tolerance + 1e-12
    assert not bool(y[:, ~used].any())
    support = (p > 0) & used
    assert not bool(y[~support].any())
    clear = support & (y > 1e-200)
    gaps = (w[:, None] * (y.log() - p.log()) - found.multipliers).masked_fill(~clear, torch.nan)
    spread = gaps - gaps.nanmedian(1, keepdim=True).values
    scale = w[:, None] * (1 + p.log().abs().nan_to_num(0, 0, 0)) + found.multipliers.abs().nan_to_num(0, 0, 0)
    assert float((spread.abs() / scale)[clear].max()) < 1e-11


@pytest.fixture(params=[False, True], ids=["", "begun in single precision"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small problems, solved as large ones are."""
    if request.param:
        monkeypatch.setattr(dual_newton, "LARGE", 0)


@pytest.mark.usefixtures("precision")
class TestOptimum:
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("shares", [torch.ones(4), torch.tensor([1.0, 2, 4, 8])])
    def test_is_that_of_a_primal_solver(self, weighted: bool, shares: Tensor) -> None:
        p, w = problem(12, 4)
        w = w if weighted else torch.ones_like(w)
        totals = scaled(shares, 12)
        rows, columns = np.kron(np.eye(12), np.ones(4)), np.kron(np.ones(12), np.eye(4))[:-1]
        flat, weight = p.numpy().ravel(), np.repeat(w.numpy(), 4)
        solved = minimize(
            lambda y: (weight * y * np.log(y / flat)).sum(),
            np.full(48, 0.25),
            jac=lambda y: weight * (np.log(y / flat) + 1),
            bounds=[(1e-12, 1)] * 48,
            constraints=[
                {"type": "eq", "fun": lambda y: rows @ y - 1, "jac": lambda y: rows},
                {"type": "eq", "fun": lambda y: columns @ y - totals[:-1].numpy(), "jac": lambda y: columns},
            ],
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        found = project_on_totals(p, totals, weights=w).labels
        np.testing.assert_allclose(found.numpy().ravel(), solved.x, atol=2e-6)

    @pytest.mark.parametrize("sharp", [0.5, 3.0])
    def test_is_that_of_a_dual_solver(self, sharp: float) -> None:
        p, w = problem(200, 5, sharp)
        totals = scaled([1, 1, 1, 1, 2], 200)
        logs, weight = p.log().numpy(), w.numpy()[:, None]

        def dual(b: np.ndarray) -> tuple[float, np.ndarray]:
            z = logs + b / weight
            value = (weight[:, 0] * logsumexp(z, axis=1)).sum() - b @ totals.numpy()
            return value, softmax(z, axis=1).sum(0) - totals.numpy()

        solved = minimize(dual, np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-8, "maxiter": 2000})
        found = project_on_totals(p, totals, weights=w)
        np.testing.assert_allclose(found.multipliers, solved.x - solved.x.mean(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.labels, softmax(logs + solved.x / weight, axis=1), atol=1e-6)

    @pytest.mark.parametrize("sharp", [0.3, 3.0, 30.0])
    @pytest.mark.parametrize(
        "shares", [torch.ones(10), GEOMETRIC, GEOMETRIC.flip(0), GEOMETRIC**2, GEOMETRIC.flip(0) ** 2]
    )
    def test_meets_its_conditions(self, sharp: float, shares: Tensor) -> None:
        p, w = problem(2000, 10, sharp)
        totals = scaled(shares, 2000)
        check_optimality(p, w, totals, project_on_totals(p, totals, weights=w))

    @pytest.mark.parametrize("shares", [torch.ones(10), GEOMETRIC.flip(0)])
    def test_meets_its_conditions_with_rows_of_one_class(self, shares: Tensor) -> None:
        generator = torch.Generator().manual_seed(0)
        classes = torch.randint(10, (2000,), generator=generator)
        p = torch.full((2000, 10), 1e-12, dtype=torch.float64)
        p[torch.arange(2000), classes] = 1 - 9e-12
        p[:50] = torch.rand(50, 10, generator=generator, dtype=torch.float64)
        totals = scaled(shares, 2000)
        w = 1 / -(p / p.sum(1, keepdim=True)).log().mul(p).sum(1).clamp(max=-1e-6)
        check_optimality(p, w, totals, project_on_totals(p, totals, weights=w))
        check_optimality(p, torch.ones_like(w), totals, project_on_totals(p, totals))

    def test_meets_its_conditions_where_weights_make_it_nearly_piecewise_linear(self) -> None:
        generator = torch.Generator().manual_seed(82)
        p = (8.5 * torch.randn(236, 12, dtype=torch.float64, generator=generator)).softmax(1) + 1e-6
        p = p / p.sum(1, keepdim=True)
        w = 1 / torch.special.entr(p).sum(1)
        totals = scaled(10 ** -torch.linspace(0, 3, 12, dtype=torch.float64), 236)
        check_optimality(p, w, totals, project_on_totals(p, totals, weights=w))

    def test_reaches_totals_of_a_millionth_of_a_row(self) -> None:
        p, w = problem(34, 3, 10.0)
        totals = torch.tensor([1e-6, 2e-5, 34 - 2.1e-5], dtype=torch.float64)
        assert project_on_totals(p, totals, weights=1000 * w).residual <= 1e-9

    def test_a_total_that_is_no_row_is_0(self) -> None:
        """As expectation maximisation estimates for a class that a network does not predict."""
        p, w = problem(34, 3, 10.0)
        totals = torch.tensor([6e-38, 2.0, 32.0], dtype=torch.float64)
        found = project_on_totals(p, totals, weights=1e4 * w)
        assert found.labels.equal(project_on_totals(p, torch.tensor([0.0, 2, 32]), weights=1e4 * w).labels)
        assert not found.labels[:, 0].any()
        assert found.residual <= 1e-9

    def test_keeps_zeros_and_gives_a_class_of_total_0_none(self) -> None:
        p, w = problem(500, 6)
        p = torch.where(torch.rand(500, 6, generator=torch.Generator().manual_seed(1)) < 0.5, 0.0, p)
        p[:, 0] += 1e-3
        totals = scaled([3, 2, 2, 0, 1, 1], 500)
        found = project_on_totals(p, totals, weights=w)
        check_optimality(p, w, totals, found)
        assert found.multipliers[3] == -torch.inf

    def test_splits_where_groups_of_rows_share_no_class(self) -> None:
        p, w = problem(100, 4)
        p[:40, 2:], p[40:, :2] = 0, 0
        totals = torch.tensor([10.0, 30, 45, 15])
        check_optimality(p, w, totals, project_on_totals(p, totals, weights=w))
        with pytest.raises(ValueError, match=r"got 41 for class 0, 1, which 40 rows allow; lower them"):
            project_on_totals(p, torch.tensor([11.0, 30, 44, 15]), weights=w)

    def test_reaches_a_solution_with_more_zeros_than_the_input(self) -> None:
        p = torch.tensor([[0.5, 0.5], [1.0, 0.0]]).double()
        found = project_on_totals(p, [1, 1])
        torch.testing.assert_close(found.labels, torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double(), rtol=0, atol=1e-8)


@pytest.mark.usefixtures("precision")
class TestEqualWeights:
    def test_are_iterative_proportional_fitting(self) -> None:
        p, _ = problem()
        totals, y = scaled([1, 1, 2, 2, 3, 3], 300), p.clone()
        for _ in range(3000):
            y *= totals / y.sum(0)
            y /= y.sum(1, keepdim=True)
        found = project_on_totals(p, totals).labels
        torch.testing.assert_close(found, y, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(project_on_totals(p, totals, weights=torch.full((300,), 7.0)).labels, found)

    def test_take_logarithms_that_underflow(self) -> None:
        scores = 100 * torch.randn(400, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        q, totals = scores / 0.05, scaled([1, 1, 2, 2, 3, 3], 400)
        assert q.softmax(1).eq(0).any()
        found = project_on_totals(q, totals, log=True)
        assert found.residual <= 1e-9
        ratio = q + found.multipliers
        torch.testing.assert_close(found.labels, ratio.softmax(1), rtol=1e-9, atol=1e-12)
        small, by_log = (project_on_totals(v, totals, log=k).labels for v, k in ((q.div(500).exp(), 0), (q / 500, 1)))
        torch.testing.assert_close(small, by_log, rtol=1e-8, atol=1e-12)

    def test_do_not_mind_the_scale_of_a_row(self) -> None:
        p, _ = problem()
        factor = torch.rand(300, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
        totals = scaled(torch.ones(6), 300)
        torch.testing.assert_close(
            project_on_totals(factor * p, totals).labels, project_on_totals(p, totals).labels, rtol=1e-7, atol=1e-9
        )


def test_totals_that_the_labels_have_change_nothing() -> None:
    p, w = problem()
    found = project_on_totals(p, p.sum(0), weights=w)
    torch.testing.assert_close(found.labels, p, rtol=1e-12, atol=0)
    assert found.iterations == 1


def test_its_own_multipliers_are_where_it_ends() -> None:
    p, w = problem(1000, 6, 4.0)
    totals = scaled([1, 1, 2, 2, 3, 0], 1000)
    first = project_on_totals(p, totals, weights=w)
    again = project_on_totals(p, totals, weights=w, start=first.multipliers)
    assert first.iterations > 5
    assert again.iterations <= 2
    nearly = project_on_totals(p, scaled([1, 1, 2, 2, 3.05, 0], 1000), weights=w, start=first.multipliers)
    assert nearly.iterations < first.iterations


def test_float32_is_solved_in_float64() -> None:
    p, w = problem()
    totals = scaled(torch.ones(6), 300)
    found = project_on_totals(p.float(), totals.float(), weights=w.float())
    assert (found.labels.dtype, found.multipliers.dtype) == (torch.float32, torch.float64)
    assert found.residual <= 1e-9
    torch.testing.assert_close(found.labels.double(), project_on_totals(p, totals, weights=w).labels, rtol=0, atol=1e-5)


def test_too_few_iterations_are_said() -> None:
    p, w = problem()
    with pytest.warns(RuntimeWarning, match="stopped after 2 iterations at a residual of"):
        found = project_on_totals(p, scaled(torch.ones(6), 300), weights=w, max_iterations=2)
    assert found.residual > 1e-9


P = torch.full((4, 3), 1 / 3)
NO_THIRD = torch.tensor([[0.5, 0.5, 0.0]]).expand(4, 3)
CROWDED = torch.tensor([[1.0, 1, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((P, [1, 1, 1]), r"totals must sum to the number of rows, 4, got a sum of 3; .*rescale=True"),
        ((P, [2, 3, -1]), "totals must be finite, >= 0"),
        ((P, [0, 0, 0]), "totals must be finite, >= 0 and not all 0"),
        ((P, [2, 2]), r"totals must have shape \(3,\), got \(2,\)"),
        ((NO_THIRD, [2, 1, 1]), "totals must be 0 for a class that probs leaves no row, got 1 for class 2"),
        ((CROWDED, [1, 2, 1]), "totals must be attainable where probs > 0, got 3 for class 1, 2, which 1 rows allow"),
        ((CROWDED, [0, 2, 2]), "probs must be > 0 for some class with a total above 0 in every row, got none in row 1"),
        ((-P, [2, 1, 1]), "probs must be finite and >= 0, got -0.333333 in row 0"),
        ((P * torch.nan, [2, 1, 1]), "probs must be finite and >= 0, got nan in row 0"),
        ((P[0], [2, 1, 1]), r"probs must be a floating-point tensor \(M, K\)"),
        ((P.long(), [2, 1, 1]), r"probs must be a floating-point tensor \(M, K\)"),
    ],
)
def test_bad_input_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        project_on_totals(*arguments)


def test_bad_weights_and_starts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights must be \(4,\), finite and > 0, got shape \(4,\), smallest 0"):
        project_on_totals(P, [2, 1, 1], weights=torch.tensor([1.0, 1, 1, 0]))
    with pytest.raises(ValueError, match=r"start must have shape \(3,\), got \(2,\)"):
        project_on_totals(P, [2, 1, 1], start=torch.zeros(2))


def test_rescaled_totals_keep_their_shares() -> None:
    assert project_on_totals(P, [30, 20, 10], rescale=True).labels.sum(0).tolist() == pytest.approx([2, 4 / 3, 2 / 3])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch.cuda.is_available() is False")
@pytest.mark.usefixtures("precision")
def test_a_gpu_finds_the_same() -> None:
    p, w = problem(2000, 10, 3.0)
    totals = scaled(GEOMETRIC.flip(0), 2000)
    here = project_on_totals(p, totals, weights=w, tolerance=1e-11)
    for given in (totals, totals.cuda()):
        there = project_on_totals(p.cuda(), given, weights=w.cuda(), tolerance=1e-11, start=here.multipliers.cuda() / 2)
        assert there.labels.is_cuda
        assert there.multipliers.is_cuda
        assert there.residual <= 1e-11
        torch.testing.assert_close(there.labels.cpu(), here.labels, rtol=0, atol=1e-9)
