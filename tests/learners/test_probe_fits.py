"""The classifiers of the papers, step by step in float64, and the SVM by its optimum."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.learners.test_probes import clusters
from torch import Tensor, nn

from longtail.learners.probe_fits import bcl_descent, fit_svm, sdclr_descent
from longtail.learners.probes import probe
from longtail.models.heads import UnitLinear

Array = NDArray[np.float64]


def start(width: float | None, classes: int, size: int, seed: int) -> tuple[Array, Array, torch.Generator]:
    """Weights and offsets at the start, and the generator from there on."""
    g = torch.Generator().manual_seed(seed)
    w, b = torch.empty(classes, size), torch.zeros(classes)
    if width is None:
        bound = 1 / math.sqrt(size)
        w.uniform_(-bound, bound, generator=g)
        b.uniform_(-bound, bound, generator=g)
    else:
        w.normal_(0.0, width, generator=g)
    return w.double().numpy(), b.double().numpy(), g


def gradient(w: Array, b: Array, x: Array, y: list[int], s: list[float]) -> tuple[Array, Array]:
    """Of sum_i s_i (-log softmax(W x_i + b)_{y_i}) / sum_i s_i, row by row."""
    gw, gb = np.zeros_like(w), np.zeros_like(b)
    for row, label, weight in zip(x, y, s, strict=True):
        z = [float(sum(a * c for a, c in zip(w[j], row, strict=True)) + b[j]) for j in range(len(b))]
        top = max(z)
        total = sum(math.exp(v - top) for v in z)
        for j in range(len(b)):
            p = math.exp(z[j] - top) / total - (j == label)
            gb[j] += weight * p
            gw[j] += weight * p * row
    return gw / sum(s), gb / sum(s)


def data(weighted: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    x, y = clusters(1.0, (5, 4, 3), width=4)
    weight = torch.rand(12, generator=torch.Generator().manual_seed(3), dtype=torch.float64) if weighted else None
    return x.double() / 10, y, weight


@pytest.mark.parametrize(("few", "weighted"), [(False, False), (False, True), (True, False)])
def test_sgd_is_that_of_sdclr(few: bool, weighted: bool) -> None:
    x, y, weight = data(weighted)
    head = nn.Linear(4, 3).double()
    sdclr_descent(few).fit(head, lambda epoch: x * (1 + epoch / 100), y, weight, seed=7)
    w, b, g = start(0.01, 3, 4, 7)
    vw, vb = np.zeros_like(w), np.zeros_like(b)
    for epoch in range(100 if few else 30):
        lr = 30.0 * (0.1 if epoch >= (40 if few else 10) else 1) * (0.1 if epoch >= (60 if few else 20) else 1)
        order = torch.randperm(12, generator=g).tolist()  # one batch of at most 128
        rows, labels = x.numpy()[order] * (1 + epoch / 100), [int(y[i]) for i in order]
        gw, gb = gradient(w, b, rows, labels, [1.0 if weight is None else float(weight[i]) for i in order])
        vw, vb = 0.9 * vw + gw, 0.9 * vb + gb
        w, b = w - lr * vw, b - lr * vb
    np.testing.assert_allclose(head.weight.detach(), w, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(head.bias.detach(), b, rtol=1e-8, atol=1e-8)


def test_adam_is_that_of_bcl() -> None:
    x, y, _ = data(False)
    head = nn.Linear(4, 3).double()
    bcl_descent().fit(head, lambda _: x, y, seed=2)
    w, b, g = start(None, 3, 4, 2)
    theta = np.hstack([w, b[:, None]])
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(1, 501):
        order = torch.randperm(12, generator=g).tolist()
        gw, gb = gradient(theta[:, :-1], theta[:, -1], x.numpy()[order], [int(y[i]) for i in order], [1.0] * 12)
        slope = np.hstack([gw, gb[:, None]]) + 5e-6 * theta
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
        lr = 1e-2 * (1e-6 / 1e-2) ** ((step - 1) / 500)
        theta = theta - lr * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(head.weight.detach(), theta[:, :-1], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(head.bias.detach(), theta[:, -1], rtol=1e-6, atol=1e-8)


def test_batches_are_128_and_1000_rows_and_the_last_is_smaller() -> None:
    for descent, size in ((sdclr_descent(False), 128), (bcl_descent(), 1000)):
        assert descent.batch_size == size
    assert (sdclr_descent(False).epochs, sdclr_descent(True).epochs, bcl_descent().epochs) == (30, 100, 500)
    assert bcl_descent().rate(499) == pytest.approx(1e-6, rel=0.02)


def test_descents_leave_the_global_generator_alone_and_repeat_themselves() -> None:
    x, y, _ = data(False)
    before, found = torch.random.get_rng_state(), []
    for _ in range(2):
        head = nn.Linear(4, 3, dtype=torch.float64, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            probe("sgd").fit(head, x, y)
        found.append(head.weight.detach().clone())
    assert found[0].equal(found[1])
    assert torch.random.get_rng_state().equal(before)


@pytest.mark.parametrize("counts", [(30, 12, 6), (20, 9)])
def test_at_the_svms_optimum_its_gradient_is_zero(counts: tuple[int, ...]) -> None:
    x, y = clusters(1.0, counts)
    weight = 0.5 + torch.rand(len(y), generator=torch.Generator().manual_seed(0))
    head = UnitLinear(6, len(counts))
    fit_svm(head, x, y, weight)
    unit = [[v / math.sqrt(sum(u * u for u in row)) for v in row] for row in x.double().tolist()]
    for j in range(len(counts)):
        w, b = head.weight[j].double().tolist(), head.bias.tolist()[j]
        if len(counts) == 2 and j == 0:
            assert (w, b) == ([0.0] * 6, 0.0), "of two classes there is one SVM"
            continue
        slope = [*w, b]
        for row, label, s in zip(unit, y.tolist(), weight.double().tolist(), strict=True):
            t = 1.0 if label == j else -1.0
            slack = max(0.0, 1 - t * (sum(a * c for a, c in zip(w, row, strict=True)) + b))
            for k, value in enumerate([*row, 1.0]):
                slope[k] -= 2 * s * slack * t * value
        assert max(map(abs, slope)) < 1e-3


def test_its_head_divides_by_the_length() -> None:
    head = UnitLinear(3, 2)
    h = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(h), h / h.norm(dim=1, keepdim=True) @ head.weight.T + head.bias)
    torch.testing.assert_close(head(7 * h), head(h))
    assert head(torch.zeros(1, 3)).isfinite().all()
