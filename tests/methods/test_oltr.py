"""OLTR: its second stage at its start, a step against the formula, the attention, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import oltr_formulas as formulas
from tests.methods import task_data
from tests.methods.test_decoupling import COUNTS, DATA, INPUTS, RECIPE, TARGETS, part, second, trained

import longtail as lt
from longtail.data import Examples, Splits
from longtail.engine import Recipe
from longtail.methods import method
from longtail.models.bodies.attention import ModulatedAttention
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

CONVNET = Recipe(epochs=2, batch_size=16, model="convnet", model_args={"width": 4})


def pictures() -> Splits:
    generator = torch.Generator().manual_seed(0)

    def examples(counts: tuple[int, ...]) -> Examples:
        targets = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
        pixels = torch.rand(len(targets), 1, 8, 8, generator=generator) + 0.2 * targets[:, None, None, None]
        return Examples(pixels, targets, ("a", "b", "c"))

    return Splits("pictures", examples((20, 9, 5)), examples((4, 4, 4)))


class TestItsStart:
    def test_centroids_are_class_means_and_the_memory_is_asked_by_the_classifier_of_the_base(self) -> None:
        previous, built = second("oltr")
        network: Any = built.learner.network
        for name, value in part(previous.network.state_dict(), "body").items():
            assert network.state_dict()[name].equal(value), name
        features = previous.network.features(INPUTS).double()
        for j, count in enumerate(COUNTS):
            rows = features[j == TARGETS].tolist()
            mean = [math.fsum(column) / count for column in zip(*rows, strict=True)]
            assert network.head.centroids[j].tolist() == pytest.approx(mean, rel=1e-5)
        for name in ("weight", "bias"):
            assert getattr(network.head.hallucinator, name).equal(getattr(previous.network.head, name))

    def test_batch_norms_are_in_evaluation_mode_for_the_means(self) -> None:
        splits = pictures()
        fit = Fit("ce", splits, recipe=CONVNET)
        list(fit)
        stage = method("oltr").stages(CONVNET)[-1]
        before = {name: t.clone() for name, t in fit.learner.state_dict().items()}
        network: Any = stage.build(lt.data.TrainingSet(splits.train), fit.learner).learner.network
        features = fit.learner.eval().network.features(splits.train.inputs)  # type: ignore[union-attr, operator]
        expected = torch.stack([features[splits.train.targets == j].mean(0) for j in range(3)])
        torch.testing.assert_close(network.head.centroids, expected)
        assert all(t.equal(before[name]) for name, t in fit.learner.state_dict().items())

    def test_a_base_without_bias_asks_without_one(self) -> None:
        _, built = second("oltr(base='l-softmax')")
        assert not built.learner.network.head.hallucinator.bias.any()  # type: ignore[union-attr]

    def test_draws_are_class_aware(self) -> None:
        for per_class in (4, 2):
            _, built = second(f"oltr(per_class={per_class})")
            (batch, *_) = built.data.batches(0.0, torch.Generator().manual_seed(0))
            visits = batch["targets"].reshape(-1, per_class)
            assert (visits == visits[:, :1]).all()
            assert len(visits[:3].unique()) == 3

    def test_body_and_centroids_have_learning_rates_of_their_own(self) -> None:
        spec = "oltr(body_rate=0.2, centroid_rate=0.3)"
        learner = second(spec)[1].learner
        groups = method(spec).stages(RECIPE)[-1].start(learner).param_groups
        head: Any = learner.network.head
        assert [(g.get("rate", 1.0), len(g["params"])) for g in groups] == [(0.2, 4), (1.0, 5), (0.3, 1)]
        assert groups[2]["params"][0] is head.centroids
        assert {g["weight_decay"] for g in groups} == {RECIPE.weight_decay}


def test_a_step_is_the_mean_cross_entropy_of_the_formula_and_the_loss_of_the_centroids() -> None:
    _, built = second("oltr(scale=5, attraction=0.3, repulsion=0.2, margin=20)")
    (batch, *_) = built.data.batches(0.0, torch.Generator().manual_seed(0))
    learner: Any = built.learner.double()
    head, targets = learner.network.head, batch["targets"].tolist()
    features = learner.network.features(batch["inputs"].double()).tolist()
    parts = {name: (getattr(head, name).weight.tolist(), getattr(head, name).bias.tolist()) for name in
             ("hallucinator", "selector")}  # fmt: skip
    centroids, entropies = head.centroids.tolist(), []
    for h, y in zip(features, targets, strict=True):
        z = formulas.logits(h, centroids, **parts, weight=head.weight.tolist(), scale=5.0)
        entropies.append(math.log(math.fsum(map(math.exp, z))) - z[y])
    wanted = math.fsum(entropies) / len(targets) + formulas.centroid_loss(features, targets, centroids, 0.3, 0.2, 20)
    step = learner.training_step({**batch, "inputs": batch["inputs"].double()}, 0.0)
    assert step.loss.item() == pytest.approx(wanted, rel=1e-10)
    step.loss.backward()
    gradient = formulas.centroid_gradient(features, targets, centroids, 0.2, 20)
    torch.testing.assert_close(head.centroids.grad, torch.tensor(gradient, dtype=torch.float64))


def test_every_part_is_trained_and_each_knob_changes_the_result() -> None:
    plain = trained("oltr")
    start = second("oltr")[1].learner.state_dict()
    for name, value in plain.state_dict().items():
        assert value.equal(start[name]) == ("standardize" in name), name
    for knob in ("per_class=2", "scale=8", "attraction=1", "repulsion=1", "margin=1000", "body_rate=0.5",
                 "centroid_rate=0.5", "more=0.4"):  # fmt: skip
        repulsion = ", repulsion=1" if knob.startswith("margin") else ""  # without it too small to be seen
        other = trained(f"oltr({knob}{repulsion})")
        against = trained("oltr(repulsion=1)") if repulsion else plain
        assert not other.predict(INPUTS).equal(against.predict(INPUTS)), knob


def test_a_rate_of_zero_leaves_its_part_as_it_was() -> None:
    previous, built = second("oltr(body_rate=0, centroid_rate=0)")
    after = trained("oltr(body_rate=0, centroid_rate=0)").network
    assert after.head.centroids.equal(built.learner.network.head.centroids)  # type: ignore[union-attr]
    for name, value in part(previous.network.state_dict(), "body").items():
        assert after.state_dict()[name].equal(value), name  # type: ignore[union-attr]


def test_without_epochs_of_its_own_it_is_its_base() -> None:
    base = method("ce")
    found = method("oltr(more=0, attention=True)")
    assert [stage.spec for stage in found.stages(RECIPE)] == [stage.spec for stage in base.stages(RECIPE)]
    assert found.prior is base.prior
    for spec in ("oltr", "oltr(attention=True)"):  # which share their first stage with it
        assert [stage.spec for stage in method(spec).stages(RECIPE)[:-1]] == [
            stage.spec for stage in base.stages(RECIPE)
        ]
    assert found.refuses_recipe(RECIPE, DATA.labeled) is None


class TestAttention:
    def test_the_second_stage_adds_it_and_it_begins_as_the_identity(self) -> None:
        splits = pictures()
        fit = Fit("ce", splits, recipe=CONVNET)
        list(fit)
        rows = lt.data.TrainingSet(splits.train)
        plain, attended = (
            method(spec).stages(CONVNET)[-1].build(rows, fit.learner).learner.network.eval()  # type: ignore[union-attr]
            for spec in ("oltr", "oltr(attention=True)")
        )
        assert not [m for m in plain.modules() if isinstance(m, ModulatedAttention)]
        assert [m.spatial.out_features for m in attended.modules() if isinstance(m, ModulatedAttention)] == [16]
        x = splits.train.inputs
        torch.testing.assert_close(attended.features(x), plain.features(x))  # type: ignore[operator]

    @pytest.mark.parametrize("model", ["convnet", "resnet32", "wide_resnet"])
    def test_it_is_trained_saved_and_loaded(self, model: str, tmp_path: Path) -> None:
        small = {"convnet": {}, "resnet32": {"blocks": 1}, "wide_resnet": {"depth": 10, "width": 1}}[model]
        data = pictures() if model == "convnet" else in_colour(pictures())
        recipe = Recipe(epochs=2, batch_size=16, model=model, model_args=small)
        run = train("oltr(attention=True)", data, folder=tmp_path / "run", recipe=recipe, threads=1)
        loaded = Run.load(run.folder).predictor
        (layer,) = [m for m in loaded.network.modules() if isinstance(m, ModulatedAttention)]
        assert layer.out.weight.any()
        assert torch.equal(loaded.scores(data.test.inputs), run.predictions()["scores"])  # type: ignore[union-attr]

    def test_networks_without_a_map_are_refused_before_training(self, tmp_path: Path) -> None:
        splits = task_data.splits("supervised", apart=2.0)
        with pytest.raises(ValueError, match=r"'oltr.attention=True.' needs a network that takes attention, got mlp"):
            Fit("oltr(attention=True)", splits, recipe=RECIPE, folder=tmp_path / "run")
        assert not (tmp_path / "run").exists()


def in_colour(splits: Splits) -> Splits:
    parts = [Examples(p.inputs.expand(-1, 3, -1, -1), p.targets, p.classes) for p in (splits.train, splits.test)]  # type: ignore[union-attr]
    return Splits("pictures", *parts)


@cases(
    "spec, why",
    [
        ("oltr(base='ldam-drw')", "which has no linear head to take up"),
        ("oltr(base='ride')", "which has no linear head to take up"),
        ("oltr(base='crt')", "which trains its classifier a second time already"),
        ("crt(base='oltr')", "which trains its classifier a second time already"),
        ("oltr(base='logit-adjusted-posthoc')", "which only corrects the scores of another training"),
        ("drw(base='oltr')", "which re-balances its classes already"),
        ("oltr(more=11)", r"more must be in \[0, 10\], got 11"),
        ("oltr(attention=1)", r"attention .* must be True or False, got 1"),
    ],
)
def test_what_is_refused(spec: str, why: str) -> None:
    with pytest.raises((ValueError, TypeError), match=why):
        method(spec)


def test_batches_without_room_for_two_visits_are_refused() -> None:
    small = Recipe(epochs=2, batch_size=6)
    assert "batch_size must be at least 8" in str(method("oltr").refuses_recipe(small, DATA.labeled))
    assert method("oltr(per_class=3)").refuses_recipe(small, DATA.labeled) is None
