"""cRT and NCM: another classifier on the features of a finished training."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from longtail.data import Examples, TrainingSet
from longtail.engine import Built, Recipe, Training
from longtail.facts.learner import Learner
from longtail.methods import method

COUNTS = (40, 15, 5)
TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
INPUTS = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)) + 0.6 * TARGETS[:, None]
DATA = TrainingSet(Examples(INPUTS, TARGETS, ("a", "b", "c")))
RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8, 6)})


def trained(spec: str, recipe: Recipe = RECIPE) -> Learner:
    training = Training(method(spec).stages(recipe), DATA)
    list(training)
    return training.learner.eval()


def second(spec: str, recipe: Recipe = RECIPE) -> tuple[Any, Built]:
    """The base's learner, and what the second stage builds from it."""
    previous: Any = trained(spec.partition("base=")[2].strip("'\")") or "ce", recipe)
    return previous, method(spec).stages(recipe)[-1].build(DATA, previous)


def part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name.startswith(prefix)}


class TestCRT:
    @pytest.mark.parametrize("base", ["ce", "ldam-drw", "absgd", "ride"])
    def test_the_body_is_that_of_the_base_and_the_classifier_is_a_new_linear_one(self, base: str) -> None:
        previous, built = second(f"crt(base={base!r})")
        network: Any = built.learner.network
        for name, value in part(previous.network.state_dict(), "body").items():
            assert network.state_dict()[name].equal(value), name
        assert network(INPUTS).features.equal(previous.network(INPUTS).features)
        assert isinstance(network.head, torch.nn.Linear)
        assert [name for name, p in network.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
        if base == "ce":
            assert not network.head.weight.equal(previous.network.head.weight)

    def test_its_loss_is_the_mean_of_the_cross_entropies_of_class_balanced_rows(self) -> None:
        _, built = second("crt")
        (batch, *_) = built.data.batches(0.0, torch.Generator().manual_seed(0))
        head: Any = built.learner.network.head.double()
        features = built.learner.network.features(batch["inputs"]).double()
        expected = 0.0
        for h, y in zip(features.tolist(), batch["targets"].tolist(), strict=True):
            z = [sum(w * v for w, v in zip(row, h, strict=True)) for row in head.weight.tolist()]
            z = [v + b for v, b in zip(z, head.bias.tolist(), strict=True)]
            expected += (math.log(sum(map(math.exp, z))) - z[y]) / len(features)
        logits = head(features)
        loss = built.learner.loss(logits, batch["targets"], progress=0.0)  # type: ignore[operator]
        assert loss.item() == pytest.approx(expected, rel=1e-12)
        seen: Counter[int] = Counter()
        for seed in range(40):
            for one in built.data.batches(0.0, torch.Generator().manual_seed(seed)):
                seen.update(one["targets"].tolist())
        assert sum(seen.values()) == 40 * 60
        assert all(abs(n / 2400 - 1 / 3) < 5 * math.sqrt(2 / 9 / 2400) for n in seen.values())

    @pytest.mark.parametrize(("more", "epochs"), [(0.2, 20), (0.004, 1), (1.0, 100)])
    def test_its_epochs_are_a_share_of_the_recipes_with_a_learning_rate_from_the_start(
        self, more: float, epochs: int
    ) -> None:
        first, last = method(f"crt(more={more})").stages(Recipe(epochs=100))
        assert (first.epochs, last.epochs) == (100, epochs)
        assert first.spec == "ce"
        assert last.lr(0.0) == Recipe(epochs=epochs).learning_rate(0.0)

    def test_without_further_epochs_it_is_its_base_also_in_its_prior(self) -> None:
        counts = torch.tensor(COUNTS)
        base = method("ce-drw")
        found = method("crt(base='ce-drw', more=0)")
        assert [stage.spec for stage in found.stages(RECIPE)] == [stage.spec for stage in base.stages(RECIPE)]
        assert found.prior is not None
        assert base.prior is not None
        assert found.prior(counts).equal(base.prior(counts))
        whole = method("crt(base='ce-drw')").prior
        assert whole is not None
        assert whole(counts).unique().numel() == 1

    def test_rare_classes_gain_recall(self) -> None:
        def recall(spec: str) -> float:
            chosen = trained(spec, Recipe(epochs=30, batch_size=16, model="mlp", model_args={"hidden": (8, 6)}))
            return float((chosen.predict(INPUTS).argmax(1)[TARGETS == 2] == 2).double().mean())

        assert recall("crt") > recall("ce")


class TestNCM:
    @pytest.mark.parametrize("features", ["cl2n", "l2n", "un"])
    def test_its_scores_are_squared_distances_to_the_class_means(self, features: str) -> None:
        learner: Any = trained(f"ncm(features={features!r})")
        rows = learner.network.features(INPUTS).double().tolist()
        scores = expected_scores(rows, TARGETS.tolist(), features)
        torch.testing.assert_close(
            learner.predict(INPUTS).double(), torch.tensor(scores, dtype=torch.float64), rtol=2e-5, atol=2e-6
        )

    def test_the_features_of_a_linear_model_are_its_standardised_inputs(self) -> None:
        learner: Any = trained("ncm(features='un')", Recipe(epochs=2, batch_size=16, model="linear"))
        rows = learner.network.standardize(INPUTS).double()
        means = torch.stack([rows[j == TARGETS].mean(0) for j in range(3)])
        expected = -(rows[:, None] - means).square().sum(2)
        torch.testing.assert_close(learner.predict(INPUTS).double(), expected, rtol=1e-5, atol=1e-5)

    def test_its_features_are_those_of_the_base_which_it_does_not_change(self) -> None:
        base, found = (trained(spec).state_dict() for spec in ("ce", "ncm"))
        for name, value in part(base, "network.body").items():
            assert found[name].equal(value), name
        previous, built = second("ncm")
        previous.train()
        method("ncm").stages(RECIPE)[-1].build(DATA, previous)
        assert previous.training
        assert previous.network.training
        assert not list(built.learner.network.head.parameters())

    def test_the_stage_has_no_epochs_and_another_base_is_another_classifier(self) -> None:
        first, last = method("ncm").stages(RECIPE)
        assert (first.spec, first.epochs, last.epochs) == ("ce", 5, 0)
        assert not trained("ncm").predict(INPUTS).equal(trained("ce").predict(INPUTS))
        assert not trained("ncm(base='ride')").predict(INPUTS).equal(trained("ncm").predict(INPUTS))


def expected_scores(rows: list[list[float]], targets: list[int], features: str) -> list[list[float]]:
    """-||f - mu_j||^2, in plain loops."""
    center = [sum(column) / len(rows) for column in zip(*rows, strict=True)] if features == "cl2n" else [0.0] * 6

    def f(row: list[float]) -> list[float]:
        moved = [v - c for v, c in zip(row, center, strict=True)]
        length = math.sqrt(sum(v * v for v in moved))
        return moved if features == "un" or length == 0 else [v / length for v in moved]

    points = [f(row) for row in rows]
    means = []
    for j in range(3):
        own = [p for p, y in zip(points, targets, strict=True) if y == j]
        means.append([sum(column) / len(own) for column in zip(*own, strict=True)])
    return [[-sum((a - b) ** 2 for a, b in zip(p, mean, strict=True)) for mean in means] for p in points]
