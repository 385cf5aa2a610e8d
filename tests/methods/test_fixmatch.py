"""FixMatch against its definition in plain numbers, and what is left of it without strength."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from tests.methods import task_data

from longtail.data import TrainingSet
from longtail.engine import Recipe, Training
from longtail.methods import method
from longtail.runs.train import train
from longtail.targets import Confident, Guess

RECIPE = Recipe(epochs=4, batch_size=8, lr=0.2, model="mlp", model_args={"hidden": (8,)})
SPLITS = task_data.splits("semi-supervised")


def logits(state: dict[str, Any], x: np.ndarray) -> list[float]:
    """One row through the standardisation, the hidden layer and the head, in float64."""
    w = {name.removeprefix("network."): np.asarray(value, dtype=np.float64) for name, value in state.items()}
    hidden = w["body.1.weight"] @ ((x - w["standardize.mean"]) / w["standardize.std"]) + w["body.1.bias"]
    return (w["head.weight"] @ np.maximum(hidden, 0) + w["head.bias"]).tolist()


def softmax(z: list[float], temperature: float = 1.0) -> list[float]:
    e = [math.exp(v / temperature - max(z) / temperature) for v in z]
    return [v / sum(e) for v in e]


@cases(("threshold", "temperature", "consistency"), [(0.5, 1.0, 1.0), (0.6, 0.5, 3.0)])
def test_the_loss_of_a_step_row_by_row(threshold: float, temperature: float, consistency: float) -> None:
    spec = f"fixmatch(threshold={threshold}, temperature={temperature}, consistency={consistency}, mu=3)"
    (stage,) = method(spec).stages(RECIPE)
    torch.manual_seed(0)
    built = stage.build(TrainingSet.of(SPLITS), None)
    learner: Any = built.learner.double()
    batch: Any = next(iter(built.data.batches(0.0, torch.Generator().manual_seed(0))))
    rest = batch["unlabeled"]
    assert [len(view) for view in rest["inputs"]] == [24, 24]
    step = learner.training_step(batch, 0.0)

    state = {name: value for name, value in learner.state_dict().items() if name.startswith("network.")}
    rows = zip(batch["inputs"].double().numpy(), batch["targets"].tolist(), strict=True)
    labelled = [-math.log(softmax(logits(state, x))[y]) for x, y in rows]
    unlabelled = []
    for weak, strong in zip(*(view.double().numpy() for view in rest["inputs"]), strict=True):
        q = softmax(logits(state, weak), temperature)
        label = q.index(max(q))
        unlabelled.append(-math.log(softmax(logits(state, strong))[label]) if max(q) >= threshold else 0.0)
    assert 0 < sum(value > 0 for value in unlabelled) < len(unlabelled), "some rows are above the threshold, not all"
    expected = sum(labelled) / len(labelled) + consistency * sum(unlabelled) / len(unlabelled)
    assert step.loss.item() == pytest.approx(expected, rel=1e-6)
    assert step.log["confident"].item() == pytest.approx(sum(v > 0 for v in unlabelled) / len(unlabelled))


def test_pseudo_labels_are_the_largest_probabilities_without_a_gradient() -> None:
    z = torch.randn(200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets, weights = Confident(0.6)(Guess(0.7)(z[None]))
    for row, target, weight in zip(z.tolist(), targets.tolist(), weights.tolist(), strict=True):
        p = softmax(row, 0.7)
        assert (target, weight) == (p.index(max(p)), float(max(p) >= 0.6))
    assert not weights.requires_grad
    assert Confident(0.0)(z.softmax(1))[1].all()
    assert not Confident(1.01)((1000 * z).softmax(1))[1].any()


def predicted(spec: str, folder: Path) -> torch.Tensor:
    return train(spec, SPLITS, folder=folder, recipe=RECIPE, threads=1).predictions()["scores"]


def test_above_threshold_1_it_is_without_consistency_bit_for_bit_and_with_it_not(tmp_path: Path) -> None:
    without = predicted("fixmatch(consistency=0)", tmp_path / "without")
    assert predicted("fixmatch(threshold=1.5)", tmp_path / "none").equal(without)
    assert not predicted("fixmatch(threshold=0.6)", tmp_path / "some").equal(without)


def test_without_consistency_and_average_it_is_ce_on_the_labelled_rows(tmp_path: Path) -> None:
    """But for rounding: one pass over three parts adds in another order. The rows of every step are the same."""
    ours = predicted("fixmatch(consistency=0, decay=0)", tmp_path / "ours")
    torch.testing.assert_close(ours, predicted("ce", tmp_path / "ce"), rtol=1e-4, atol=1e-4)


def test_one_pass_for_labelled_rows_and_both_views() -> None:
    images = replace(SPLITS.train, inputs=torch.rand(len(SPLITS.train), 1, 8, 8), policy={})
    assert SPLITS.unlabeled is not None
    rest = replace(SPLITS.unlabeled, inputs=torch.rand(len(SPLITS.unlabeled), 1, 8, 8), policy={})
    recipe = replace(RECIPE, model="convnet", model_args={"width": 2})
    training = Training(method("fixmatch").stages(recipe), TrainingSet(images, rest))
    records = list(training)
    steps = sum(-(-record["examples"] // 8) for record in records)
    state = training.learner.state_dict()
    assert int(state["network.body.1.num_batches_tracked"]) == steps
    assert int(state["steps"]) == steps
    assert all(0 <= record["confident"] <= 1 for record in records)


def test_without_unlabelled_rows_it_is_refused_in_one_line() -> None:
    why = method("fixmatch").refuses(SPLITS.train)
    assert why is not None
    assert "needs rows without labels besides, got none" in why
    (stage,) = method("fixmatch").stages(RECIPE)
    with pytest.raises(ValueError, match="fixmatch needs rows without labels, got none; pass some as unlabeled"):
        stage.build(TrainingSet(SPLITS.train), None)
