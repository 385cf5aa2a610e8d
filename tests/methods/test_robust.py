"""Instance weights over the catalogue: every base trains under them, repeats, resumes to the byte; what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import nn

from longtail import instance_weights
from longtail.catalogue.compose import weighted_learner
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.data import Splits, TrainingSet, load
from longtail.engine import Recipe
from longtail.engine.epoch_monitor import FinitenessError
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.methods import explained, method
from longtail.methods.entries import CATALOG, SEARCHES
from longtail.methods.presets import CLASSICAL
from longtail.methods.robust.decoupled import frozen_modules
from longtail.models import build
from longtail.optim import UncorrectedAdam
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8, 8)})
OURS = ("absgd", "absgd-decoupled", "abadam", "term", "eg", "small-loss")
REFUSED = {
    *(key for key in CATALOG if method(key).task != "supervised"),
    "logit-adjusted-posthoc", "ce-threshold", "logit-adjusted-threshold", "tau-norm", "oracle",
    "logistic", "logistic-cw", "logistic-posthoc", "trees", "trees-cw", "trees-posthoc",
    "threshold-moving", "logistic-threshold", "trees-threshold", *CLASSICAL,
    *OURS, "recover", "co-teaching", "l2rw", "mwn", "meta", *SEARCHES, "ssp", "ssp-contrast", "rcal", "supcon",
    "rolt", "rolt-drw", "sel-cl", "sel-cl-plus",
}  # fmt: skip
"""What trains no network of its own, or weighs already."""
BASES = [key for key in CATALOG if key not in REFUSED and method(key).task == "supervised"]
FAMILIES = ("ce", "sigmoid-ce", "cb-rs", "ldam-drw")
"""Bases that differ in loss, sampler or head; those like them are trained in the full suite."""


def gaussians() -> Splits:
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(3), (40, 20, 8))
    return load(generator.normal(size=(len(y), 4)) + 2 * y[:, None], y, val=0.2)


SPLITS = gaussians()


def predictions(folder: Path) -> bytes:
    return (folder / "predictions.safetensors").read_bytes()


def weights_of(spec: str, recipe: Recipe = RECIPE) -> nn.Module:
    """The weights that a method puts on its learner."""
    learner = method(spec).stages(recipe)[0].build(TrainingSet(SPLITS.train), None).learner
    assert isinstance(learner, SupervisedLearner)
    assert learner.weights is not None
    return learner.weights


class TestEveryBase:
    def test_what_is_refused_is_refused_and_nothing_else(self) -> None:
        for key in REFUSED:
            with pytest.raises(ValueError, match="base must be a supervised method that trains a network"):
                method(f"absgd(base={key!r})")
        assert [method(f"absgd(base={key!r})").key for key in BASES] == ["absgd"] * len(BASES)
        assert len(BASES) >= 13

    @pytest.mark.parametrize("base", [pytest.param(b, marks=() if b in FAMILIES else pytest.mark.slow) for b in BASES])
    def test_trains_repeats_and_resumes_to_the_byte(self, tmp_path: Path, base: str) -> None:
        lam = {"influence-balanced": 2000.0}.get(base, 2.0)  # its loss is about a thousand times larger
        spec = f"absgd(base='{base}', lam={lam})"
        whole = Fit(spec, SPLITS, folder=tmp_path / "whole", recipe=RECIPE)
        records = list(whole)
        assert [r["epoch"] for r in records][:5] == [1, 2, 3, 4, 5]
        prepares = {stage.name for stage in method(spec).stages(RECIPE) if stage.preparatory}
        for record in records:
            assert math.isfinite(record["loss"])
            assert ("mean_weights" in record) == (record["stage"] not in prepares)
        for record in (record for record in records if record["stage"] not in prepares):
            assert len(record["mean_weights"]) == 3
            assert all(w is None or (math.isfinite(w) and w > 0) for w in record["mean_weights"])
        begun = Fit(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
        for _ in range(2):
            next(begun)
        del begun
        gone_on = Fit(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
        assert [r["epoch"] for r in gone_on] == [r["epoch"] for r in records][2:]
        assert predictions(tmp_path / "cut") == predictions(tmp_path / "whole")
        for name, value in whole.learner.state_dict().items():
            assert gone_on.learner.state_dict()[name].equal(value), name
        assert any(name.startswith("weights.") for name in whole.learner.state_dict())
        assert [r.get("mean_weights") for r in gone_on.run.records] == [r.get("mean_weights") for r in records]

    @pytest.mark.parametrize("base", ["ce", "ce-drw", "ldam-drw", "cb-rs", "sigmoid-ce"])
    def test_the_base_keeps_its_network_its_sampler_its_prior_and_its_recipe(self, base: str) -> None:
        plain, ours = method(base), method(f"absgd(base='{base}')")
        assert (ours.prior is None) == (plain.prior is None)
        assert ours.own == plain.own
        mine, theirs = (one.stages(RECIPE)[0].build(TrainingSet(SPLITS.train), None).learner for one in (ours, plain))
        assert type(mine.network.head) is type(theirs.network.head)
        assert type(mine.loss) is type(theirs.loss)
        assert mine.no_decay == theirs.no_decay

    def test_infinite_lambda_is_plain_training_to_the_byte(self, tmp_path: Path) -> None:
        train("ce", SPLITS, folder=tmp_path / "plain", recipe=RECIPE)
        train("absgd(lam=inf)", SPLITS, folder=tmp_path / "inf", recipe=RECIPE)
        train("absgd", SPLITS, folder=tmp_path / "two", recipe=RECIPE)
        plain, inf, two = (Run.load(tmp_path / name) for name in ("plain", "inf", "two"))
        assert inf.predictions()["scores"].equal(plain.predictions()["scores"])
        assert [r["loss"] for r in two.records[:4]] == [r["loss"] for r in plain.records[:4]]
        assert not two.predictions()["scores"].equal(plain.predictions()["scores"])
        assert [r["mean_weights"] for r in two.records[:4]] == [[1.0] * 3] * 4
        assert two.records[4]["mean_weights"] != [1.0] * 3
        assert "mean_weights" not in plain.records[0]


class TestTheOthers:
    @pytest.mark.parametrize(
        "spec",
        ["abadam", "abadam(stock=True)", "term", "term(by_class=False, t=-1)", "eg", "eg(persistent=True, memory=0.5)",
         "small-loss(keep=0.5)", "small-loss(base='ldam-drw')", "absgd(lam=-1.0)",
         "absgd(lam=steps((0.2, 0.6), (inf, 5.0, 2.0)), init=2.0)"],
    )  # fmt: skip
    def test_train_repeat_and_resume(self, tmp_path: Path, spec: str) -> None:
        whole = train(spec, SPLITS, folder=tmp_path / "whole", recipe=RECIPE)
        begun = Fit(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
        for _ in range(3):
            next(begun)
        del begun
        train(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
        assert predictions(tmp_path / "cut") == predictions(tmp_path / "whole")
        assert all(w >= 0 for record in whole.records for w in record["mean_weights"])

    def test_uncorrected_adam_is_equation_9(self) -> None:
        w = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        optimizer = UncorrectedAdam([w], lr=0.1, weight_decay=0.01)
        here, m, v = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0]
        for step in range(20):
            gradient = [math.sin(step + 1) * x for x in here]
            w.grad = torch.tensor(gradient, dtype=torch.float64)
            optimizer.step()
            for i, g in enumerate(gradient):
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * g * g
                here[i] -= 0.1 * (m[i] / (math.sqrt(v[i]) + 1e-8) + 0.01 * here[i])
        assert w.tolist() == pytest.approx(here, rel=1e-9)

    def test_stock_adam_is_torch_s_with_weight_decay_in_the_gradient(self) -> None:
        parameters = [nn.Parameter(torch.ones(1))]
        made = {stock: method(f"abadam(stock={stock})").stages(RECIPE)[0] for stock in (True, False)}
        assert type(made[True].optimizer(parameters)) is torch.optim.Adam
        assert type(made[False].optimizer(parameters)) is UncorrectedAdam
        assert made[True].optimizer(parameters).param_groups[0]["weight_decay"] == RECIPE.weight_decay
        assert made[True].lr(0.5) == pytest.approx(1e-3 * RECIPE.learning_rate(0.5) / RECIPE.lr)


class TestReleasedCode:
    """What the authors' code does differently is a knob; each against its own recursion in plain floats."""

    LOSSES = ((0.5, 1.0, 2.0), (0.1, 3.0, 0.7), (1.5, 0.2, 0.9))

    def test_s_starts_at_the_number_that_init_gives(self) -> None:
        weights: Any = weights_of("absgd(lam=2, init=3.0, gamma=0.1)")
        e = [math.exp(x / 2) for x in self.LOSSES[0]]
        found = weights.weigh(torch.tensor(self.LOSSES[0], dtype=torch.float64))
        assert found.tolist() == pytest.approx([x / (0.9 * 3.0 + 0.1 * sum(e) / 3) for x in e], rel=1e-12)
        for spec in ("abadam(init=3.0)", "absgd-decoupled(init='zero')", "absgd(init=3.0)"):
            assert method(spec).spec == spec
            assert "init=" in method(spec).stages(RECIPE)[-1].spec.replace("init='first'", "")
            assert next(knob for knob in explained(spec)["knobs"] if knob["name"] == "init")["range"] == (
                '"first", "zero" or a number > 0'
            )
        with pytest.raises(ValueError, match='init must be "first", "zero" or a number > 0, got 0'):
            method("absgd(init=0)")

    @pytest.mark.parametrize(
        ("knobs", "zero", "alpha", "uniform"),
        [
            ("init='zero', alpha=0.5, gamma=0.1", True, 0.5, 0.0),  # for imbalance
            ("init='zero', alpha=0.5, gamma=0.1, uniform=1.0", True, 0.5, 1.0),  # for noisy labels
            ("init='zero', gamma=0.1", True, 1.0, 0.0),  # the published package
            ("gamma=0.1", False, 1.0, 0.0),  # the paper, s started at the first batch
        ],
    )
    def test_weights(self, knobs: str, zero: bool, alpha: float, uniform: float) -> None:
        weights: Any = weights_of(f"absgd(lam=2, {knobs})")
        s = 0.0
        for t, losses in enumerate(self.LOSSES):
            e = [math.exp(x / 2) for x in losses]
            fresh = sum(e) / len(e)
            s = fresh if t == 0 and not zero else 0.9 * s + 0.1 * alpha * fresh
            found = weights.weigh(torch.tensor(losses, dtype=torch.float64))
            assert found.tolist() == pytest.approx([x / s + uniform for x in e], rel=1e-12)
            if t == 0 and zero:  # 1 / (gamma alpha) times the softmax of the batch
                assert (found - uniform).mean().item() == pytest.approx(1 / (0.1 * alpha))


