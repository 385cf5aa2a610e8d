"""RCAL's last stage to its last number, in float64, written out: mixed rows, the distance, features that are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.methods import training_by_hand as hand
from tests.wrapped_rows import WrappedRows

from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.methods import method

EPOCHS, COUNTS = 3, (9, 6, 3, 2)
RECIPE = Recipe(
    epochs=EPOCHS, batch_size=8, lr=0.1, weight_decay=1e-3, warmup=0, model="mlp", model_args={"hidden": (5,)}
)
TARGETS = torch.repeat_interleave(torch.arange(4), torch.tensor(COUNTS))
INPUTS = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)) + TARGETS[:, None] / 2
ROWS = Examples(INPUTS, TARGETS, ("a", "b", "c", "d"))


class Noted(WrappedRows):
    """Rows whose batches are in float64 and are noted, beside the progress of each epoch."""

    def __init__(self, rows: Any, seen: list[Any]) -> None:
        super().__init__(rows)
        self.seen = seen

    def draws(self, progress: float, generator: torch.Generator) -> Any:
        self.seen.append(progress)
        yield from self.rows.draws(progress, generator)

    def batch_of(self, drawn: Any) -> Any:
        batch = self.rows.batch_of(drawn)
        mixing = {"mixing": batch["mixing"]._replace(share=batch["mixing"].share.double())} if "mixing" in batch else {}
        self.seen.append({**batch, "inputs": batch["inputs"].double(), **mixing})
        return self.seen[-1]


def trained(spec: str) -> tuple[dict[str, Any], Any, Any, list[Any]]:
    """The state of the last stage before its training, its learner after that, the stage, and its batches."""
    *before, last = method(spec).stages(RECIPE)
    state: dict[str, Any] = {}
    seen: list[Any] = []

    def build(data: TrainingSet, previous: Any) -> Any:
        built = last.build(data, previous)
        state.update({name: value.clone() for name, value in built.learner.double().state_dict().items()})
        return built._replace(data=Noted(built.data, seen))

    training = Training([*before, replace(last, build=build)], TrainingSet(ROWS))
    list(training)
    return state, training.learner, last, seen


def features(state: Any, learner: Any, prefix: str, batch: Any) -> torch.Tensor:
    """Standardised, mixed, through the body."""
    x = (batch["inputs"] - state[f"{prefix}.standardize.mean"]) / state[f"{prefix}.standardize.std"]
    if "mixing" in batch:
        partner, share = batch["mixing"].partner.tolist(), float(batch["mixing"].share)
        x = torch.stack([share * x[i] + (1 - share) * x[j] for i, j in enumerate(partner)])
    return hand.passed(state, learner.network.body, f"{prefix}.body", x)


def entropy(z: torch.Tensor, y: int) -> torch.Tensor:
    return hand.log_sum_exp(list(z)) - z[y]


def loss_of(state: Any, learner: Any, batch: Any, beta: float, sampled: float) -> torch.Tensor:
    weight, bias = state["network.head.weight"], state["network.head.bias"]
    f, labels = features(state, learner, "network", batch), batch["targets"].tolist()
    logits, n = f @ weight.T + bias, len(labels)
    if "mixing" in batch:
        partner, share = batch["mixing"].partner.tolist(), float(batch["mixing"].share)
        rows = [share * entropy(logits[i], labels[i]) + (1 - share) * entropy(logits[i], labels[partner[i]])
                for i in range(n)]  # fmt: skip
    else:
        rows = [entropy(logits[i], labels[i]) for i in range(n)]
    loss = torch.stack(rows).sum() / n
    if beta:
        e = features(state, learner, "beside.encoder", batch)
        squares = ((f - e) ** 2).sum(1)
        # at a distance of 0 the root has no slope, and the gradient is 0
        lengths = [square.sqrt() if float(square.detach()) > 0 else square for square in squares]
        loss = loss + beta * torch.stack(lengths).sum() / n / state["beside.gaussians.spread"]
    if sampled:
        classes, noise = batch["samples"]
        terms = []
        for c, eps in zip(classes.tolist(), noise.double(), strict=True):
            z = state["beside.gaussians.means"][c] + state["beside.gaussians.root"][c] @ eps
            terms.append(entropy(weight @ z + bias, c))
        loss = loss + sampled * torch.stack(terms).sum() / len(terms)
    return loss


@pytest.mark.parametrize(
    ("base", "beta", "sampled"),
    [("mixup", 0.5, 0.7), ("ce", 0.5, 0.7), ("mixup", 0.0, 0.7), ("mixup", 0.5, 0.0)],
)
def test_its_last_stage(base: str, beta: float, sampled: float) -> None:
    spec = f"rcal(base={base!r}, host='simclr', beta={beta}, sampled={sampled}, neighbours=3, q=2)"
    state, learner, stage, seen = trained(spec)
    names = [name for name, p in learner.named_parameters() if p.requires_grad]
    assert {name.partition(".")[0] for name in names} == {"network"}
    descent = hand.Descent(state, names, RECIPE.momentum, RECIPE.weight_decay)
    steps = 0
    for batch in seen:
        if isinstance(batch, float):
            lr = stage.lr(batch)
            continue
        assert ("mixing" in batch) == (base == "mixup")
        assert ("samples" in batch) == (sampled > 0)
        if sampled:  # 8 (4 x 9 / 20 - 1) of them
            assert len(batch["samples"][0]) == round(8 * (4 * 9 / 20 - 1))
        descent.step(descent.gradient(loss_of(state, learner, batch, beta, sampled)), lr)
        steps += 1
    assert steps == 3 * EPOCHS
    for name, value in learner.state_dict().items():
        torch.testing.assert_close(value, state[name].detach(), rtol=1e-7, atol=1e-9, msg=f"{name} differs")
