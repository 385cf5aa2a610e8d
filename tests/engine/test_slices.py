"""A product of slices is, to the byte, that of tensors of their own, wherever in memory the slices begin."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from longtail.engine.slices import ALIGNMENT, SlicedLinear, aligned_slices


@pytest.mark.parametrize(("rows", "inputs", "outputs"), list(itertools.product((2, 10, 32), (3, 7, 11, 64), (5, 128))))
def test_products_are_those_of_tensors_by_themselves(rows: int, inputs: int, outputs: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    shapes = (rows, inputs), (outputs, inputs), (outputs,)
    alone = [[torch.randn(s, generator=generator, requires_grad=True) for s in shapes] for _ in range(3)]
    stacked = [torch.stack([one[k].detach() for one in alone]).requires_grad_() for k in range(3)]
    upstream = torch.randn(3, rows, outputs, generator=generator)
    together = SlicedLinear.apply(*stacked)
    together.backward(upstream)
    for i, (x, weight, bias) in enumerate(alone):
        out = F.linear(x, weight, bias)
        out.backward(upstream[i].clone())
        assert torch.equal(together[i], out)
        assert all(torch.equal(stack.grad[i], t.grad) for stack, t in zip(stacked, (x, weight, bias), strict=True))  # type: ignore[index, arg-type]


@pytest.mark.parametrize("shapes", [[(3, 7)] * 3, [(2, 5), (4, 5)], [()] * 2])
def test_slices_are_aligned_and_share_the_memory_of_the_stack(shapes: list[tuple[int, ...]]) -> None:
    tensors = [torch.randn(shape) for shape in shapes]
    stack, slices = aligned_slices(tensors)
    for one, t in zip(slices, tensors, strict=True):
        assert one.data_ptr() % ALIGNMENT == 0
        assert torch.equal(one, t)
    stack.add_(1)
    assert all(torch.equal(one, t + 1) for one, t in zip(slices, tensors, strict=True))
