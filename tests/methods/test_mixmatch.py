"""MixMatch and ReMixMatch against their definition in plain numbers, and what is the same without rows or strength."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.cases import cases
from tests.methods import task_data

from longtail.data import Examples, Splits, TrainingSet
from longtail.data.views import Mixing
from longtail.engine import Built, Recipe, Stage, Training
from longtail.facts.types import Batch, Mixed, Outputs
from longtail.learners import SemiSupervisedLearner, SupervisedLearner
from longtail.learners.mixing import Mixer
from longtail.learners.mixmatch import MixMatch
from longtail.losses import CrossEntropyLoss
from longtail.methods import method
from longtail.models import Network, Standardize
from longtail.runs.train import train
from longtail.targets import Alignment, Confident, Guess, Soft

Array = NDArray[np.float64]
RECIPE = Recipe(epochs=4, batch_size=8, lr=0.05, model="mlp", model_args={"hidden": (8,)})
ROWS = task_data.splits("semi-supervised")
IMAGES = task_data.splits("semi-supervised", shape=task_data.IMAGE)


def numbers(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64)


class ByHand:
    """The network in float64: standardisation, a hidden layer, two heads."""

    def __init__(self, learner: Any) -> None:
        self.w = {name: numbers(value) for name, value in learner.state_dict().items()}

    def features(self, x: Array) -> Array:
        w = self.w
        x = (x - w["network.standardize.mean"].reshape(-1, *[1] * (x.ndim - 2))) / w["network.standardize.std"].reshape(
            -1, *[1] * (x.ndim - 2)
        )
        hidden = x.reshape(len(x), -1) @ w["network.body.1.weight"].T + w["network.body.1.bias"]
        return np.maximum(hidden, 0)

    def log_p(self, x: Array, head: str = "network.head") -> Array:
        z = self.features(x) @ self.w[f"{head}.weight"].T + self.w[f"{head}.bias"]
        return z - np.log(np.exp(z).sum(1, keepdims=True))


def sharp(p: Array, temperature: float) -> Array:
    return p ** (1 / temperature) / (p ** (1 / temperature)).sum(1, keepdims=True)


def cross_entropy(q: Array, log_p: Array) -> float:
    return float(-(q * log_p).sum(1).mean())


def begun(spec: str, splits: Splits, recipe: Recipe = RECIPE) -> tuple[Any, list[Any]]:
    """The learner of a method in float64, and batches of its data."""
    (stage,) = method(spec).stages(recipe)
    torch.manual_seed(0)
    built = stage.build(TrainingSet.of(splits), None)
    batches = list(built.data.batches(0.0, torch.Generator().manual_seed(0)))
    assert len({id(b["mixing"]) for b in batches}) == len(batches)
    return built.learner.double(), batches


def mixed(batch: Any, q: Array) -> tuple[Array, Array]:
    """The mixed rows and labels of the pool, one by one."""
    x = np.concatenate([numbers(batch["inputs"]), *map(numbers, batch["unlabeled"]["inputs"])])
    y = np.concatenate([np.eye(3)[batch["targets"].numpy()], *[q] * len(batch["unlabeled"]["inputs"])])
    partner, share, _ = batch["mixing"]
    own = numbers(share.expand(len(x)))
    assert sorted(partner.tolist()) == list(range(len(x)))
    assert (own >= 0.5).all()
    rows = [own[i] * x[i] + (1 - own[i]) * x[partner[i]] for i in range(len(x))]
    return np.stack(rows), np.stack([own[i] * y[i] + (1 - own[i]) * y[partner[i]] for i in range(len(y))])


@cases(
    "knobs",
    ["", "consistency=30, temperature=0.7, alpha=2, mu=3", "one_share=True, consistency=linear(2, 4)"],
)
def test_mixmatch_row_by_row(knobs: str) -> None:
    learner, (batch, *_) = begun(f"mixmatch({knobs})", ROWS)
    step, net = learner.training_step(batch, 0.25), ByHand(learner)
    views = [numbers(view) for view in batch["unlabeled"]["inputs"]]
    assert not np.array_equal(*views)
    assert len(views[0]) == (24 if "mu=3" in knobs else 8)
    assert (batch["mixing"].share.ndim == 0) == ("one_share" in knobs)
    p = (np.exp(net.log_p(views[0])) + np.exp(net.log_p(views[1]))) / 2
    x, y = mixed(batch, sharp(p, 0.7 if "0.7" in knobs else 0.5))
    log_p = net.log_p(x)
    squared = np.mean((np.exp(log_p[8:]) - y[8:]) ** 2)
    weight = 30 if "30" in knobs else 2.5 if "linear" in knobs else 0.25 * 75
    assert step.loss.item() == pytest.approx(cross_entropy(y[:8], log_p[:8]) + weight * squared, rel=1e-6)
    assert step.log["consistency"].item() == pytest.approx(squared, rel=1e-6)


@cases(
    ("knobs", "splits"), [("", IMAGES), ("rotation=2, anchor=3, consistency=0.5, window=1, mu=2", IMAGES), ("", ROWS)]
)
def test_remixmatch_row_by_row_in_two_steps(knobs: str, splits: Splits) -> None:
    """The second step's guesses are aligned by both batches, where the window has room."""
    learner, batches = begun(f"remixmatch({knobs})", splits)
    net, shares, seen = ByHand(learner), numbers(splits.class_counts) / len(splits.train), []
    anchor, weight, rotation = (3.0, 0.5, 2.0) if knobs else (0.25 * 0.5, 0.25 * 1.5, 0.5)
    for batch in batches[:2]:
        step = learner.training_step(batch, 0.25)
        weak, strong, other = map(numbers, batch["unlabeled"]["inputs"])
        assert not any(np.array_equal(a, b) for a, b in ((weak, strong), (weak, other), (strong, other)))
        p = np.exp(net.log_p(weak))
        seen = [p.mean(0)] if "window=1" in knobs else [*seen, p.mean(0)]
        aligned = p * (shares + 1e-6) / (np.mean(seen, 0) + 1e-6)
        q = sharp(aligned / aligned.sum(1, keepdims=True), 0.5)
        x, y = mixed(batch, q)
        size = len(batch["inputs"])
        log_p = net.log_p(x)
        expected = cross_entropy(y[:size], log_p[:size]) + weight * cross_entropy(y[size:], log_p[size:])
        expected += anchor * cross_entropy(q, net.log_p(strong))
        if splits is IMAGES:
            turned = np.stack([np.rot90(image, k % 4, (-2, -1)) for k, image in enumerate(strong)])
            turn = np.eye(4)[np.arange(len(strong)) % 4]
            expected += rotation * cross_entropy(turn, net.log_p(turned, "host.turned"))
        assert step.loss.item() == pytest.approx(expected, rel=1e-5)  # the window is in float32
        assert ("rotation" in step.log) == (splits is IMAGES)


