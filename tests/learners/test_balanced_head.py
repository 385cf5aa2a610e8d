"""ABC's second classifier: its masks by their frequencies, and its loss in plain numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tests.cases import cases
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs
from longtail.learners.balanced_head import BalancedHead
from longtail.learners.semi import Views

COUNTS = torch.tensor([400, 100, 40, 0])
RATES = [0.1, 0.4, 1.0, 1.0]
"""n_min / n_k; the class without rows has none to lose."""


def head(scale: float = 1.0, **options: Any) -> BalancedHead:
    torch.manual_seed(0)
    linear = nn.Linear(5, 4).double()
    with torch.no_grad():
        linear.weight *= scale
    return BalancedHead(linear, COUNTS, **options).double()


def features(rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 5, dtype=torch.float64, generator=generator).requires_grad_()


def views(labelled: int, rest: int, further: int = 1) -> Views:
    none = torch.zeros(())
    others = tuple(Outputs(none, features(rest, 3 + v)) for v in range(further))
    return Views(Outputs(none, features(labelled, 1)), Outputs(none, features(rest, 2).detach()), others)


def chosen(part: Outputs) -> np.ndarray:
    """Which rows have a gradient."""
    assert part.features is not None
    assert part.features.grad is not None
    return (part.features.grad.abs().sum(1) > 0).numpy()


def test_the_rates() -> None:
    torch.testing.assert_close(head().rates.tolist(), RATES)
    weights = BalancedHead(nn.Linear(2, 2), torch.tensor([2.5, 0.5], dtype=torch.float64))
    torch.testing.assert_close(weights.rates.tolist(), [0.2, 1.0])


def p_value(mask: np.ndarray, labels: np.ndarray, rates: list[float]) -> float:
    """That so many rows of each class are chosen, were the rates these."""
    observed, expected = [], []
    for k, rate in enumerate(rates):
        rows, size = mask[labels == k], int((labels == k).sum())
        if rate == 1:
            assert rows.all()
        elif size:
            observed += [rows.sum(), size - rows.sum()]
            expected += [rate * size, (1 - rate) * size]
    return float(chisquare(observed, expected, ddof=len(observed) // 2 - 1).pvalue)


@cases(("seed", "progress"), [(0, 0.0), (1, 0.3), (2, 0.75), (3, 1.0)])
def test_rows_are_drawn_by_these_rates(seed: int, progress: float) -> None:
    """A chi-square test of the labelled rows, and of those without labels at this progress."""
    part, size = head(scale=3.0, confidence=0.0), 20_000
    labels = torch.randint(4, (size,), generator=torch.Generator().manual_seed(seed))
    seen = views(size, size)
    torch.manual_seed(seed)
    part(Batch(inputs=labels, targets=labels, index=labels), seen, progress)[0].backward()
    assert p_value(chosen(seen.labelled), labels.numpy(), RATES) > 0.001
    guessed = part.head(seen.weak.features).argmax(1).numpy()
    now = [1 - progress * (1 - rate) for rate in RATES]
    assert np.bincount(guessed, minlength=4).min() > 500
    assert p_value(chosen(seen.others[0]), guessed, now) > 0.001 if progress else chosen(seen.others[0]).all()
    # rates that are off by a tenth would show
    off = [min(1.1 * rate, 0.99) if rate < 1 else 1.0 for rate in RATES]
    assert p_value(chosen(seen.labelled), labels.numpy(), off) < 0.001


@pytest.mark.parametrize("weighted", [False, True])
@cases(("further", "confidence", "weight", "progress"), [(1, 0.6, 1.0, 0.5), (2, 0.8, 0.3, 0.9), (2, 0.0, 2.0, 0.0)])
def test_the_loss_row_by_row(further: int, confidence: float, weight: float, progress: float, weighted: bool) -> None:
    part, size = head(scale=3.0, confidence=confidence, weight=weight), 50
    labels = torch.randint(3, (size,), generator=torch.Generator().manual_seed(7))
    rows = 0.5 + torch.rand(size, dtype=torch.float64) if weighted else None
    seen = views(size, 70, further)
    batch = Batch(inputs=labels, targets=labels, index=labels)
    if rows is not None:
        batch["sample_weight"] = rows
    torch.manual_seed(11)
    loss, log = part(batch, seen, progress)
    loss.backward()

    w, b = (value.detach().numpy() for value in (part.head.weight, part.head.bias))

    def log_softmax(x: np.ndarray) -> np.ndarray:
        z = w @ x + b
        return z - max(z) - math.log(np.exp(z - max(z)).sum())  # type: ignore[no-any-return]

    s = np.ones(size) if rows is None else rows.numpy()
    assert seen.labelled.features is not None
    kept = chosen(seen.labelled)
    own = [-log_softmax(x)[y] for x, y in zip(seen.labelled.features.detach().numpy(), labels.tolist(), strict=True)]
    expected = float((kept * s * own).sum() / s.sum())
    assert seen.weak.features is not None
    q = [np.exp(log_softmax(x)) for x in seen.weak.features.numpy()]
    masks = [chosen(view) for view in seen.others]
    assert all((mask == masks[0]).all() for mask in masks), "one mask for all views of a row"
    assert not any(mask and max(p) < confidence for mask, p in zip(masks[0], q, strict=True))
    for view in seen.others:
        assert view.features is not None
        each = [-(p * log_softmax(x)).sum() for p, x in zip(q, view.features.detach().numpy(), strict=True)]
        expected += float((masks[0] * each).mean())
    assert loss.item() == pytest.approx(weight * expected, rel=1e-6)
    assert log["balanced"].item() == pytest.approx(masks[0].mean())
    assert log["auxiliary"].item() == pytest.approx(expected, rel=1e-6)


def test_in_the_end_classes_are_taught_in_equal_parts() -> None:
    """So many labelled rows of a class, times its rate, are as many for each class that has rows."""
    rates = head().rates[:3]
    torch.testing.assert_close(rates * COUNTS[:3], torch.full((3,), 40.0, dtype=torch.float64))


def test_confident_rows_stay_finite() -> None:
    """The logarithm of a softmax that is 0 would be -inf, and 0 times it NaN."""
    part, seen = head(scale=1e4), views(20, 20, 2)
    labels = torch.randint(3, (20,))
    loss, _ = part(Batch(inputs=labels, targets=labels, index=labels), seen, 0.5)
    loss.backward()
    assert loss.isfinite()
    assert part.head.weight.grad is not None
    assert part.head.weight.grad.isfinite().all()


def test_labels_of_the_weak_view_have_no_gradient_and_above_1_none_counts() -> None:
    part, seen = head(confidence=1.01), views(10, 10)
    labels = torch.zeros(10, dtype=torch.int64)
    loss, log = part(Batch(inputs=labels, targets=labels, index=labels), seen, 0.0)
    loss.backward()
    assert log["balanced"] == 0
    assert not chosen(seen.others[0]).any()
    assert not part(Batch(inputs=labels, targets=labels, index=labels), seen, 0.0)[1]["auxiliary"].requires_grad
