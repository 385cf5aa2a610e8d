"""A whole training step in one graph: network, loss, gradients and update, while progress moves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
import torch
from tiny import BATCH, COUNTS, EPOCHS, RATE, drw, network, rows, same, trained_by_hand
from torch import Tensor, nn
from torch._dynamo.utils import counters

import longtail as lt

COMPILER = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
pytestmark = pytest.mark.slow
INDUCTOR = [
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for inductor"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning"),  # torch's own
]
Weights = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()
    counters.clear()


def step_of(model: nn.Module, loss: lt.losses.Loss) -> Callable[..., tuple[Weights, Tensor]]:
    """One step of SGD as a function of the weights."""

    def step(weights: Weights, x: Tensor, y: Tensor, progress: float | Tensor) -> tuple[Weights, Tensor]:
        def objective(weights: Weights) -> Tensor:
            return loss(torch.func.functional_call(model, weights, (x,)), y, progress=progress)

        gradients, value = torch.func.grad_and_value(objective)(weights)
        return {name: weight - RATE * gradients[name] for name, weight in weights.items()}, value

    return step


def batches(epoch: int) -> list[tuple[Tensor, Tensor, float]]:
    inputs, targets = rows()
    return [(x, y, epoch / EPOCHS) for x, y in zip(inputs.split(BATCH), targets.split(BATCH), strict=True)]


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=INDUCTOR)])
def test_a_whole_step_compiles_once_and_trains_to_the_weights_of_a_loop_by_hand(backend: str) -> None:
    """Progress is a tensor: inside torch.func, torch bakes a float into the graph and compiles for each epoch."""
    model = network()
    step = torch.compile(step_of(model, drw()), fullgraph=True, backend=backend)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    for epoch in range(EPOCHS):
        for x, y, progress in batches(epoch):
            weights, _ = step(weights, x, y, torch.tensor(progress))
    model.load_state_dict(weights)
    same(model, trained_by_hand())
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize(
    ("backend", "kind", "graphs"),
    [
        pytest.param("aot_eager", float, 3, id="float-aot_eager"),
        pytest.param("aot_eager", torch.tensor, 1, id="tensor-aot_eager"),
        pytest.param("inductor", torch.tensor, 1, id="tensor-inductor", marks=INDUCTOR),
    ],
)
def test_the_usual_loop_around_a_compiled_objective_is_the_loop_by_hand(
    backend: str, kind: Callable[[float], float | Tensor], graphs: int
) -> None:
    """Forward and loss in one graph, backward through it, an optimizer of torch's."""
    model, loss = network(), drw()

    @torch.compile(fullgraph=True, backend=backend)
    def objective(x: Tensor, y: Tensor, progress: float | Tensor) -> Tensor:
        return loss(model(x), y, progress=progress)

    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for epoch in range(EPOCHS):
        for x, y, progress in batches(epoch):
            optimizer.zero_grad()
            objective(x, y, kind(progress)).backward()
            optimizer.step()
    same(model, trained_by_hand())
    assert 1 <= counters["stats"]["unique_graphs"] <= graphs


OTHERS = {
    "logit-adjusted": lambda: lt.losses.LogitAdjustedLoss(COUNTS),
    "focal": lambda: lt.losses.FocalLoss(gamma=2.0),
    "class-balanced focal": lambda: lt.losses.ClassBalancedLoss(COUNTS, base="focal"),
    "smoothed and weighted": lambda: lt.losses.CrossEntropyLoss(
        COUNTS, class_weight="inverse", label_smoothing=0.1, normalize=10.0
    ),
}


@pytest.mark.parametrize("build", OTHERS.values(), ids=OTHERS.keys())
def test_a_step_of_other_losses_is_the_eager_step(build: Callable[[], lt.losses.Loss]) -> None:
    model, loss, (x, y) = network(nn.Linear), build(), rows()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    step = step_of(model, loss)
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(weights, x, y, 0.0), step(weights, x, y, 0.0))
