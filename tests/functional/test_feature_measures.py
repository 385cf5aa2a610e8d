"""Alignment, uniformity and spread against double loops in float64."""

from __future__ import annotations

import math

import pytest
import torch

from longtail.functional.feature_measures import alignment_terms, spread_terms, uniformity_terms


def rows(seed: int, n: int = 9, width: int = 4) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(row: list[float]) -> list[float]:
    length = math.sqrt(sum(v * v for v in row))
    return [v / length for v in row]


def distance(a: list[float], b: list[float]) -> float:
    return sum((u - v) ** 2 for u, v in zip(a, b, strict=True))


def test_alignment() -> None:
    x, y = rows(0), rows(1)
    expected = [distance(unit(a), unit(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert alignment_terms(x, y).tolist() == pytest.approx(expected, rel=1e-12)
    assert alignment_terms(x, 3 * x).abs().max() < 1e-15
    assert alignment_terms(x, -x).tolist() == pytest.approx([4.0] * 9)


@pytest.mark.parametrize("partners", [None, [0, 3, 5]])
def test_uniformity(partners: list[int] | None) -> None:
    x = rows(2)
    f = [unit(row) for row in x.tolist()]
    expected = []
    for i, a in enumerate(f):
        others = [f[j] for j in (range(9) if partners is None else partners) if j != i]
        expected.append(sum(math.exp(-2 * distance(a, b)) for b in others) / len(others))
    chosen = None if partners is None else torch.tensor(partners)
    assert uniformity_terms(x, chosen).tolist() == pytest.approx(expected, rel=1e-12)


def test_uniformity_over_pairs_is_the_log_of_the_mean_of_the_terms() -> None:
    f = [unit(row) for row in rows(2).tolist()]
    pairs = [math.exp(-2 * distance(f[i], f[j])) for i in range(9) for j in range(i)]
    assert math.log(uniformity_terms(rows(2)).mean()) == pytest.approx(math.log(sum(pairs) / len(pairs)), rel=1e-12)
    assert uniformity_terms(torch.ones(5, 3)).tolist() == pytest.approx([1.0] * 5), "all the same"


def test_uniformity_does_not_depend_on_how_rows_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = uniformity_terms(rows(3))
    monkeypatch.setattr("longtail.functional.feature_measures.CHUNK", 4)
    torch.testing.assert_close(uniformity_terms(rows(3)), whole, rtol=1e-12, atol=0.0)


def test_spread() -> None:
    x, targets = rows(4), torch.tensor([0, 0, 2, 2, 2, 0, 3, 2, 0])
    f, labels = [unit(row) for row in x.tolist()], targets.tolist()
    expected = []
    for row, label in zip(f, labels, strict=True):
        members = [other for other, c in zip(f, labels, strict=True) if c == label]
        mean = [sum(column) / len(members) for column in zip(*members, strict=True)]
        expected.append(distance(row, mean))
    found = spread_terms(x, targets, 4)
    assert found.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-14)
    mean = torch.tensor([f[i] for i in (0, 1, 5, 8)], dtype=torch.float64).mean(0)
    assert float(found[targets == 0].mean()) == pytest.approx(1 - float(mean.square().sum()), rel=1e-12)
