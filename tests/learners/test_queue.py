"""MoCo's queue: the seam, shorter and longer batches, fewer rows than places, and what survives a restart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.learners import host_formulas as formulas
from torch import Tensor

from longtail.facts.types import Batch, Outputs, Step
from longtail.learners.pair import Compared
from longtail.learners.queue import MoCo

WIDTH, T = 3, 0.5


def keys(rows: list[int], epoch: int = 0) -> Tensor:
    """Projections that tell by whom and when they were made, not of length 1."""
    return torch.tensor([[row + 1.0, epoch + 1.0, 2.0] for row in rows])


def put(host: MoCo, rows: list[int], epoch: int = 0) -> None:
    step = Step(torch.zeros(()), outputs=Outputs(torch.zeros(len(rows), 1), None, {"keys": keys(rows, epoch)}))
    host.after_update(Batch(inputs=torch.zeros(0), index=torch.tensor(rows)), step, 0.0)


def lengths_1(rows: Tensor) -> Tensor:
    return rows / rows.square().sum(1, keepdim=True).sqrt()


def losses(host: MoCo, rows: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    q, k = (torch.randn(len(rows), WIDTH, generator=generator).requires_grad_() for _ in range(2))
    compared = Compared(Outputs(q), None, None, Outputs(k.detach()))
    return host(compared, Batch(inputs=q, index=torch.tensor(rows)), T, 0.0), q, k


def expected(q: Tensor, k: Tensor, rows: list[int], held: list[tuple[int, int]]) -> list[float]:
    """With a queue that is a plain list of (row, epoch)."""
    queue = [keys([row], epoch).tolist()[0] for row, epoch in held]
    return formulas.moco(q.tolist(), k.tolist(), rows, queue, [row for row, _ in held], T)


def check(host: MoCo, rows: list[int], held: list[tuple[int, int]]) -> None:
    found, q, k = losses(host, rows)
    torch.testing.assert_close(found.tolist(), expected(q, k, rows, held), rtol=1e-5, atol=1e-6)


def test_begins_empty_and_its_first_losses_are_0_without_a_gradient() -> None:
    found, q, _ = losses(MoCo(4, WIDTH), [0, 1, 2])
    assert found.tolist() == [0, 0, 0]
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert q.grad is not None
    assert q.grad.abs().max() < 1e-6


def test_goes_on_over_the_seam_after_batches_that_do_not_fill_it() -> None:
    host = MoCo(5, WIDTH)
    put(host, [0, 1, 2])
    assert host.rows.tolist() == [0, 1, 2, -1, -1]
    check(host, [7, 1, 8], [(0, 0), (1, 0), (2, 0)])
    put(host, [3, 4, 5])
    assert host.rows.tolist() == [5, 1, 2, 3, 4]
    put(host, [6])  # the last batch of an epoch
    put(host, [7, 8, 9])
    assert host.rows.tolist() == [5, 6, 7, 8, 9]
    assert int(host.next) == 0
    torch.testing.assert_close(host.keys, lengths_1(keys([5, 6, 7, 8, 9])))
    check(host, [6, 0], [(row, 0) for row in (5, 6, 7, 8, 9)])


def test_keeps_the_last_keys_of_a_batch_larger_than_itself() -> None:
    host = MoCo(3, WIDTH)
    put(host, [0])
    put(host, [1, 2, 3, 4, 5])
    assert sorted(host.rows.tolist()) == [3, 4, 5]
    assert int(host.next) == 0  # (1 + 5) mod 3
    assert host.rows.tolist() == [3, 4, 5]
    torch.testing.assert_close(host.keys, lengths_1(keys([3, 4, 5])))


def test_with_more_places_than_rows_leaves_out_every_key_of_the_row_itself() -> None:
    host = MoCo(8, WIDTH)
    for epoch in range(3):  # of 3 rows: each is there two times or three
        put(host, [0, 1, 2], epoch)
    assert sorted(host.rows.tolist()) == [0, 0, 1, 1, 1, 2, 2, 2]
    held = [(row, epoch) for epoch in range(3) for row in range(3)][1:]
    check(host, [2, 0, 1], held)
    found, q, k = losses(host, [0])
    others = [key for key in held if key[0] != 0]
    torch.testing.assert_close(found.tolist(), expected(q, k, [-5], others), rtol=1e-5, atol=1e-6)


def test_is_all_in_its_state() -> None:
    whole, begun, resumed = (MoCo(5, WIDTH) for _ in range(3))
    for host in (whole, begun):
        put(host, [0, 1, 2])
    resumed.load_state_dict({name: value.clone() for name, value in begun.state_dict().items()})
    for host in (whole, resumed):
        put(host, [3, 4, 5])
    for name, value in whole.state_dict().items():
        assert value.equal(resumed.state_dict()[name])
    assert set(whole.state_dict()) == {"keys", "rows", "next"}


@pytest.mark.parametrize(
    ("places", "dim", "why"), [(0, 3, "places must be an integer >= 1, got 0"), (4, 0, "dim must")]
)
def test_without_places_or_width_is_refused(places: Any, dim: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        MoCo(places, dim)