class TestDecoupled:
    IMAGES = Recipe(epochs=2, batch_size=16, model="convnet", model_args={"width": 4})

    def pictures(self) -> Splits:
        generator = np.random.default_rng(0)
        y = np.repeat(np.arange(3), (30, 15, 8))
        return load(generator.normal(size=(len(y), 8, 8)).astype(np.float32) + y[:, None, None], y)

    @pytest.mark.parametrize(("trained", "moved"), [("classifier", {"head"}), ("block", {"head", "body.4", "body.5"})])
    def test_only_what_is_trained_moves_and_frozen_statistics_stay(
        self, tmp_path: Path, trained: str, moved: set[str]
    ) -> None:
        data, store = self.pictures(), tmp_path / "stages"
        plain = train("ce", data, folder=tmp_path / "ce" / "seed-0", recipe=self.IMAGES, store=store)
        spec = f"absgd-decoupled(trained='{trained}', more=1.0)"
        ours = train(spec, data, folder=tmp_path / "two" / "seed-0", recipe=self.IMAGES, store=store)
        assert ours.result["reuses"] == "ce/seed-0"
        assert [r["loss"] for r in ours.records[:2]] == [r["loss"] for r in plain.records]
        assert [r["stage"] for r in ours.records] == ["train", "train", "decoupled", "decoupled"]
        before, after = (run.predictor.network.state_dict() for run in (plain, ours))
        changed = {name for name in before if not before[name].equal(after[name])}
        assert {name.rsplit(".", 1)[0] for name in changed} == moved
        assert ("body.5.running_mean" in changed) == (trained == "block")
        assert [r.get("mean_weights") is None for r in ours.records] == [True, True, False, False]

    @pytest.mark.parametrize("cut", [3, 5, 6])
    def test_interrupted_in_either_part_it_ends_the_same(self, tmp_path: Path, cut: int) -> None:
        spec = "absgd-decoupled(base='ce-drw', trained='block', more=0.4)"
        whole = train(spec, SPLITS, folder=tmp_path / "whole", recipe=RECIPE)
        begun = Fit(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
        for _ in range(cut):
            next(begun)
        del begun
        run = train(spec, SPLITS, folder=tmp_path / "cut", recipe=RECIPE)
        assert predictions(tmp_path / "cut") == predictions(tmp_path / "whole")
        assert [r["epoch"] for r in run.records] == [r["epoch"] for r in whole.records] == [1, 2, 3, 4, 5, 1, 2]

    def test_the_last_block_of_a_resnet_is_one_residual_block(self) -> None:
        network = build("resnet32", input_shape=[3, 32, 32], num_classes=10)
        frozen = frozen_modules(network, "block")
        names = {name for name, _ in network.named_parameters() if not any(name.startswith(f"{f}.") for f in frozen)}
        assert {name.rsplit(".", 2)[0] if "conv" in name or "bn" in name else "head" for name in names} == {
            "body.17",
            "head",
        }
        assert len([n for n in names if "conv" in n]) == 2

    def test_a_linear_model_has_no_block(self) -> None:
        with pytest.raises(
            ValueError, match='fewer than two layers of weights, got "block"; write trained="classifier"'
        ):
            frozen_modules(build("linear", input_shape=[4], num_classes=3), "block")


class TestFrozen:
    def test_it_has_no_gradient_and_its_batch_norm_is_frozen_while_the_rest_trains(self) -> None:
        network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
        learner = SupervisedLearner(network, CrossEntropyLoss(), frozen=("0", "1"))
        learner.train()
        before = network[1].running_mean.clone()
        batch: Any = {"inputs": torch.randn(8, 3), "targets": torch.arange(8) % 2, "index": torch.arange(8)}
        learner.training_step(batch, 0.0).loss.backward()
        assert network[1].running_mean.equal(before)
        assert [p.grad is None for p in network.parameters()] == [True, True, True, True, False, False]
        assert [len(group["params"]) for group in learner.trainable()] == [2]
        assert (network[1].training, network[2].training) == (False, True)

    def test_a_name_that_is_not_there_is_one_line(self) -> None:
        with pytest.raises(ValueError, match="frozen must name modules of the network, got tail; see network"):
            SupervisedLearner(nn.Linear(3, 2), CrossEntropyLoss(), frozen=("tail",))


class TestRefusals:
    @cases(
        ("spec", "message"),
        [
            ("absgd(lam=0)", "lam must not be 0"),
            ("absgd(lam=switch(0.5, inf, 0))", "lam must not be 0"),
            ("absgd(lam=linear(-1, 1))", "lam must not pass through 0"),
            ("absgd(lam=linear(inf, 1))", "lam must stay finite"),
            ("eg(tau=linear(inf, 1))", "tau must stay finite"),
            ("absgd(gamma=0)", r"gamma must be in \(0, 1\], got 0"),
            ("absgd(gamma=1.5)", r"gamma must be in \(0, 1\], got 1.5"),
            ("absgd(alpha=0)", "alpha must be > 0, got 0"),
            ("absgd(init='last')", "init must be"),
            ("absgd(base='trees')", "got 'trees', whose training is not one of gradient steps"),
            ("absgd(base='logit-adjusted-posthoc')", "which only corrects the scores of another training"),
            ("absgd(base='absgd(lam=1)')", "which weighs its examples already; choose one of longtail methods"),
            ("absgd(base='ldma')", "unknown method 'ldma'; did you mean ldam"),
            ("absgd(base=3)", "base must be a supervised method"),
            ("absgd-decoupled(trained='head')", "trained must be"),
            ("absgd-decoupled(more=0)", r"more must be in \(0, 1\]"),
            ("abadam(lr=0)", "lr must be > 0"),
            ("term(t=inf)", "t must be finite"),
            ("term(by_class=False, within=1)", "within must be 0 where by_class is False"),
            ("eg(tau=0)", "tau must be > 0"),
            ("small-loss(keep=0)", r"keep must be in \(0, 1\]"),
        ],
    )
    def test_bad_input_is_one_line_before_anything_is_loaded(self, spec: str, message: str) -> None:
        with pytest.raises((ValueError, TypeError), match=message) as found:
            method(spec)
        assert "\n" not in str(found.value)

    def test_a_loss_that_is_not_finite_is_named_with_stage_and_epoch(self, tmp_path: Path) -> None:
        wild = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8, 8)}, lr=1e30)
        with pytest.raises(FinitenessError, match="NaN or infinity in stage train, epoch 1"):
            train("absgd(lam=1)", SPLITS, folder=tmp_path, recipe=wild)

    def test_a_learner_of_another_kind_or_with_weights_is_refused_when_it_is_built(self) -> None:
        learner = method("absgd").stages(RECIPE)[0].build(TrainingSet(SPLITS.train), None).learner
        with pytest.raises(ValueError, match="got one with weights; choose another base"):
            weighted_learner(learner, nn.Identity())
        with pytest.raises(ValueError, match="got Linear; choose another base"):
            weighted_learner(nn.Linear(2, 2), nn.Identity())  # type: ignore[arg-type]


