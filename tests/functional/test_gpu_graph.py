"""What only a GPU can show: a loss inside a CUDA graph, on another stream, and with the same bytes every time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from longtail import losses
from longtail.facts.schedules import linear

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: CUDA graphs"),
]
COUNTS = [1000 // (j + 1) for j in range(100)]


def batch(n: int = 128, classes: int = 100) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, classes, generator=generator).cuda().requires_grad_()
    return z, torch.randint(classes, (n,), generator=generator).cuda()


@pytest.mark.parametrize("n", [128, 2000])
def test_a_replayed_graph_reads_knobs_and_logits_of_the_device(n: int) -> None:
    z, y = batch(n)
    progress = torch.zeros((), device="cuda")
    loss = losses.LDAMLoss(COUNTS, scale=linear(10.0, 30.0), class_weight="effective").cuda()

    def step() -> tuple[Tensor, Tensor]:
        leaf = z.detach().requires_grad_()  # a leaf belongs to the stream that it was first used on
        value = loss(leaf, y, progress=progress)
        return value, torch.autograd.grad(value, leaf)[0]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    for p in (0.25, 1.0):
        progress.fill_(p)
        with torch.no_grad():
            z.mul_(0.5)
        graph.replay()
        for one, other in zip(captured, step(), strict=True):
            assert torch.equal(one, other)


def test_large_losses_have_the_same_bytes_every_time() -> None:
    z, y = batch(4096, 1000)
    loss = losses.BalancedSoftmaxLoss(list(range(1, 1001))).cuda()
    with torch.no_grad():
        assert len({loss(z, y).item() for _ in range(20)}) == 1
