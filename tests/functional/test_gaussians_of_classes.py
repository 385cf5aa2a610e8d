"""Gaussians of classes against the formulas one row at a time, and the moments of what is drawn from them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import rcal_formulas as formulas
from torch import Tensor

from longtail import functional
from longtail.functional import calibration

COUNTS = (9, 6, 3, 1)
TARGETS = torch.repeat_interleave(torch.arange(4), torch.tensor(COUNTS))
FEATURES = torch.randn(19, 3, generator=torch.Generator().manual_seed(0)).double() * 2 + TARGETS[:, None]
WEIGHTS = torch.randint(1, 4, (19,), generator=torch.Generator().manual_seed(1)).double()


def groups(weight: Tensor | None) -> list[tuple[Any, Any]]:
    w = torch.ones(19).double() if weight is None else weight
    return [(FEATURES[c == TARGETS].tolist(), w[c == TARGETS].tolist()) for c in range(4)]


@cases(("weight", "s"), [(None, 0.0), (None, 0.3), (WEIGHTS, 0.1), (WEIGHTS, 1.0)])
def test_mean_and_covariance_of_every_class(weight: Tensor | None, s: float) -> None:
    expected = [formulas.of_class(rows, w, s) for rows, w in groups(weight)]
    means, full = functional.class_gaussians(FEATURES, TARGETS, 4, weight=weight, shrinkage=s)
    torch.testing.assert_close(means, torch.tensor([m for m, _ in expected]).double())
    torch.testing.assert_close(full, torch.tensor([r for _, r in expected]).double())
    options: dict[str, Any] = {"weight": weight, "shrinkage": s}
    means, diagonal = functional.class_gaussians(FEATURES, TARGETS, 4, covariance="diagonal", **options)
    torch.testing.assert_close(diagonal, full.diagonal(dim1=1, dim2=2))
    means, shared = functional.class_gaussians(FEATURES, TARGETS, 4, covariance="shared", **options)
    assert shared.shape == (1, 3, 3)
    torch.testing.assert_close(shared[0], torch.tensor(formulas.pooled(groups(weight), s)).double())


def test_a_row_of_weight_k_is_k_rows() -> None:
    repeated = torch.repeat_interleave(torch.arange(19), WEIGHTS.long())
    for kind in calibration.COVARIANCES:
        one = functional.class_gaussians(FEATURES, TARGETS, 4, weight=WEIGHTS, covariance=kind)
        other = functional.class_gaussians(FEATURES[repeated], TARGETS[repeated], 4, covariance=kind)
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b)


def test_a_class_of_one_row_has_no_covariance_and_one_without_rows_is_refused() -> None:
    assert not functional.class_gaussians(FEATURES, TARGETS, 4)[1][3].any()
    with pytest.raises(ValueError, match="targets must have a row of every class, got none of class 4; leave out"):
        functional.class_gaussians(FEATURES, TARGETS, 5)


@cases(("q", "tau"), [(1, 1.0), (2, 1.0), (2, 0.1), (7, 3.0)])
def test_tail_classes_borrow_from_the_nearest_others(q: int, tau: float) -> None:
    means, own = functional.class_gaussians(FEATURES, TARGETS, 4)
    tail = torch.tensor([False, False, True, True])
    shares = functional.borrowed_shares(means, tail, q, tau)
    assert not shares[:2].any()
    for gamma in (0.0, 0.7):
        for values in (means, own):
            found = functional.calibrated(values, shares, gamma)
            assert found[:2].equal(values[:2])
            for t in (2, 3):
                from_ = formulas.shares(means.tolist(), t, [0, 1], q, tau)
                assert shares[t].tolist() == pytest.approx([from_.get(k, 0.0) for k in range(4)])
                expected = formulas.blended(values.flatten(1).tolist(), t, from_, gamma)
                assert found[t].flatten().tolist() == pytest.approx(expected)


def test_nothing_is_borrowed_without_neighbours_or_with_full_confidence() -> None:
    means, _ = functional.class_gaussians(FEATURES, TARGETS, 4)
    tail = torch.tensor([False, False, True, True])
    nothing = functional.borrowed_shares(means, tail, 0, 1.0)
    assert functional.calibrated(means, nothing, 0.0).equal(means)
    assert functional.borrowed_shares(means, torch.ones(4, dtype=torch.bool), 3, 1.0).sum() == 0
    shares = functional.borrowed_shares(means, tail, 2, 1.0)
    torch.testing.assert_close(functional.calibrated(means, shares, 1.0), means, rtol=0, atol=0)
    equal = functional.borrowed_shares(torch.zeros(4, 3).double(), tail, 2, 1.0)
    assert equal[2].tolist() == [0.5, 0.5, 0.0, 0.0]


def test_a_root_times_itself_is_the_covariance_of_few_rows_too() -> None:
    _, own = functional.class_gaussians(FEATURES, TARGETS, 4, shrinkage=0.0)
    flat = own.clone()
    flat[2] = 0.0
    flat[2, 0, 0] = 4.0  # of rank 1
    root = functional.covariance_root(flat)
    torch.testing.assert_close(root @ root.mT, flat, atol=1e-9, rtol=1e-9)
    assert torch.allclose(root, root.mT)
    diagonal = functional.covariance_root(flat.diagonal(dim1=1, dim2=2), diagonal=True)
    torch.testing.assert_close(diagonal.square(), flat.diagonal(dim1=1, dim2=2))


@cases("kind", calibration.COVARIANCES)
def test_draws_have_the_moments_of_their_class(kind: str) -> None:
    """Means within 5 standard errors, sqrt(S_ii / n); covariances too, sqrt((S_ii S_jj + S_ij^2) / n)."""
    means, own = functional.class_gaussians(FEATURES, TARGETS, 4, covariance=kind)
    root = functional.covariance_root(own, diagonal=kind == "diagonal")
    n, generator = 40_000, torch.Generator().manual_seed(2)
    classes = torch.arange(4).repeat(n)
    z = functional.gaussian_draws(means, root, classes, torch.randn(4 * n, 3, generator=generator).double())
    for c in range(4):
        drawn = z[classes == c]
        full = torch.diag(own[c]) if kind == "diagonal" else own[min(c, len(own) - 1)]
        variances = full.diagonal()
        assert bool(((drawn.mean(0) - means[c]).abs() <= 5 * (variances / n).sqrt() + 1e-12).all())
        error = ((variances[:, None] * variances + full.square()) / n).sqrt()
        assert bool(((drawn.T.cov() - full).abs() <= 5 * error + 1e-12).all())


def test_draws_in_pieces_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    means, own = functional.class_gaussians(FEATURES, TARGETS, 4)
    classes, noise = torch.tensor([3, 0, 1, 2, 0]), torch.randn(5, 3).double()
    whole = functional.gaussian_draws(means, own, classes, noise)
    monkeypatch.setattr(calibration, "AT_ONCE", 20)
    torch.testing.assert_close(functional.gaussian_draws(means, own, classes, noise), whole)
    for m in range(5):
        c = int(classes[m])
        expected = [
            float(means[c, i]) + math.fsum(float(own[c, i, j] * noise[m, j]) for j in range(3)) for i in range(3)
        ]
        assert whole[m].tolist() == pytest.approx(expected)


@cases("counts", [(9, 6, 3, 1), (5, 5, 5), (100, 1)])
def test_missing_rows_make_counts_equal(counts: tuple[int, ...]) -> None:
    chances, per_row = functional.missing_rows(torch.tensor(counts))
    expected, number = formulas.missing(counts)
    assert chances.tolist() == pytest.approx(expected)
    assert per_row == pytest.approx(number)
    together = [n / sum(counts) + per_row * float(q) for n, q in zip(counts, chances, strict=True)]
    assert together == pytest.approx([together[0]] * len(counts))


def test_spread_and_distance() -> None:
    assert float(functional.feature_spread(FEATURES)) == pytest.approx(formulas.spread(FEATURES.tolist()))
    assert float(functional.feature_spread(torch.ones(4, 2))) == 1.0
    f, g = FEATURES[:5].clone().requires_grad_(), FEATURES[5:10]
    found = functional.feature_distance(f, g)
    assert found.tolist() == pytest.approx(
        [formulas.distance(a, b) for a, b in zip(f.tolist(), g.tolist(), strict=True)]
    )
    assert torch.autograd.gradcheck(lambda x: functional.feature_distance(x, g), f)
    (zero,) = torch.autograd.grad(functional.feature_distance(f, f.detach()).sum(), f)
    assert not zero.any()
