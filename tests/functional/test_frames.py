"""Frames against their definitions, in plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.cases import cases
from torch import Tensor

from longtail import functional
from longtail.functional import frames, simplex_frame, tight_frame

Make = Callable[..., Tensor]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inner(frame: Tensor) -> list[list[float]]:
    rows = frame.tolist()
    return [[math.fsum(a * b for a, b in zip(one, other, strict=True)) for other in rows] for one in rows]


@cases("dim", [1, 2, 3, 8, 13])
def test_the_simplex_of_every_number_of_classes_up_to_one_more_than_dimensions(dim: int) -> None:
    for size in range(2, dim + 2):
        frame = simplex_frame(size, dim, generator(size))
        assert frame.shape == (size, dim)
        assert frame.dtype == torch.float64
        for i, row in enumerate(inner(frame)):
            wanted = [size / (size - 1) * (i == j) - 1 / (size - 1) for j in range(size)]
            assert row == pytest.approx(wanted, abs=1e-13)


def test_where_the_usual_construction_exists_it_is_that_one() -> None:
    """M = sqrt(C / (C - 1)) U (I - 11^T / C) with U of C orthonormal columns, found from the frame."""
    size, dim = 5, 9
    frame = simplex_frame(size, dim, generator())
    center = torch.eye(size, dtype=torch.float64) - 1 / size
    span = torch.linalg.qr(frame.T)[0][:, : size - 1]
    beyond = torch.linalg.qr(torch.cat([span, torch.eye(dim, dtype=torch.float64)], 1))[0][:, size - 1 :][:, :1]
    u = frame.T * math.sqrt((size - 1) / size) + beyond / math.sqrt(size)
    torch.testing.assert_close(u.T @ u, torch.eye(size, dtype=torch.float64))
    torch.testing.assert_close(math.sqrt(size / (size - 1)) * u @ center, frame.T)


@cases("dim", [2, 3, 6, 7])
def test_beyond_it_a_tight_frame_of_unit_vectors_that_differ(dim: int) -> None:
    for size in range(dim + 2, 3 * dim + 5):
        frame = tight_frame(size, dim, generator(size))
        products = inner(frame)
        for i, row in enumerate(products):
            assert row[i] == pytest.approx(1, abs=1e-12)
            assert max(v for j, v in enumerate(row) if j != i) < 1 - 1e-3
            # <m_i, m_j> depends on i - j alone
            assert row == pytest.approx([products[0][(j - i) % size] for j in range(size)], abs=1e-12)
        torch.testing.assert_close(frame.T @ frame, size / dim * torch.eye(dim, dtype=torch.float64))
        if dim % 2 == 0 or size % 2 == 0:
            assert frame.sum(0).abs().max() < 1e-12
    for size in range(2, dim + 2):
        assert tight_frame(size, dim, generator()).equal(simplex_frame(size, dim, generator()))


def test_in_the_plane_it_is_a_regular_polygon() -> None:
    nearest = [max(v for j, v in enumerate(row) if j != i) for i, row in enumerate(inner(tight_frame(7, 2)))]
    assert nearest == pytest.approx([math.cos(2 * math.pi / 7)] * 7)


@cases("make", [simplex_frame, tight_frame])
@cases("size", [6, 7, 12])
def test_the_orientation_follows_from_the_generator(size: int, make: Make) -> None:
    if make is simplex_frame and size > 7:
        return
    one, again, other = (make(size, 6, generator(seed)) for seed in (0, 0, 1))
    assert one.equal(again)
    assert not torch.allclose(one, other, atol=0.1)
    torch.manual_seed(0)
    drawn = make(size, 6)
    torch.manual_seed(0)
    assert make(size, 6).equal(drawn)
    before = torch.get_rng_state()
    make(size, 6, generator())
    assert torch.get_rng_state().equal(before)


@cases(
    "make, arguments, why",
    [
        (simplex_frame, (8, 6), "num_classes must be at most dim [+] 1 = 7 for a simplex, got 8"),
        (simplex_frame, (1, 6), "num_classes must be >= 2, got 1"),
        (simplex_frame, (2, 0), "dim must be >= 1, got 0"),
        (tight_frame, (3, 1), "dim must be >= 2 for more than two classes, got 1 for 3"),
    ],
)
def test_what_does_not_exist_is_refused(make: Make, arguments: tuple[int, int], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}.*; "):
        make(*arguments)


def test_the_self_check_refuses_another_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    skewed = lambda *arguments: torch.ones(4, 3, dtype=torch.float64)  # noqa: E731
    monkeypatch.setattr(frames, "_orthonormal", skewed)
    with pytest.raises(ArithmeticError, match="frame of 4 vectors in 4 dimensions is off its definition by"):
        functional.simplex_frame(4, 4)
