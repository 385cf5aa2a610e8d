"""Co-teaching and CDR as methods: whole trainings by hand, rate 0, schedules of the rate, what is refused and when."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.task_data import splits_for
from torch import Tensor

from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage, Training, state_files
from longtail.engine.randomness import generator
from longtail.learners import CoTeaching
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.methods.noisy.forgetting import ForgetRate, forgotten
from longtail.runs.run import Run
from longtail.runs.train import train
from longtail.updates import CDR

RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})
ROWS = TrainingSet.of(splits_for(method("ce"), (40, 14, 6)))


def stage_of(spec: str, recipe: Recipe = RECIPE) -> Stage:
    (stage,) = method(spec).stages(recipe)
    return stage


def trained(stage: Stage, **options: Any) -> Training:
    training = Training([stage], ROWS, seed=3, **options)
    list(training)
    return training


def start_of(spec: str) -> tuple[Any, Any]:
    """Learner and rows before the first step."""
    training = Training([stage_of(spec)], ROWS, seed=3)
    built = training._build(0, training.stages[0])
    return built.learner, built.data


class ByHand:
    """The recipe's network, of one hidden layer, in float64: SGD with momentum and weight decay written out."""

    def __init__(self, network: Any) -> None:
        self.network = {name: t.detach().double() for name, t in network.state_dict().items()}
        self.w = [t for name, t in self.network.items() if "body" in name or "head" in name]
        self.v = [torch.zeros_like(t) for t in self.w]

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        for t in self.w:
            t.requires_grad_()
        mean, std = (self.network[f"standardize.{name}"] for name in ("mean", "std"))
        a, b, c, d = self.w
        h = (x.double() - mean) / std @ a.T + b
        z = torch.where(h > 0, h, 0.0) @ c.T + d
        return torch.stack([z[i].exp().sum().log() - z[i, y[i]] for i in range(len(y))])

    def step(self, gradients: Any, lr: float) -> None:
        moved = zip(self.w, self.v, gradients, strict=True)
        self.v = [0.9 * v + g + RECIPE.weight_decay * w.detach() for w, v, g in moved]
        self.w = [w.detach() - lr * v for w, v in zip(self.w, self.v, strict=True)]


def batches(rows: Any) -> Any:
    """(epoch, inputs, targets) of all steps."""
    for epoch in range(RECIPE.epochs):
        for batch in rows.batches(epoch / RECIPE.epochs, generator(3, 0, epoch, "order")):
            yield epoch, batch["inputs"], batch["targets"]