@cases(("key", "threshold"), [("mixmatch", 0.6), ("remixmatch", 0.8)])
def test_hard_labels_with_weights_are_mixed_and_the_weight_stays_with_its_row(key: str, threshold: float) -> None:
    """As a correction may set them, which exchanges what the labels are used for."""
    learner, (batch, *_) = begun(key, ROWS)
    learner = learner.varied(use=Confident(threshold))
    step, net = learner.training_step(batch, 0.5), ByHand(learner)
    views = [numbers(view) for view in batch["unlabeled"]["inputs"]]
    if key == "mixmatch":
        q = sharp((np.exp(net.log_p(views[0])) + np.exp(net.log_p(views[1]))) / 2, 0.5)
    else:
        p = np.exp(net.log_p(views[0]))
        aligned = p * (numbers(ROWS.class_counts) / len(ROWS.train)) / p.mean(0)
        q = sharp(aligned / aligned.sum(1, keepdims=True), 0.5)
    confident = q.max(1) >= threshold
    assert 0 < confident.sum() < len(q)
    x, y = mixed(batch, np.eye(3)[q.argmax(1)])
    log_p = net.log_p(x)[8:]
    each = ((np.exp(log_p) - y[8:]) ** 2).mean(1) if key == "mixmatch" else -(y[8:] * log_p).sum(1)
    expected = np.mean(np.tile(confident, len(views)) * each)
    assert step.log["consistency"].item() == pytest.approx(expected, rel=1e-4)
    assert step.log["confident"].item() == pytest.approx(confident.mean())