class TestRecorded:
    def test_average_weights_per_class_equal_those_counted_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class ByRow(instance_weights.InstanceWeighting):
            def weights(self, batch: Any) -> Any:
                return 1.0 + batch.index.to(batch.losses.dtype)

        def stages(recipe: Recipe) -> Any:
            (stage,) = one_stage(lambda counts: CrossEntropyLoss())(recipe)

            def build(data: Any, left: Any) -> Any:
                built = stage.build(data, left)
                return built._replace(learner=weighted_learner(built.learner, ByRow()))

            return [replace(stage, build=build)]

        record = next(Fit(Method(stages, cited("good1952rational")).named("x", "x"), SPLITS, recipe=RECIPE))
        y = SPLITS.train.targets.numpy()
        expected = [float(np.mean(1.0 + np.flatnonzero(y == j))) for j in range(3)]
        assert record["mean_weights"] == pytest.approx(expected)

    def test_the_loss_before_the_weights_is_recorded_too(self) -> None:
        plain = next(Fit("ce", SPLITS, recipe=RECIPE))
        waiting = next(Fit("absgd", SPLITS, recipe=RECIPE))
        assert "unweighted_loss" not in plain
        assert waiting["unweighted_loss"] == pytest.approx(plain["loss"], rel=1e-6)
        assert waiting["loss"] == plain["loss"]

    def test_a_training_whose_weights_are_all_near_zero_is_warned_of(self, caplog: pytest.LogCaptureFixture) -> None:
        training = Fit("absgd(lam=1.0, gamma=0.1)", SPLITS, recipe=RECIPE)
        next(training)
        training.learner.weights.log_s.fill_(1e4)  # as one loss of 1e4 leaves it
        found = list(training)
        assert found[-1]["loss"] == 0
        assert found[-1]["unweighted_loss"] > 0.01
        (told,) = [r.message for r in caplog.records if "learns nothing" in r.message]
        assert told.startswith("stage train learns nothing from epoch 2 on: all instance weights are near 0")
        assert told.endswith("raise lam or gamma, or lower the learning rate")


