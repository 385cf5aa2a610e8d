"""DARP's refinement against the algorithm written out row by row, and the projection that it ends with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from longtail.functional import project_on_totals, refine_pseudo_labels

TOTALS = torch.tensor([40.0, 30, 15, 10, 5])


def labels(size: int = 100, dtype: torch.dtype = torch.float64) -> Tensor:
    z = torch.randn(size, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (3 * z - torch.arange(5)).softmax(1).to(dtype)


def by_hand(p: Tensor, totals: list[float], keep: float) -> tuple[np.ndarray, np.ndarray]:
    """Steps 1 to 3 and the weights, in plain loops."""
    rows = p.double().numpy()
    kept = np.zeros_like(rows)
    for k, total in enumerate(totals):
        best = sorted(range(len(rows)), key=lambda m: -rows[m, k])[: int(keep * total)]
        for m in best:
            kept[m, k] = rows[m, k]
        kept[:, k] *= (total + 1e-6) / (sum(rows[m, k] for m in best) + 1e-6)
    a = kept + 1e-6
    a /= a.sum(1, keepdims=True)
    entropy = [-sum(x * math.log(x) for x in row) for row in a]
    return a, np.array([1 / max(h, 1e-6) for h in entropy])


@pytest.mark.parametrize("keep", [0.5, 1.0, 2.0, 7.3])
@pytest.mark.parametrize("weights", ["entropy", "uniform"])
def test_is_the_algorithm_row_by_row(keep: float, weights: str) -> None:
    p = labels()
    a, w = by_hand(p, TOTALS.tolist(), keep)
    found = refine_pseudo_labels(p, TOTALS, keep=keep, weights=weights)
    w = w if weights == "entropy" else np.ones_like(w)
    expected = project_on_totals(torch.tensor(a), TOTALS, weights=torch.tensor(w))
    torch.testing.assert_close(found.labels, expected.labels, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found.labels.sum(0), TOTALS.double(), rtol=1e-8, atol=0)


def test_without_noise_removal_it_is_the_projection() -> None:
    p = labels()
    smooth = (p + 1e-6) / (1 + 5e-6)
    w = 1 / -(smooth * smooth.log()).sum(1)
    found, expected = refine_pseudo_labels(p, TOTALS, keep=math.inf), project_on_totals(smooth, TOTALS, weights=w)
    torch.testing.assert_close(found.labels, expected.labels, rtol=1e-9, atol=1e-12)
    plain = refine_pseudo_labels(p, TOTALS, keep=math.inf, weights="uniform")
    torch.testing.assert_close(plain.labels, project_on_totals(smooth, TOTALS).labels, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(plain.labels, found.labels, atol=1e-3)
    assert not torch.allclose(refine_pseudo_labels(p, TOTALS).labels, found.labels, atol=1e-3)


def test_takes_rows_of_one_class_totals_of_any_scale_and_a_class_of_none() -> None:
    sure = torch.eye(5)[torch.arange(100) % 5]
    found = refine_pseudo_labels(sure, 7 * TOTALS)
    assert found.labels.dtype == torch.float32
    torch.testing.assert_close(found.labels.sum(0), TOTALS, rtol=1e-5, atol=0)
    none = refine_pseudo_labels(labels(), [1, 1, 1, 1, 0])
    assert none.labels[:, 4].eq(0).all()
    torch.testing.assert_close(none.labels.sum(1), torch.ones(100, dtype=torch.float64))


def test_a_row_that_lost_all_its_classes_is_uniform_before_the_projection() -> None:
    p = labels()
    p[0] = 0.2
    a, _ = by_hand(p, TOTALS.tolist(), 0.5)
    assert a[0].tolist() == pytest.approx([0.2] * 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0.0}, "keep must be > 0, or inf"),
        ({"keep": math.nan}, "keep must be > 0, or inf"),
        ({"weights": "none"}, 'weights must be "entropy" or "uniform"'),
        ({"totals": [1, 2]}, r"totals must have shape \(5,\), got \(2,\)"),
        ({"totals": [0] * 5}, "totals must be finite, >= 0 and not all 0"),
        ({"probs": labels() * math.nan}, "probs must be finite"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        refine_pseudo_labels(**{"probs": labels(), "totals": TOTALS, **arguments})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch.cuda.is_available() is False")
@pytest.mark.parametrize("weights", ["entropy", "uniform"])
@pytest.mark.parametrize("totals", [TOTALS, TOTALS.flip(0)])
def test_a_gpu_refines_to_the_same_labels(totals: Tensor, weights: str) -> None:
    p = labels(2000)
    here, there = (refine_pseudo_labels(given, totals.to(given.device), weights=weights) for given in (p, p.cuda()))
    assert there.labels.is_cuda
    assert there.residual <= 1e-9
    torch.testing.assert_close(there.labels.cpu(), here.labels, rtol=0, atol=1e-9)
