"""Contrastive losses against the papers' formulas, anchor by anchor, and what follows from these."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.functional import contrast_formulas as formulas
from torch import Tensor

from longtail.functional import focal_nt_xent, info_nce, moclr, negative_cosine, nt_xent, supervised_contrast

ROWS = torch.tensor([3, 8, 3, 0, 5, 8])
LABELS = torch.tensor([0, 1, 0, 2, -100, 0])
OTHERS = torch.tensor([8, 2, 0])
Candidates = list[tuple[list[float], int]]
T = [0.05, 0.2, 1.0]
same = torch.testing.assert_close


def rows(size: int = 6, width: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, width, dtype=torch.float64, generator=generator)


def pair(size: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    return rows(size, seed=2 * seed), rows(size, seed=2 * seed + 1)


def expect(found: Tensor, expected: list[float]) -> None:
    same(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-12)


def listed(gathered: tuple[Tensor, Tensor, Tensor]) -> Candidates:
    first, second, ids = gathered
    return list(zip([*first.tolist(), *second.tolist()], ids.tolist() * 2, strict=True))


@pytest.mark.parametrize("t", T)
def test_nt_xent_leaves_out_candidates_of_the_anchors_row(t: float) -> None:
    (first, second), gathered = pair(), (*pair(3, seed=5), OTHERS)
    views = first.tolist(), second.tolist(), t, ROWS.tolist()
    alone = formulas.of_anchors(formulas.anchors(*views, []))
    together = formulas.anchors(*views, listed(gathered))
    expect(nt_xent(first, second, t, index=ROWS), alone)
    expect(nt_xent(first, second, t, index=ROWS, gathered=gathered), formulas.of_anchors(together))
    for gamma in (0.5, 2.0):
        expected = formulas.of_anchors([formulas.focal(nll, gamma) for nll in together])
        expect(focal_nt_xent(first, second, t, gamma, index=ROWS, gathered=gathered), expected)


def test_rows_that_differ_change_nothing_and_gamma_zero_is_nt_xent_bit_for_bit() -> None:
    first, second = (view.float() for view in pair(20))
    plain = nt_xent(first, second, 0.1)
    assert plain.equal(nt_xent(first, second, 0.1, index=torch.arange(20)))
    assert plain.equal(focal_nt_xent(first, second, 0.1, 0.0))


def test_a_batch_of_one_row_alone_costs_nothing() -> None:
    first, second = (view.requires_grad_() for view in pair(4))
    one = torch.full((4,), 7)
    for loss in (nt_xent(first, second, 0.1, index=one), info_nce(first, second, 0.1, index=one)):
        assert loss.tolist() == [0.0] * 4
        assert all(not g.any() for g in torch.autograd.grad(loss.sum(), (first, second)))
    single = first[:1], second[:1]
    for loss in (focal_nt_xent(*single), info_nce(*single), supervised_contrast(*single, LABELS[:1])):
        assert loss.tolist() == [0.0]


@pytest.mark.parametrize("t", T)
def test_info_nce_against_the_batch_gathered_keys_and_a_queue(t: float) -> None:
    (q, k), others = pair(), rows(3, seed=9)
    hand = (q.tolist(), k.tolist(), t)
    size = range(6)

    def negatives(keep: Callable[[int, int], bool], keys: Tensor = k) -> list[list[list[float]]]:
        return [[keys[j].tolist() for j in range(len(keys)) if keep(i, j)] for i in size]

    batch = formulas.info_nce(*hand, negatives(lambda i, j: i != j))
    expect(info_nce(q, k, t), batch)
    unlike = negatives(lambda i, j: bool(ROWS[i] != ROWS[j]))
    expect(info_nce(q, k, t, index=ROWS), formulas.info_nce(*hand, unlike))
    there = negatives(lambda i, j: bool(ROWS[i] != OTHERS[j]), others)
    both = [a + b for a, b in zip(unlike, there, strict=True)]
    expect(info_nce(q, k, t, index=ROWS, gathered=(others, OTHERS)), formulas.info_nce(*hand, both))
    expect(info_nce(q, k, t, queue=others), formulas.info_nce(*hand, [others.tolist()] * 6))
    expect(info_nce(q, k, t, index=ROWS, queue=others, queue_index=OTHERS), formulas.info_nce(*hand, there))
    places = torch.tensor([8, -1, -1])  # of a queue that is filled in one place
    filled = negatives(lambda i, j: j == 0 and bool(ROWS[i] != 8), others)
    expect(info_nce(q, k, t, index=ROWS, queue=others, queue_index=places), formulas.info_nce(*hand, filled))
    assert not info_nce(q, k, t, queue=others[:0]).any()
    assert not info_nce(q, k, t, queue=others, queue_index=torch.full((3,), -1)).any()


def test_moclr_is_the_sum_of_two_directions() -> None:
    (q1, q2), (k1, k2), more = pair(), pair(seed=3), pair(3, seed=4)
    for index, gathered in ((None, None), (ROWS, (*more, OTHERS))):
        own = torch.arange(6) if index is None else index
        theirs = [] if gathered is None else listed(gathered)

        def hand(q: Tensor, k: Tensor, others: Candidates, own: Tensor = own) -> Tensor:
            keys = [*zip(k.tolist(), own.tolist(), strict=True), *others]
            negatives = [[z for z, row in keys if row != own[i]] for i in range(6)]
            return torch.tensor(formulas.info_nce(q.tolist(), k.tolist(), 0.3, negatives), dtype=torch.float64)

        found = moclr((q1, q2), (k1, k2), 0.3, index=index, gathered=gathered)
        same(found, hand(q1, k2, theirs[3:]) + hand(q2, k1, theirs[:3]), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("t", T)
def test_sup_con_is_the_papers(t: float) -> None:
    (first, second), gathered = pair(), (*pair(3, seed=5), torch.tensor([0, 1, -100]))
    hand = first.tolist(), second.tolist(), LABELS.tolist(), t
    expected = formulas.sup_con(*hand, [])
    expect(supervised_contrast(first, second, LABELS, t), expected)
    expect(supervised_contrast(first, second, LABELS, t, base_t=0.07), [t / 0.07 * value for value in expected])
    expect(supervised_contrast(first, second, LABELS, t, gathered=gathered), formulas.sup_con(*hand, listed(gathered)))


def test_sup_con_of_classes_of_one_is_nt_xent_and_has_its_floor() -> None:
    first, second = pair(12)
    for labels in (torch.arange(12), torch.full((12,), -100)):
        same(supervised_contrast(first, second, labels, 0.1), nt_xent(first, second, 0.1), rtol=1e-12, atol=0)
    z = torch.eye(2, dtype=torch.float64).repeat_interleave(3, 0)  # every class on a point of its own: 5 positives
    loss = supervised_contrast(z, z, torch.arange(2).repeat_interleave(3), 0.01)
    same(loss, torch.full((6,), math.log(5), dtype=torch.float64))


def test_negative_cosine_is_the_cosine_and_byols_distance() -> None:
    p, z = pair()
    expect(negative_cosine(p, z), [-formulas.cosine(a, b) for a, b in zip(p.tolist(), z.tolist(), strict=True)])
    distance = (p / p.norm(dim=1, keepdim=True) - z / z.norm(dim=1, keepdim=True)).square().sum(1)
    same(2 + 2 * negative_cosine(p, z), distance)
    assert negative_cosine(torch.zeros(1, 3), torch.ones(1, 3)).tolist() == [0.0]


def everything(t: float | Tensor) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Every loss of this file, with all that it takes."""
    third = rows(3, seed=9)
    gathered = (third, third.flip(0), OTHERS)
    return {
        "nt_xent": lambda a, b: nt_xent(a, b, t, index=ROWS, gathered=gathered),
        "focal": lambda a, b: focal_nt_xent(a, b, t, 2.0, index=ROWS),
        "focal of a half": lambda a, b: focal_nt_xent(a, b, t, 0.5),
        "info_nce": lambda a, b: info_nce(a, b, t, index=ROWS, gathered=gathered[1:]),
        "queue": lambda a, b: info_nce(a, b, t, index=ROWS, queue=third, queue_index=OTHERS - 1),
        "moclr": lambda a, b: moclr((a, b), (b, a), t, index=ROWS),
        "sup_con": lambda a, b: supervised_contrast(a, b, LABELS, t, base_t=0.07, gathered=gathered),
        "cosine": negative_cosine,
    }


