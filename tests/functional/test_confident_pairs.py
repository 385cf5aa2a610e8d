"""Confident rows and pairs by the votes of neighbours, and the losses of pairs: the formulas in loops."""

from __future__ import annotations

import pytest
import torch
from tests.cases import cases
from tests.functional import selection_formulas as formulas

from longtail.functional import neighbour_votes, nt_xent
from longtail.functional.confident_pairs import pair_contrast, pair_similarity
from longtail.functional.neighbour_votes import confident_rows, nearest_rows, pair_threshold

G = torch.Generator().manual_seed(0)
COUNTS = (20, 9, 4, 1)
TRUE = torch.repeat_interleave(torch.arange(4), torch.tensor(COUNTS))
FEATURES = torch.randn(4, 5, generator=G, dtype=torch.float64)[TRUE] + 0.6 * torch.randn(34, 5, generator=G).double()
LABELS = torch.where(torch.rand(34, generator=G) < 0.3, (TRUE + 1) % 4, TRUE)


@cases("k", [1, 4, 250])
def test_nearest_rows(k: int) -> None:
    expected = formulas.neighbours(FEATURES.tolist(), k)
    assert nearest_rows(FEATURES, k).tolist() == expected
    assert len(expected[0]) == min(k, 33)


def test_nearest_rows_by_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest_rows(FEATURES, 4)
    monkeypatch.setattr(neighbour_votes, "CHUNK", 7)
    assert nearest_rows(FEATURES, 4).equal(whole)


@cases("k, alpha", [(5, 0.5), (3, 0.25), (9, 0.0), (5, 1.0), (250, 0.5), (4, 0.9)])
def test_confident_rows(k: int, alpha: float) -> None:
    found = confident_rows(FEATURES, LABELS, 4, k, alpha).tolist()
    assert found == formulas.confident(FEATURES.tolist(), LABELS.tolist(), 4, k, alpha)
    assert 0 < sum(found) < 34


def test_of_every_class_there_is_a_row_even_where_no_label_wins() -> None:
    """Labels that alternate along a line: the neighbours of each row are of the other class."""
    angles = torch.tensor([0.0, 0.01, 1.0, 1.01, 2.0, 2.01, 3.0, 3.01])
    features = torch.stack([angles.cos(), angles.sin()], 1).double()
    found = confident_rows(features, torch.arange(8) % 2, 2, 1, 0.5)
    assert found.tolist() == formulas.confident(features.tolist(), [0, 1] * 4, 2, 1, 0.5)
    assert all(found[torch.arange(8) % 2 == j].any() for j in (0, 1))


def test_wrong_labels_are_left_out_where_classes_are_apart() -> None:
    apart = torch.eye(4, 5).double()[TRUE] + 0.02 * torch.randn(34, 5, generator=G).double()
    labels = TRUE.clone()
    labels[[0, 3]] = 1
    found = confident_rows(apart, labels, 4, 5)
    assert not found[[0, 3]].any()
    assert found[labels == 2].all()


@cases("beta", [0.0, 0.25, 0.5, 1.0])
def test_threshold(beta: float) -> None:
    chosen = torch.rand(34, generator=torch.Generator().manual_seed(1)) < 0.6
    expected = formulas.threshold(FEATURES.tolist(), LABELS.tolist(), chosen.tolist(), beta)
    assert pair_threshold(FEATURES, LABELS, chosen, beta).item() == pytest.approx(expected, rel=1e-12)