def test_the_gradient_stops_at_the_guess() -> None:
    learner, (batch, *_) = begun("mixmatch(consistency=5)", ROWS)
    seen: list[Outputs] = []
    learner.targets.forward = lambda rows, guess, outputs, progress: seen.append(outputs) or guess
    learner.training_step(batch, 0.5).loss.backward()
    assert not seen[0].logits.requires_grad
    assert seen[0].logits.shape == (2, 8, 3)


def test_rows_without_turns_say_that_the_rotation_loss_is_missing() -> None:
    (note,) = method("remixmatch").notes
    assert note(IMAGES.train) is None
    assert note(ROWS.train) == ("remixmatch has no rotation loss here: rows of a table and features cannot be turned")
    assert method("remixmatch(rotation=0)").notes == ()
    assert begun("remixmatch", ROWS)[0].host.turned is None
    assert begun("remixmatch", IMAGES)[0].host.turned.out_features == 4


class TestAlignment:
    def test_batch_by_batch(self) -> None:
        generator = np.random.default_rng(0)
        shares, align, means = np.array([6.0, 3.0, 1.0]), Alignment(torch.tensor([6, 3, 1]), window=3), []
        for _ in range(7):
            p = generator.dirichlet([1.0, 2.0, 3.0], size=5)
            means = [*means, p.mean(0)][-3:]
            expected = p * (shares / 10 + 1e-6) / (np.mean(means, 0) + 1e-6)
            expected /= expected.sum(1, keepdims=True)
            np.testing.assert_allclose(align(torch.from_numpy(p)).numpy(), expected, rtol=1e-5)

    def test_held_it_aligns_and_records_nothing(self) -> None:
        align, p = Alignment(torch.tensor([6, 3, 1])), torch.rand(5, 3).softmax(1)
        align(p)
        before = copy.deepcopy(align.state_dict())
        align.holding = True
        assert not align(p.flip(1)).equal(p)
        assert all(value.equal(before[name]) for name, value in align.state_dict().items())

    def test_shares_that_are_met_change_nothing(self) -> None:
        p = torch.rand(64, 3, dtype=torch.float64).softmax(1)
        torch.testing.assert_close(Alignment(p.mean(0))(p), p, rtol=1e-5, atol=1e-6)


class TestBatchNorms:
    """What is recorded is one pass over the pool, mixed."""

    @cases("spec", ["mixmatch", "remixmatch", "remixmatch(rotation=0)"])
    def test_the_pool_is_recorded_once_a_step(self, spec: str) -> None:
        recipe = replace(RECIPE, model="convnet", model_args={"width": 2})
        learner, (batch, *_) = begun(spec, images(8), recipe)
        before = copy.deepcopy(learner.network)
        learner.training_step(batch, 0.5)
        x, _ = mixed(batch, np.full((8, 3), 1 / 3))
        before(torch.from_numpy(x))
        assert int(learner.network.body[1].num_batches_tracked) == 1
        assert all(norm.track_running_stats for norm in learner.modules() if hasattr(norm, "track_running_stats"))
        torch.testing.assert_close(learner.network.body[1].running_mean, before.body[1].running_mean)
        torch.testing.assert_close(learner.network.body[1].running_var, before.body[1].running_var)


def images(size: int) -> Splits:
    generator = torch.Generator().manual_seed(0)

    def of(rows: Any) -> Examples:
        pixels = torch.rand(len(rows), 1, size, size, generator=generator)
        return replace(rows, inputs=pixels, policy={"weak": task_data.noisy, "strong": task_data.noisy})

    return replace(ROWS, train=of(ROWS.train), unlabeled=of(ROWS.unlabeled))


class Pairs:
    """Batches of labelled rows with mixing and, for the semi-supervised learner, no rows without labels."""

    eager, class_counts = "", ROWS.class_counts

    def __init__(self, rows: Examples) -> None:
        self.rows = replace(rows.drawn(8), mixing=Mixing(0.75, larger=True))

    def __len__(self) -> int:
        return len(self.rows)

    def steps(self) -> int:
        return self.rows.steps()

    def draws(self, progress: float, generator: torch.Generator) -> Any:
        return self.rows.draws(progress, generator)

    def batch_of(self, drawn: Any) -> Batch:
        batch = self.rows.batch_of(drawn)
        none = batch["inputs"][:0]
        batch["unlabeled"] = Batch(inputs=(none, none), index=batch["index"][:0])
        return batch


