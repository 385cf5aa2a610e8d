"""Losses under torch.compile: whole graphs, and progress that moves without compiling again."""

from __future__ import annotations

import shutil

import pytest
import torch
from tests.losses.loss_cases import CASES, COUNTS, ROWS, batch, soft
from torch import nn
from torch._dynamo.utils import counters

from longtail import losses
from longtail.facts.schedules import cosine, linear, switch

SCHEDULES = {"switch": switch(0.8, 0.0, 1.0), "linear": linear(0.0, 1.0), "cosine": cosine(0.0, 1.0)}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()
    counters.clear()


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


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # inductor's own
@pytest.mark.skipif(shutil.which("c++") is None, reason="inductor needs a C++ compiler")
def test_every_loss_compiles_with_inductor() -> None:
    """All of them in one graph, since it is the compiler that takes the time."""
    (z, y), q = batch(dtype=torch.float32), soft().float()
    z.requires_grad_()
    all_losses = nn.ModuleList(CASES[names[0]].build() for names in ROWS.values())

    def every(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([loss(x, targets) for loss in all_losses for targets in (y, q)])

    ours, theirs = every(z), torch.compile(every, fullgraph=True)(z)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(v.sum(), z)[0] for v in (ours, theirs)))