def test_threshold_of_no_pairs_and_of_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = torch.zeros(34, dtype=torch.bool)
    alone[0] = True
    assert pair_threshold(FEATURES, LABELS, alone).item() == 1
    monkeypatch.setattr(neighbour_votes, "PARTNERS", 2)
    every = torch.ones(34, dtype=torch.bool)
    found = pair_threshold(FEATURES, LABELS, every, 0.5).item()
    rows = FEATURES.tolist()
    values = []
    for c in range(4):
        mine = [i for i in range(34) if int(LABELS[i]) == c]
        n = len(mine)
        count = min(n - 1, 2)
        offsets = [1 + j * (n - 1) // count for j in range(count)]
        assert len(set(offsets)) == count
        values += [formulas.cosine(rows[mine[i]], rows[mine[(i + o) % n]]) for i in range(n) for o in offsets]
    assert found == pytest.approx(float(torch.tensor(values, dtype=torch.float64).quantile(0.5)), rel=1e-12)


def masks(allowed: float = 0.7) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(2)
    found = [torch.rand(6, 8, generator=g) < share for share in (0.3, 0.3, allowed)]
    found[0][1] = False  # no positives
    found[2][2] = False  # no candidates
    return found


@cases("share", [1.0, 0.7])
def test_losses_of_pairs(share: float) -> None:
    g = torch.Generator().manual_seed(3)
    z, c = torch.randn(6, 4, generator=g).double(), torch.randn(8, 4, generator=g).double()
    p, q = torch.randn(6, 3, generator=g).double().softmax(1), torch.randn(8, 3, generator=g).double().softmax(1)
    own, partners, allowed = masks()
    lists = (own.tolist(), partners.tolist())
    shares = torch.full((6,), share)
    expected = formulas.contrast(z.tolist(), c.tolist(), *lists, shares[0].item(), allowed.tolist(), 0.1)
    found = pair_contrast(z, c, own, partners, shares, allowed, 0.1)
    torch.testing.assert_close(found.tolist(), expected, rtol=1e-11, atol=1e-12)
    assert found[2] == 0
    expected = formulas.similarity(p.tolist(), q.tolist(), *lists, shares[0].item(), allowed.tolist())
    torch.testing.assert_close(
        pair_similarity(p, q, own, partners, shares, allowed).tolist(), expected, rtol=1e-11, atol=0
    )


def test_derivatives_and_half_precision() -> None:
    g = torch.Generator().manual_seed(3)
    z, c = torch.randn(6, 4, generator=g).double().requires_grad_(), torch.randn(8, 4, generator=g).double()
    own, partners, allowed = masks()
    shares = torch.full((6,), 0.6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: pair_contrast(x, c, own, partners, shares, allowed), z)
    assert torch.autograd.gradcheck(
        lambda x: pair_similarity(x.softmax(1), c.softmax(1), own, partners, shares, allowed), z
    )
    low = pair_contrast(z.bfloat16(), c.bfloat16(), own, partners, shares, allowed)
    assert low.dtype == torch.float32
    sure = torch.eye(8)[:, :3] + torch.zeros(8, 3)
    assert pair_similarity(sure[:6], sure, own, partners, shares, allowed).isfinite().all()


def test_where_pairs_are_views_alone_it_is_nt_xent() -> None:
    g = torch.Generator().manual_seed(4)
    first, second = torch.randn(5, 4, generator=g).double(), torch.randn(5, 4, generator=g).double()
    z = torch.cat([first, second])
    itself = torch.eye(10, dtype=torch.bool)
    views = torch.eye(5, dtype=torch.bool).repeat(2, 2) & ~itself
    terms = pair_contrast(z, z, views, views, torch.ones(10), ~itself, 0.2).view(2, -1).mean(0)
    torch.testing.assert_close(terms, nt_xent(first, second, 0.2))


def test_what_it_refuses() -> None:
    ones, some = torch.ones(1, 2), torch.ones(1, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match="t must be > 0 and finite, got 0"):
        pair_contrast(ones, ones, some, some, torch.ones(1), some, 0)


def test_rows_are_chosen_alike_where_float64_is_the_usual_dtype() -> None:
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(40, 5, generator=generator), torch.arange(40) % 3
    chosen = confident_rows(features, labels, 3, 7)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert confident_rows(features, labels, 3, 7).equal(chosen)
    finally:
        torch.set_default_dtype(usual)
