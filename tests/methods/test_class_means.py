"""LIFT's head: it begins at the class means, and the preset `features` works on the features themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from longtail import compare, losses
from longtail.data import Examples, Splits, TrainingSet, load
from longtail.engine import Recipe, Training
from longtail.methods import method

RECIPE = Recipe(epochs=3, batch_size=16, model="linear")


def gaussians(dimensions: int = 4) -> Splits:
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(3), (60, 30, 12))
    return load(generator.normal(size=(len(y), dimensions)) + 1.5 * y[:, None], y, val=0.2)


SPLITS = gaussians()


def head_at_the_start(recipe: Recipe) -> Any:
    (stage,) = method("lift-head").stages(recipe)
    learner: Any = stage.build(TrainingSet(SPLITS.train), None).learner
    return learner.network


def unit_means(h: Any, targets: torch.Tensor = SPLITS.train.targets) -> Any:
    means = np.stack([h[targets.numpy() == j].mean(0) for j in range(3)])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def test_the_class_vectors_begin_at_the_means_of_features_and_have_length_1() -> None:
    x = SPLITS.train.inputs.double().numpy()
    x = (x - x.mean(0)) / x.std(0)
    assert np.allclose(head_at_the_start(RECIPE).head.weight.detach().numpy(), unit_means(x), atol=1e-5)


def test_with_a_body_they_are_means_of_its_features() -> None:
    network = head_at_the_start(Recipe(epochs=3, batch_size=16, model="mlp", model_args={"hidden": (8,)}))
    network.eval()
    with torch.no_grad():
        h = network.features(SPLITS.train.inputs).double().numpy()
    assert np.allclose(network.head.weight.detach().numpy(), unit_means(h), atol=1e-5)


def test_a_row_of_weight_k_counts_as_k_rows() -> None:
    rows = SPLITS.train
    weight = torch.arange(len(rows)) % 3
    (stage,) = method("lift-head").stages(RECIPE)
    learner: Any = stage.build(TrainingSet(replace(rows, sample_weight=weight.float())), None).learner
    x = learner.network.standardize(rows.inputs).double().numpy().repeat(weight.numpy(), 0)
    expected = unit_means(x, rows.targets.repeat_interleave(weight))
    assert np.allclose(learner.network.head.weight.detach().numpy(), expected, atol=1e-5)


def test_after_pre_training_they_are_means_of_its_features() -> None:
    targets = torch.repeat_interleave(torch.arange(3), torch.tensor([30, 14, 6]))
    images = torch.rand(50, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1 * targets[:, None, None]
    data = TrainingSet(Examples(images, targets, ("a", "b", "c")))
    recipe = Recipe(epochs=3, batch_size=16, model="convnet", model_args={"width": 4})
    first, second = method("ssp(base='lift-head')").stages(recipe)
    training = Training([first], data)
    list(training)
    encoder: Any = training.learner.eval()
    learner: Any = second.build(data, training.learner).learner
    with torch.no_grad():
        h = encoder.network.features(images).double().numpy()
    assert np.allclose(learner.network.head.weight.detach().numpy(), unit_means(h, targets), atol=1e-5)


def test_its_loss_is_the_logit_adjusted_one_of_scaled_cosines() -> None:
    generator = np.random.default_rng(1)
    z, y, counts = generator.uniform(-1, 1, (7, 3)), generator.integers(0, 3, 7), np.array([50.0, 9.0, 2.0])
    a = 25.0 * z + 0.8 * np.log(counts / counts.sum())
    expected = np.mean(
        [np.log(np.exp(row - row.max()).sum()) + row.max() - row[t] for row, t in zip(a, y, strict=True)]
    )
    loss = losses.LogitAdjustedLoss(counts, tau=0.8, scale=25.0)
    assert float(loss(torch.tensor(z), torch.tensor(y))) == pytest.approx(expected, rel=1e-12)
    assert torch.allclose(loss.scores(torch.tensor(z)), 25.0 * torch.tensor(z))
    assert loss.logit_scale == 25.0
    double = torch.tensor(z, requires_grad=True)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, torch.tensor(y)), double)


class TestThePreset:
    def test_its_model_is_linear_where_none_is_named(self) -> None:
        found = compare(SPLITS, methods="features", seeds=1, epochs=2, jobs=1)
        assert (found.summary["recipe"]["model"], found.summary["recipe"]["lr"]) == ("linear", 0.01)
        assert {row["key"] for row in found.rows} == {
            "ce", "lift-head", "logit-adjusted", "logit-adjusted-posthoc", "tau-norm", "ncm", "maxnorm", "los",
            "logistic",
        }  # fmt: skip
        named = compare(SPLITS, methods=["features"], seeds=1, epochs=2, jobs=1, model="mlp")
        assert (named.summary["recipe"]["model"], named.summary["recipe"]["lr"]) == ("mlp", 0.1)
        faster = compare(SPLITS, methods="features", seeds=1, epochs=2, jobs=1, lr=0.05)
        assert faster.summary["recipe"]["lr"] == 0.05

    def test_a_table_has_a_linear_model_of_its_columns(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(SPLITS.train.inputs.numpy(), columns=list("abcd"))
        frame["kind"] = [("x", "y", "z")[j] for j in SPLITS.train.targets]
        found = compare(frame, "kind", methods="features", seeds=1, epochs=2, jobs=1)
        assert found.summary["recipe"]["model"] == "tabular"
        assert found.summary["recipe"]["model_args"]["hidden"] == []

    def test_images_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"methods features is for features \(N, D\), got images of shape"):
            compare("digits", methods="features")
