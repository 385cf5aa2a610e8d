"""What holds for any logits, targets and weights, searched for counterexamples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.losses.loss_cases import CASES, C, Case
from torch import Tensor
from torch.nn.functional import one_hot

from longtail.losses import Loss

search = settings(max_examples=15, deadline=None, derandomize=True, database=None)
LOSSES = {name: case.build() for name, case in CASES.items()}
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


def every_loss() -> Iterator[tuple[Case, Loss]]:
    for name, case in CASES.items():
        note(name)  # the last one named is the one that fails
        yield case, LOSSES[name]


def rows(limit: float, size: int = C) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-limit, limit, allow_subnormal=False), min_size=size, max_size=size)


def logits(limit: float = 20.0) -> st.SearchStrategy[Tensor]:
    return st.lists(rows(limit), min_size=1, max_size=4).map(lambda r: torch.tensor(r, dtype=torch.float64))


@st.composite
def batches(draw: st.DrawFn, limit: float = 20.0) -> tuple[Tensor, Tensor]:
    z = draw(logits(limit))
    y = draw(st.lists(st.integers(0, C - 1), min_size=len(z), max_size=len(z)))
    return z, torch.tensor(y)


@st.composite
def distributions(draw: st.DrawFn) -> Tensor:
    masses = draw(st.lists(st.integers(0, 5), min_size=C, max_size=C).filter(any))
    q = torch.tensor(masses, dtype=torch.float64)
    return q / q.sum()


def hot(y: Tensor) -> Tensor:
    return one_hot(y, C).double()


@search
@given(data=batches(), order=st.permutations(range(C)))
def test_the_order_of_the_classes_is_a_name(data: tuple[Tensor, Tensor], order: list[int]) -> None:
    z, y = data
    place = torch.tensor(order).argsort()
    for case, loss in every_loss():
        here, there = loss.per_example(z, y), case.renamed(order).build().per_example
        torch.testing.assert_close(there(z[:, order], place[y]), here, **CLOSE)
        torch.testing.assert_close(there(z[:, order], hot(y)[:, order]), here, **CLOSE)


@search
@given(data=batches())
def test_an_index_is_a_one_hot_row(data: tuple[Tensor, Tensor]) -> None:
    z, y = data
    for _, loss in every_loss():
        torch.testing.assert_close(loss.per_example(z, hot(y)), loss.per_example(z, y), **CLOSE)


@search
@given(z=logits(), p=distributions(), q=distributions(), lam=st.floats(0, 1))
def test_a_mixture_of_targets_is_the_mixture_of_losses(z: Tensor, p: Tensor, q: Tensor, lam: float) -> None:
    p, q = p.expand_as(z), q.expand_as(z)
    for _, loss in every_loss():
        of_p, of_q = loss.per_example(z, p), loss.per_example(z, q)
        mixed = loss.per_example(z, lam * p + (1 - lam) * q)
        torch.testing.assert_close(mixed, lam * of_p + (1 - lam) * of_q, **CLOSE)


@search
@given(data=batches(), k=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_weight_of_k_is_k_copies(data: tuple[Tensor, Tensor], k: list[int]) -> None:
    (z, y), times = data, torch.tensor(k)[: len(data[0])]
    copies = z.repeat_interleave(times, 0), y.repeat_interleave(times)
    for _, loss in every_loss():
        as_weight = loss(z, y, sample_weight=times, normalize=1)
        torch.testing.assert_close(as_weight, loss(*copies, normalize=1), **CLOSE)


@search
@given(data=batches(), shift=st.floats(-50, 50))
def test_a_constant_on_all_logits_changes_nothing(data: tuple[Tensor, Tensor], shift: float) -> None:
    z, y = data
    apart = z.round(decimals=6) + 1e-7 * torch.arange(C)  # a held margin jumps where a shift rounds a lead away
    for case, loss in every_loss():
        if case.shift_invariant:
            here, there = (loss.per_example(x, y) for x in (apart, apart + shift))
            torch.testing.assert_close(there, here, rtol=1e-8, atol=1e-8)


@search
@given(data=batches(1e4), dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_values_and_gradients_are_finite(data: tuple[Tensor, Tensor], dtype: torch.dtype) -> None:
    z, y = data
    for case, loss in every_loss():
        for targets in (y, 0.8 * hot(y).float() + 0.2 / C):
            x = z.to(dtype, copy=True).requires_grad_()
            each = loss.per_example(x, targets)
            each.sum().backward()
            assert torch.isfinite(each).all()
            assert case.below_zero or (each >= 0).all()
            assert torch.isfinite(x.grad).all()


@search
@given(z=logits(1e4))
def test_an_ignored_batch_is_zero_and_keeps_its_graph(z: Tensor) -> None:
    for _, loss in every_loss():
        x = z.clone().requires_grad_()
        value = loss(x, torch.full((len(z),), -100))
        value.backward()
        assert value.item() == 0
        assert torch.equal(x.grad, torch.zeros_like(z))