def test_without_rows_without_labels_mixmatch_is_mixup() -> None:
    """A whole training, with the same random numbers; the two add in another order."""

    def trained(learner: Any) -> dict[str, torch.Tensor]:
        def build(data: TrainingSet, previous: Any) -> Built:
            torch.manual_seed(0)
            network = RECIPE.network(data.labeled)
            return Built(learner(network), Pairs(data.labeled))  # type: ignore[arg-type]

        stage = Stage("train", "by hand", build, 6, RECIPE.make_optimizer, RECIPE.learning_rate)
        training = Training([stage], TrainingSet(ROWS.train))
        list(training)
        state = training.learner.state_dict()
        return {name: value for name, value in state.items() if name.startswith("network.")}

    def host(network: Any) -> SemiSupervisedLearner:
        return SemiSupervisedLearner(network, CrossEntropyLoss(), MixMatch(), Guess(sharpen=0.5), Soft())

    def mixup(network: Any) -> SupervisedLearner:
        return SupervisedLearner(network, CrossEntropyLoss(), mixing=Mixer(2))

    ours, theirs = trained(host), trained(mixup)
    plain = trained(lambda network: SupervisedLearner(network, CrossEntropyLoss()))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain["network.head.weight"], theirs["network.head.weight"], atol=1e-2)


def test_a_labelled_row_of_weight_3_counts_three_times_in_the_pool() -> None:
    """Against the weighted sum over rows and partners, divided by the sum of the weights."""
    torch.manual_seed(0)
    network = Network(Standardize(2), torch.nn.Identity(), torch.nn.Linear(2, 3)).double()
    learner = SemiSupervisedLearner(network, CrossEntropyLoss(), MixMatch(0.0), Guess(), Soft())
    x, rest, y, s = torch.randn(3, 2).double(), torch.randn(2, 2).double(), torch.tensor([0, 1, 2]), [3.0, 1.0, 0.5]
    partner = torch.tensor([1, 3, 0, 2, 4])
    batch = Batch(
        inputs=x, targets=y, index=torch.arange(3), sample_weight=torch.tensor(s),
        mixing=Mixed(partner, torch.tensor(0.7), torch.zeros(())),
        unlabeled=Batch(inputs=(rest,), index=torch.arange(2)),
    )  # fmt: skip
    pool, weights = torch.cat([x, rest]), [*s, 1.0, 1.0]
    labels = torch.cat([torch.eye(3).double()[y], network(rest).logits.softmax(1)]).detach()
    total = norm = 0.0
    for i in range(3):
        log_p = network((0.7 * pool[i] + 0.3 * pool[partner[i]])[None]).logits.log_softmax(1)[0]
        for part, j in ((0.7, i), (0.3, int(partner[i]))):
            total += part * weights[j] * -float(labels[j] @ log_p.detach())
            norm += part * weights[j]
    assert learner.training_step(batch, 0.0).loss.item() == pytest.approx(total / norm, rel=1e-6)


def predicted(spec: str, folder: Path) -> torch.Tensor:
    return train(spec, ROWS, folder=folder, recipe=RECIPE, threads=1).predictions()["scores"]


@cases("key", ["mixmatch", "remixmatch"])
def test_every_weight_moves_the_training(key: str, tmp_path: Path) -> None:
    plain = predicted(key, tmp_path / f"{key}-plain")
    knobs = ["consistency=0", "decay=0", "one_share=True", *(["anchor=0"] if key == "remixmatch" else [])]
    for k, knob in enumerate(knobs):
        assert not predicted(f"{key}({knob})", tmp_path / f"{key}-{k}").equal(plain), knob


@cases("key", ["mixmatch", "remixmatch"])
def test_without_unlabelled_rows_it_is_refused_in_one_line(key: str) -> None:
    assert "needs rows without labels besides, got none" in str(method(key).refuses(ROWS.train))
    (stage,) = method(key).stages(RECIPE)
    with pytest.raises(ValueError, match=f"{key} needs rows without labels, got none; pass some as unlabeled"):
        stage.build(TrainingSet(ROWS.train), None)
