"""Losses under torch.compile: whole graphs, and progress that moves without compiling again."""

from __future__ import annotations

import pytest
import torch
from loss_cases import CASES, COUNTS, NAMES, batch, soft
from torch._dynamo.utils import counters

from longtail import losses
from longtail.schedules import cosine, linear, switch

SCHEDULES = {"switch": switch(0.8, 0.0, 1.0), "linear": linear(0.0, 1.0), "cosine": cosine(0.0, 1.0)}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()
    counters.clear()


@pytest.mark.parametrize("kind", ["index", "soft"])
@pytest.mark.parametrize("name", NAMES)
def test_every_loss_compiles_whole(name: str, kind: str) -> None:
    z, y = batch(dtype=torch.float32)
    z.requires_grad_()
    targets = y if kind == "index" else soft().float()
    loss = CASES[name].build()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    ours, theirs = loss(z, targets), compiled(z, targets)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(v, z)[0] for v in (ours, theirs)))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", ["float", "tensor"])
def test_a_moving_progress_does_not_keep_compiling(kind: str, schedule: str) -> None:
    z, y = batch(dtype=torch.float32)
    loss = losses.LDAMLoss(COUNTS, class_weight="effective", reweight=SCHEDULES[schedule])
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for epoch in range(50):
        p = epoch / 50 if kind == "float" else torch.tensor(epoch / 50)
        torch.testing.assert_close(compiled(z, y, progress=p), loss(z, y, progress=epoch / 50))
    assert 1 <= counters["stats"]["unique_graphs"] <= (3 if kind == "float" else 1)