NAMES = list(everything(1.0))


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_the_value(name: str) -> None:
    first, second = (view.requires_grad_() for view in pair())
    assert torch.autograd.gradcheck(everything(0.3)[name], (first, second))
    if name != "cosine":  # which has no temperature
        t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda t: everything(t)[name](first.detach(), second.detach()), (t,))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_projections_at_a_hundredth_are_finite_and_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    first = rows(seed=1).to(dtype)
    for second in (first.clone(), -first, rows(seed=2).to(dtype)):  # probabilities of 1, of 0, and of anything
        a, b = (view.clone().requires_grad_() for view in (first, second))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = everything(0.01)[name](a, b)
        assert losses.dtype == torch.float32
        wide = everything(0.01)[name](a.detach().double(), b.detach().double())
        same(losses.double(), wide, rtol=1e-3, atol=2e-4)
        assert losses.isfinite().all()
        for gradient in torch.autograd.grad(losses.mean(), (a, b)):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("name", ["nt_xent", "focal", "info_nce", "sup_con", "cosine"])
def test_the_order_of_rows_does_not_matter(name: str) -> None:
    (first, second), order = pair(12), torch.randperm(12, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(12) % 5
    whole = {
        "nt_xent": lambda o: nt_xent(first[o], second[o], 0.1, index=labels[o]),
        "focal": lambda o: focal_nt_xent(first[o], second[o], 0.1, 1.5),
        "info_nce": lambda o: info_nce(first[o], second[o], 0.1, index=labels[o]),
        "sup_con": lambda o: supervised_contrast(first[o], second[o], labels[o], 0.1),
        "cosine": lambda o: negative_cosine(first[o], second[o]),
    }[name]
    same(whole(torch.arange(12))[order], whole(order), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["nt_xent", "focal", "info_nce", "moclr", "sup_con"])
def test_two_processes_with_gathered_candidates_are_the_whole_batch(name: str) -> None:
    """Values and, where the gathering is differentiable, gradients."""
    first, second = (view.requires_grad_() for view in pair(10))
    ids = torch.tensor([4, 1, 2, 3, 4, 5, 1, 7, 8, 4])  # rows come twice, within a process and across

    def loss(here: slice, there: slice | None) -> Tensor:
        a, b, own = first[here], second[here], ids[here]
        others = None if there is None else (first[there], second[there], ids[there])
        if name == "info_nce":
            return info_nce(a, b, 0.1, index=own, gathered=others and others[1:])
        if name == "moclr":
            return moclr((a, b), (a, b), 0.1, index=own, gathered=others)
        if name == "sup_con":
            return supervised_contrast(a, b, own, 0.1, gathered=others)
        plain = nt_xent if name == "nt_xent" else focal_nt_xent
        return plain(a, b, 0.1, index=own, gathered=others)

    low, high = slice(0, 4), slice(4, 10)
    whole, parts = loss(slice(None), None), torch.cat([loss(low, high), loss(high, low)])
    same(parts, whole, rtol=1e-12, atol=1e-13)
    ours, theirs = (torch.autograd.grad(v.sum(), (first, second)) for v in (parts, whole))
    same(ours, theirs, rtol=1e-10, atol=1e-12)
