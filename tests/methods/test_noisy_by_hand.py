"""Methods for noisy labels by a loss, to the last number: equal to a plain loop in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.functional.test_transition import by_hand as anchored
from tests.methods.test_robust import SPLITS
from torch import Tensor

from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Training
from longtail.engine.randomness import generator
from longtail.facts.learner import Learner
from longtail.methods import method

EPOCHS = 8
BY_HAND = Recipe(
    epochs=EPOCHS, batch_size=16, lr=0.2, warmup=0, weight_decay=1e-3, model="mlp", model_args={"hidden": (8,)}
)
ROWS: Part = SPLITS.train
X, Y = ROWS.inputs.double(), ROWS.targets
State = dict[str, Tensor]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, labels, rows) -> the loss of a batch."""


def logits(state: State, x: Tensor) -> Tensor:
    x = (x - state["network.standardize.mean"]) / state["network.standardize.std"]
    x = (x @ state["network.body.1.weight"].T + state["network.body.1.bias"]).clamp(min=0)
    return x @ state["network.head.weight"].T + state["network.head.bias"]


def descended(
    state: State, index: int, lr: Callable[[float], float], loss: Loss, epoch_begins: Callable[[int, State], None]
) -> State:
    """Train in float64: SGD with momentum and weight decay, over the batches of the engine's order."""
    names = [name for name in state if name.endswith(("weight", "bias"))]
    state = {name: value.double() for name, value in state.items()}
    velocity = {name: torch.zeros_like(state[name]) for name in names}
    for epoch in range(EPOCHS):
        epoch_begins(epoch, state)
        order = torch.randperm(len(X), generator=generator(0, index, epoch, "order"))
        for rows in order.split(BY_HAND.batch_size):
            weights = [state[name].requires_grad_() for name in names]
            value = loss(logits(state, X[rows]), Y[rows], rows)
            for name, g in zip(names, torch.autograd.grad(value, weights), strict=True):
                velocity[name] = BY_HAND.momentum * velocity[name] + g + BY_HAND.weight_decay * state[name].detach()
                state[name] = state[name].detach() - lr(epoch / EPOCHS) * velocity[name]
    return state


def trained(spec: str) -> tuple[list[State], list[Any], Learner, list[dict[str, Any]]]:
    """The state of every stage before its training, the stages, the last learner, and the records."""
    begun: list[State] = []

    def noted(stage: Any) -> Any:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            built = stage.build(data, previous)
            begun.append(
                {name: value.clone() for name, value in built.learner.state_dict().items() if "network." in name}
            )
            return built

        return replace(stage, build=build)

    stages = [noted(stage) for stage in method(spec).stages(BY_HAND)]
    training = Training(stages, TrainingSet(ROWS))
    records = list(training)
    return begun, stages, training.learner, records


def compared(learner: Learner, state: State) -> None:
    for name, value in learner.state_dict().items():
        if name in state:
            torch.testing.assert_close(
                value.double(), state[name].detach(), rtol=2e-4, atol=2e-4, msg=f"{name} differs"
            )


def test_truncation_by_a_plain_loop() -> None:
    """Weights at progress 1/4 and after every further quarter, of all rows, by the network as it is."""
    begun, stages, learner, records = trained("gce(k=0.55, start=0.25, every=0.25, q=0.6)")
    w, shares = torch.ones(len(X), dtype=torch.float64), []

    def refreshed(epoch: int, state: State) -> None:
        if epoch in (2, 4, 6):
            p = logits(state, X).softmax(1)[torch.arange(len(X)), Y]
            w.copy_(p > 0.55)
        shares.append(float(w.mean()))

    def loss(z: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        p = z.softmax(1)[torch.arange(len(y)), y]
        return (w[rows] * (1 - p**0.6) / 0.6).sum() / len(rows)

    compared(learner, descended(begun[0], 0, stages[0].lr, loss, refreshed))
    assert [record["kept"] for record in records] == pytest.approx(shares)
    assert min(shares) < 0.95
    assert len(set(shares)) > 2  # it is computed more than once, and matters
    assert learner.targets.weight.double().equal(w)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_estimated_correction_by_a_plain_loop(direction: str) -> None:
    """Plain training, T from its probabilities, and a new network with T."""
    begun, stages, learner, records = trained(f"forward(direction={direction!r}, percentile=90)")
    size = torch.arange

    def nothing(epoch: int, state: State) -> None: ...

    def plain(z: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        return -z.log_softmax(1)[size(len(y)), y].mean()

    first = descended(begun[0], 0, stages[0].lr, plain, nothing)
    estimate = torch.tensor(anchored(logits(first, X).softmax(1).detach().tolist(), 90), dtype=torch.float64)
    torch.testing.assert_close(learner.loss.matrix, estimate, rtol=1e-3, atol=1e-4)
    assert (estimate - torch.eye(3, dtype=torch.float64)).abs().max() > 0.01  # it corrects something
    inverse = torch.linalg.inv(estimate)

    def corrected(z: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        if direction == "forward":
            return -(z.softmax(1) @ estimate)[size(len(y)), y].log().mean()
        return -(inverse[y] * z.log_softmax(1)).sum(1).mean()

    assert not begun[1]["network.head.weight"].double().equal(first["network.head.weight"])
    compared(learner, descended(begun[1], 1, stages[1].lr, corrected, nothing))
    assert [record["stage"] for record in records] == ["train"] * EPOCHS + ["corrected"] * EPOCHS
