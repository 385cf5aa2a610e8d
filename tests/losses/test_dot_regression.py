"""Dot regression: the paper's loss and gradient, the released code's re-balancing, and how its best scores rank."""

from __future__ import annotations

import math

import pytest
import torch
from tests.cases import cases
from tests.losses import loss_formulas as formulas
from tests.losses.loss_cases import COUNTS, C, batch, generator, soft
from torch import Tensor

from longtail import functional, losses

UNEVEN = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 3, 3, 4])
"""Rows of a batch that lacks class 2."""


def cosines() -> Tensor:
    return batch()[0].tanh()


def by_code(z: Tensor, y: Tensor) -> float:
    """The released code: vectors of length sqrt((B / K) / b_j), then 0.5 (<m_y, h> - |m_y| |h|)^2 / |h|, |h| = 1."""
    rows = [y.tolist().count(j) for j in range(C)]
    present = sum(b > 0 for b in rows)
    length = [math.sqrt(len(y) / present / b) if b else 1.0 for b in rows]
    each = [0.5 * (length[k] * row[k] - length[k]) ** 2 for row, k in zip(z.tolist(), y.tolist(), strict=True)]
    return math.fsum(each) / len(each)


def test_rescaled_it_is_the_released_code_and_the_mean_over_classes_of_their_means() -> None:
    z = cosines()
    loss = losses.DotRegressionLoss(rescale=True)
    assert loss(z, UNEVEN).item() == pytest.approx(by_code(z, UNEVEN), rel=1e-12)
    plain = losses.DotRegressionLoss().per_example(z, UNEVEN)
    means = [plain[j == UNEVEN].mean() for j in (0, 1, 3, 4)]
    assert loss(z, UNEVEN).item() == pytest.approx(float(sum(means)) / 4, rel=1e-12)
    one_of_each = torch.arange(C)
    torch.testing.assert_close(loss(z[:C], one_of_each), losses.DotRegressionLoss()(z[:C], one_of_each))
    ignored = torch.cat([UNEVEN, torch.tensor([-100, -100])])
    assert loss(torch.cat([z, z[:2]]), ignored).item() == pytest.approx(by_code(z, UNEVEN), rel=1e-12)


@cases("kind", ["index", "soft"])
def test_rescaled_with_class_weights_the_factors_are_those_of_the_targets(kind: str) -> None:
    z, w = cosines(), formulas.power_weights(COUNTS, 0.5)
    q = soft() if kind == "soft" else torch.eye(C, dtype=torch.float64)[UNEVEN]
    rows = q.sum(0).tolist()
    f = [sum(rows) / sum(b > 0 for b in rows) / b if b else 1.0 for b in rows]
    total, omega = 0.0, 0.0
    for row, target in zip(z.tolist(), q.tolist(), strict=True):
        total += math.fsum(t * w[k] * f[k] * (row[k] - 1) ** 2 for k, t in enumerate(target))
        omega += math.fsum(t * w[k] for k, t in enumerate(target))
    loss = losses.DotRegressionLoss(COUNTS, scale=2.0, rescale=True, class_weight="sqrt")
    assert loss(z, q if kind == "soft" else UNEVEN).item() == pytest.approx(total / omega, rel=1e-11)


@cases("kind", ["index", "soft"])
@cases("rescale", [False, True])
def test_gradcheck(rescale: bool, kind: str) -> None:
    z = cosines().requires_grad_()
    targets = soft() if kind == "soft" else UNEVEN
    loss = losses.DotRegressionLoss(scale=3.0, rescale=rescale)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), z)


def test_the_gradient_points_along_the_own_vector_alone_and_vanishes_there() -> None:
    frame = functional.simplex_frame(4, 6, generator())
    h = torch.randn(4, 6, dtype=torch.float64, generator=generator(1))
    h = (h / h.norm(dim=1, keepdim=True)).requires_grad_()
    y = torch.arange(4)
    losses.DotRegressionLoss(scale=2.0, reduction="sum")(h @ frame.T, y).backward()
    cosine = (h.detach() * frame).sum(1, keepdim=True)
    torch.testing.assert_close(h.grad, -2.0 * (1 - cosine) * frame)
    assert losses.DotRegressionLoss()(frame @ frame.T, y) < 1e-28


def test_of_two_classes_it_is_the_least_squares_loss() -> None:
    t = torch.linspace(-1, 1, 9, dtype=torch.float64)
    z, y = torch.stack([t, -t], 1), torch.arange(9) % 2
    torch.testing.assert_close(4 * losses.DotRegressionLoss()(z, y), losses.LeastSquaresLoss()(z, y))


@cases("p", [[0.5, 0.3, 0.2], [0.9, 0.06, 0.04], [0.4, 0.35, 0.15, 0.1]])
def test_the_best_features_rank_classes_by_their_probabilities(p: list[float]) -> None:
    """So it is consistent for the error and not for the balanced one, unless classes are weighed."""
    frame = functional.simplex_frame(len(p), 5, generator())
    q = torch.tensor([p], dtype=torch.float64)

    def best(loss: losses.Loss) -> list[float]:
        h = frame.sum(0, keepdim=True) + 0.3 * torch.randn(1, 5, dtype=torch.float64, generator=generator(2))
        h.requires_grad_()
        lbfgs = torch.optim.LBFGS([h], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            lbfgs.zero_grad()
            risk = loss((h / h.norm()) @ frame.T, q)
            risk.backward()
            return risk

        lbfgs.step(closure)
        return ((h / h.norm()) @ frame.T)[0].tolist()

    assert best(losses.DotRegressionLoss()) == sorted(best(losses.DotRegressionLoss()), reverse=True)
    weighted = best(losses.DotRegressionLoss(class_weight=torch.tensor([1 / v**2 for v in p], dtype=torch.float64)))
    assert weighted == sorted(weighted)