def agrees(network: Any, hand: ByHand) -> None:
    found = [t for name, t in network.state_dict().items() if "body" in name or "head" in name]
    for ours, theirs in zip(found, hand.w, strict=True):
        torch.testing.assert_close(ours.double(), theirs.detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("by_class", [False, True])
def test_co_teaching_is_the_training_written_out(by_class: bool) -> None:
    spec = f"co-teaching(rate=0.5, ramp=0.6, exponent=2, by_class={by_class})"
    learner, rows = start_of(spec)
    nets = [ByHand(learner.first.network), ByHand(learner.second.network)]
    rates = [0.0, 0.125, 0.25, 0.5, 0.5]  # linspace(0, 0.5^2, 3), then 0.5
    for epoch, x, y in batches(rows):
        losses = [net.losses(x, y) for net in nets]
        easy = []
        for one in losses:
            ranked = sorted(range(len(y)), key=lambda i: float(one[i].detach()))
            groups = [[i for i in ranked if y[i] == j] for j in range(3)] if by_class else [ranked]
            exact = [(1 - rates[epoch]) * len(group) for group in groups]
            number = [math.ceil(n) if by_class else max(1, math.floor(n)) for n in exact]
            easy.append([i for group, n in zip(groups, number, strict=True) for i in group[:n]])
        for net, own, peer in zip(nets, losses, reversed(easy), strict=True):
            mean = torch.stack([own[i] for i in peer]).mean()
            net.step(torch.autograd.grad(mean, net.w), RECIPE.learning_rate(epoch / RECIPE.epochs))
    done = trained(stage_of(spec)).learner
    assert isinstance(done, CoTeaching)
    agrees(done.first.network, nets[0])
    agrees(done.second.network, nets[1])


def test_cdr_is_the_training_written_out() -> None:
    spec = "cdr(rate=0.5, ramp=0.6)"
    learner, rows = start_of(spec)
    net, rates = ByHand(learner.network), [0.0, 0.25, 0.5, 0.5, 0.5]
    for epoch, x, y in batches(rows):
        gradients = list(torch.autograd.grad(net.losses(x, y).mean(), net.w))
        flat = torch.cat(
            [(w.detach() * g).abs().flatten() for w, g in zip(net.w, gradients, strict=True) if g.ndim > 1]
        )
        least = sorted(flat.tolist(), reverse=True)[math.floor((1 - rates[epoch]) * len(flat)) - 1]
        for w, g in zip(net.w, gradients, strict=True):
            if g.ndim > 1:
                g *= ((w.detach() * g).abs() >= least) * (1 - rates[epoch])
        net.step(gradients, RECIPE.learning_rate(epoch / RECIPE.epochs))
    agrees(trained(stage_of(spec)).learner.network, net)


BASES = ["ce", "ldam-drw", "cb-focal", "sigmoid-ce", "ce-drs", "influence-balanced", "ride", "l-softmax"]


@pytest.mark.parametrize("base", BASES)
def test_with_rate_0_it_is_two_independent_trainings_bit_for_bit(base: str) -> None:
    plain = stage_of(base)

    def second(data: TrainingSet, previous: Any) -> Built:
        plain.build(data, previous)
        return plain.build(data, previous)

    both = trained(stage_of(f"co-teaching(base={base!r}, rate=0)")).learner
    alone = [trained(stage).learner for stage in (plain, replace(plain, build=second))]
    for ours, theirs in zip((both.first, both.second), alone, strict=True):
        for name, value in theirs.state_dict().items():
            assert ours.state_dict()[name].equal(value), name
    assert any(not a.equal(b) for a, b in zip(alone[0].parameters(), alone[1].parameters(), strict=True))
    some = trained(stage_of(f"co-teaching(base={base!r}, rate=0.3)")).learner
    assert any(not ours.equal(theirs) for ours, theirs in zip(some.parameters(), both.parameters(), strict=True))


@pytest.mark.parametrize("spec", ["co-teaching(rate=0.4, by_class=True)", "cdr(ramp=0.5)", "cdr(decay='sign')"])
def test_resumed_from_any_epoch_all_of_it_is_the_same(spec: str, tmp_path: Path) -> None:
    stage = stage_of(spec)
    training = Training([stage], ROWS, seed=3)
    for state in [training.state() for _ in training]:
        state_files.save(tmp_path / "state", state)
        again = trained(stage, resume=state_files.load(tmp_path / "state"))
        assert again.learner.state_dict().keys() == training.learner.state_dict().keys()
        for name, value in training.learner.state_dict().items():
            assert again.learner.state_dict()[name].equal(value), name


class TestTheRate:
    def test_is_that_of_the_code_over_200_epochs(self) -> None:
        stage = replace(stage_of("ce"), epochs=200)
        schedule: Any = forgotten(stage, 0.45, 0.05, 1.5)
        expected = np.full(200, 0.45)
        expected[:10] = np.linspace(0, 0.45**1.5, 10)
        assert [schedule(e / 200) for e in range(200)] == pytest.approx(expected.tolist(), rel=1e-12)
        progress = torch.tensor([e / 200 for e in range(200)], dtype=torch.float64)
        assert [float(schedule(p)) for p in progress] == pytest.approx(expected.tolist(), rel=1e-12)

    @pytest.mark.parametrize("epochs", [1, 2, 3, 7, 49, 100, 333])
    def test_reads_the_epoch_off_the_progress_whatever_the_rounding(self, epochs: int) -> None:
        schedule = ForgetRate(0.4, epochs, 1.0, epochs)
        expected = np.linspace(0, 0.4, epochs).tolist()
        assert [schedule(e / epochs) for e in range(epochs)] == pytest.approx(expected, rel=1e-12)

    def test_a_short_training_has_a_ramp_of_one_epoch_and_none_on_request(self) -> None:
        schedule: Any = forgotten(stage_of("ce"), 0.4, 0.05)
        assert [schedule(e / 5) for e in range(5)] == [0.0, 0.4, 0.4, 0.4, 0.4]
        assert forgotten(stage_of("ce"), 0.4, 0.0) == 0.4

    def test_a_single_epoch_is_said_to_be_without_it(self) -> None:
        one = replace(RECIPE, epochs=1)
        assert "rate=0.2 without effect in 1 epoch" in str(method("co-teaching").without_effect(one))
        assert method("co-teaching(ramp=0)").without_effect(one) is None
        assert method("cdr").without_effect(one) is None
        assert "rate=0.2 without effect in 1 epoch" in str(method("cdr(ramp=0.1)").without_effect(one))


def test_the_record_says_by_class_what_is_selected() -> None:
    training = Training([stage_of("co-teaching(rate=0.5, ramp=0)")], ROWS, seed=3)
    means = [record["mean_weights"] for record in training]
    assert max(means[-1]) > 1.2 > 0.8 > min(means[-1])
    evenly = Training([stage_of("co-teaching(rate=0.5, ramp=0, by_class=True)")], ROWS, seed=3)
    assert all(min(record["mean_weights"]) > 0.8 for record in evenly)  # rounded up: the rarest have more


def test_the_network_that_is_saved_and_predicts_is_the_first(tmp_path: Path) -> None:
    splits = splits_for(method("ce"), (40, 14, 6))
    run = train("co-teaching", splits, folder=tmp_path / "run", recipe=RECIPE, seed=3)
    learner = trained(stage_of("co-teaching")).learner.eval()
    scores = Run.load(tmp_path / "run").predictor.scores(splits.test.inputs)
    assert run.predictions()["scores"].equal(scores)
    torch.testing.assert_close(scores, learner.predict(splits.test.inputs), rtol=1e-4, atol=1e-5)
    other = learner.second.inference().scores(splits.test.inputs).detach()
    assert not torch.allclose(scores, other, rtol=1e-2, atol=1e-2)


class TestRefusals:
    @pytest.mark.parametrize(
        ("spec", "why"),
        [
            ("co-teaching(base='absgd')", "which weighs its examples already"),
            ("co-teaching(base='sam')", "which takes steps of its own kind already"),
            ("co-teaching(base='mixup')", "which mixes its examples already"),
            ("co-teaching(base='crt')", "which trains in 2 stages; choose one of longtail methods"),
            ("co-teaching(base='ssp')", "which has no weights to take up"),
            ("co-teaching(base='simclr')", "which is self-supervised"),
            ("absgd(base='co-teaching')", "which weighs its examples already"),
            ("sam(base='co-teaching')", "which takes steps of its own kind already"),
            ("ssp(base='co-teaching')", "which has no start to take up"),
            ("drw(base='co-teaching')", "which has no shares to take up"),
            ("co-teaching(rate=1)", r"rate must be in \[0, 1\), got 1"),
            ("co-teaching(rate=-0.1)", r"rate must be in \[0, 1\), got -0.1"),
            ("co-teaching(ramp=10)", r"ramp must be in \[0, 1\], got 10"),
            ("co-teaching(exponent=0)", "exponent must be > 0, got 0"),
            ("cdr(base='sam')", "which takes steps of its own kind already"),
            ("sam(base='cdr')", "which takes steps of its own kind already"),
            ("cdr(rate=1)", r"rate must be in \[0, 1\), got 1"),
            ("cdr(decay='l1')", 'decay must be "optimizer" or "sign", got'),
        ],
    )
    def test_specs(self, spec: str, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            method(spec)

    @pytest.mark.parametrize(
        ("base", "why"),
        [
            ("absgd", "SupervisedLearner without weights and mixing, got one with weights"),
            ("mixup", "SupervisedLearner without weights and mixing, got one with weights or mixing"),
            ("cdr", "base must take plain gradient steps, got CDR; choose another base"),
        ],
    )
    def test_a_base_that_does_not_say_what_it_has_filled(self, base: str, why: str) -> None:
        careless = replace(method(base), taken=frozenset())
        (stage,) = CATALOG["co-teaching"](base=careless).stages(RECIPE)
        with pytest.raises(ValueError, match=why):
            stage.build(ROWS, None)


def test_cdr_gives_each_stage_its_own_steps() -> None:
    found = method("cdr(base='crt', rate=0.3, ramp=0.4, scaled=False, decay='sign')")
    previous, updates = None, []
    for stage in found.stages(RECIPE):
        built = stage.build(ROWS, previous)
        previous = built.learner
        updates.append((stage, built.update))
    for stage, update in updates:
        assert isinstance(update, CDR)
        assert update.rate == forgotten(stage, 0.3, 0.4)
        assert (update.scaled, update.decay) == (False, "sign")
    assert [update.rate.epochs for _, update in updates] == [5, 1]  # type: ignore[union-attr]