class TestExplained:
    def test_the_worked_example_is_exp_of_the_difference_over_lambda(self) -> None:
        lines = explained("absgd")["example"]
        assert len(lines) == 3
        for line, lam in zip(lines, (5, 1, -1), strict=True):
            assert line == f"lambda {lam}: a loss of 3 weighs {math.exp(2 / lam):.3g} times a loss of 1"

    def test_defaults_can_be_written_as_json(self) -> None:
        for key in CATALOG:
            json.dumps(explained(key), allow_nan=False)
        assert explained("absgd")["knobs"][1]["default"] == "switch(0.8, inf, 5.0)"
        assert explained("ce")["example"] == []

    @pytest.mark.parametrize(
        ("key", "trains", "reads"),
        [
            ("absgd", "a network", None), ("trees", "a scikit-learn classifier", None),
            ("logit-adjusted-posthoc", "a network", "ce"), ("ce-threshold", "a network", "ce"),
            ("trees-posthoc", "a scikit-learn classifier", "trees"),
            ("logistic-posthoc", "a scikit-learn classifier", "logistic"),
        ],
    )  # fmt: skip
    def test_the_cost_names_what_is_trained_or_read(self, key: str, trains: str, reads: str | None) -> None:
        found = explained(key)
        assert (found["trains"], found["reads"]) == (trains, reads)
