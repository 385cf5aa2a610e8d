"""LWS, tau-normalisation, MaxNorm and LOS: a trained linear classifier with other lengths, or trained further."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file
from tests.cases import cases
from tests.methods import task_data
from tests.methods.test_decoupling import COUNTS, INPUTS, RECIPE, TARGETS, part, second, trained

import longtail as lt
from longtail import posthoc
from longtail.engine import Recipe, Training
from longtail.methods import method
from longtail.models import heads
from longtail.runs.predictor import load
from longtail.runs.train import train

SPLITS = task_data.splits("supervised", apart=1.0, val=0.3)
SMALL = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})


def dot(one: Any, other: Any) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def cross_entropy(z: list[float], y: int) -> float:
    return math.log(math.fsum(map(math.exp, z))) - z[y]


class TestLWS:
    def test_at_its_start_the_scores_are_those_of_the_base_and_only_factors_are_trained(self) -> None:
        previous, built = second("lws")
        network: Any = built.learner.network
        assert built.learner.eval().predict(INPUTS).equal(previous.predict(INPUTS))
        assert [name for name, p in network.named_parameters() if p.requires_grad] == ["head.1.scale"]
        assert network.head[1].scale.tolist() == [1.0] * 3

    def test_after_training_directions_and_bias_are_those_of_the_base_and_scores_are_scaled(self) -> None:
        base, found = (trained(spec) for spec in ("ce", "lws"))
        head: Any = found.network.head
        for name, value in base.network.head.state_dict().items():
            assert head[0].state_dict()[name].equal(value), name
        features = found.network.features(INPUTS).double().tolist()
        w, b, f = (t.double().tolist() for t in (head[0].weight, head[0].bias, head[1].scale))
        assert min(abs(v - 1) for v in f) > 1e-4
        expected = [[f[j] * (dot(w[j], h) + b[j]) for j in range(3)] for h in features]
        torch.testing.assert_close(
            found.predict(INPUTS).double(), torch.tensor(expected).double(), rtol=1e-5, atol=1e-6
        )

    def test_the_gradient_of_its_factors_is_that_of_the_cross_entropy_of_balanced_rows(self) -> None:
        _, built = second("lws")
        (batch, *_) = built.data.batches(0.0, torch.Generator().manual_seed(0))
        learner: Any = built.learner.double()
        logits = learner.network.head[0](learner.network.features(batch["inputs"].double())).tolist()
        step = learner.training_step({**batch, "inputs": batch["inputs"].double()}, 0.0)
        targets = batch["targets"].tolist()
        wanted = math.fsum(cross_entropy(z, y) for z, y in zip(logits, targets, strict=True)) / len(targets)
        assert step.loss.item() == pytest.approx(wanted, rel=1e-12)
        step.loss.backward()
        for j, found in enumerate(learner.network.head[1].scale.grad.tolist()):
            terms = []
            for z, y in zip(logits, targets, strict=True):
                p = math.exp(z[j]) / math.fsum(map(math.exp, z))
                terms.append((p - (j == y)) * z[j])
            assert found == pytest.approx(math.fsum(terms) / len(terms), rel=1e-10)

    def test_a_base_without_bias_stays_one(self) -> None:
        assert second("lws(base='l-softmax')")[1].learner.network.head[0].bias is None  # type: ignore[union-attr, index]


class TestTauNorm:
    @pytest.mark.parametrize("tau", [0.0, 0.7, 1.0])
    def test_its_scores_are_those_of_a_normalised_classifier_without_bias(self, tau: float, tmp_path: Path) -> None:
        run = train(f"tau-norm(tau={tau})", SPLITS, folder=tmp_path, recipe=SMALL)
        network: Any = run.predictor.network.eval()
        features = network.features(SPLITS.test.inputs).double().tolist()
        w = network.head.weight.double().tolist()
        expected = [[dot(row, h) / math.sqrt(dot(row, row)) ** tau for row in w] for h in features]
        found = run.predictions()["adjusted_scores"].double()
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=1e-5)
        again = load(tmp_path)
        scores = again.scores(SPLITS.test.inputs)
        assert again.adjusted(scores).equal(run.predictor.adjusted(scores))

    def test_at_0_it_is_plain_training_minus_the_bias(self, tmp_path: Path) -> None:
        plain, found = (
            train(spec, SPLITS, folder=tmp_path / spec[:2], recipe=SMALL) for spec in ("ce", "tau-norm(tau=0)")
        )
        scores = found.predictions()["scores"]
        assert scores.equal(plain.predictions()["scores"])
        bias: Any = found.predictor.network.head.bias  # type: ignore[union-attr]
        assert found.predictions()["adjusted_scores"].equal((scores - bias).detach())

    def test_tau_is_chosen_on_the_validation_part(self, tmp_path: Path) -> None:
        run = train("tau-norm(tau='val')", SPLITS, folder=tmp_path, recipe=SMALL)
        rule: Any = run.predictor.posthoc
        head: Any = run.predictor.network.head
        assert SPLITS.val is not None
        z = run.predictor.scores(SPLITS.val.inputs).double() - head.bias.detach()
        lengths = head.weight.detach().double().norm(dim=1)

        def recall(tau: float) -> float:
            hit = (z / lengths**tau).argmax(1) == SPLITS.val.targets  # type: ignore[union-attr]
            return sum(float(hit[SPLITS.val.targets == j].double().mean()) for j in range(3))  # type: ignore[union-attr]

        values = {k / 10: recall(k / 10) for k in range(21)}
        best = max(values.values())
        assert float(rule.tau) == pytest.approx(min(tau for tau, value in values.items() if value > best - 1e-9))
        with pytest.raises(ValueError, match="needs a validation part"):
            lt.compare("digits", methods=["tau-norm(tau='val')"], out=tmp_path / "none")

    def test_the_rule_is_that_of_the_layer(self) -> None:
        head = torch.nn.Linear(5, 3).double()
        h = torch.randn(7, 5, dtype=torch.float64)
        rule = posthoc.TauNormalization(COUNTS, tau=1.3).double().read(head, scale=2.0)
        torch.testing.assert_close(rule(2.0 * head(h)), 2.0 * posthoc.normalize_tau(head, 1.3)(h), rtol=1e-6, atol=1e-6)

    def test_what_it_cannot_read_or_has_not_read_is_refused(self) -> None:
        with pytest.raises(ValueError, match="network must have a linear head of 3 classes, got a Linear of 4 outputs"):
            posthoc.TauNormalization(COUNTS).read(torch.nn.Linear(5, 4))
        with pytest.raises(ValueError, match=r"must be read before use; call read\(network\)"):
            posthoc.TauNormalization(COUNTS)(torch.zeros(2, 3))
        with pytest.raises(ValueError, match="tau must be chosen before use"):
            posthoc.TunedTauNormalization(COUNTS)(torch.zeros(2, 3))


class TestMaxNorm:
    def test_its_first_weight_decay_is_chosen_on_validation_rows(self, tmp_path: Path) -> None:
        recipe = replace(SMALL, weight_decay=1e-3)
        run = train("maxnorm(first='val', more=0.5)", SPLITS, folder=tmp_path / "chosen", recipe=recipe)
        metric = [row["balanced_accuracy"] for row in run.result["search"]["rows"]]
        decays = [1e-3, 5e-5, 5e-3, 2e-2]
        assert [row["candidate"].partition(" with weight_decay=")[2] for row in run.result["search"]["rows"]] == [
            "", "5e-05", "0.005", "0.02"
        ]  # fmt: skip
        best = decays[metric.index(max(metric))]
        by_hand = replace(recipe, weight_decay=best)
        again = train("maxnorm(more=0.5)", SPLITS, folder=tmp_path / "by hand", recipe=by_hand)
        trained, chosen = (load_file(one.folder / "model.safetensors") for one in (again, run))
        sets = [name for name in trained if name.startswith("sets.")]  # which rows that chose cannot promise
        assert sets
        assert again.predictor.sets is not None
        assert run.predictor.sets is None
        assert {name: array.tobytes() for name, array in chosen.items()} == {
            name: array.tobytes() for name, array in trained.items() if name not in sets
        }

    def test_its_second_learning_rate_is_its_own(self) -> None:
        slow, fast = (method("maxnorm").stages(replace(SMALL, lr=lr)) for lr in (0.01, 0.1))
        assert [slow[1].lr(p) for p in (0.0, 0.5)] == [fast[1].lr(p) for p in (0.0, 0.5)]
        assert slow[0].lr(0.0) != fast[0].lr(0.0)

    def test_rows_are_bounded_after_every_step_by_the_lengths_at_the_start(self) -> None:
        previous, built = second("maxnorm(norm=0.25)")
        lengths = [math.sqrt(dot(row, row)) for row in previous.network.head.weight.double().tolist()]
        bound = min(lengths) + 0.25 * (max(lengths) - min(lengths))
        learner: Any = built.learner
        head = learner.network.head
        optimizer = method("maxnorm").stages(RECIPE)[-1].start(learner)
        for group in optimizer.param_groups:
            assert group["weight_decay"] == 0.1
            group["lr"] = 0.05
        (batch, *_) = built.data.batches(0.0, torch.Generator().manual_seed(0))
        for _ in range(3):
            step = built.update(learner, batch, optimizer, 0.0)
            free = head.weight.detach().double().clone()
            bias = head.bias.detach().clone()
            learner.after_update(batch, step, 0.0)
            for row, found in zip(free.tolist(), head.weight.double().tolist(), strict=True):
                length = math.sqrt(dot(row, row))
                assert found == pytest.approx([v * min(1.0, bound / length) for v in row], rel=1e-5)
            assert head.bias.equal(bias)

    def test_its_classifier_goes_on_from_the_base_with_effective_number_weights(self) -> None:
        previous, built = second("maxnorm(beta=0.9)")
        learner: Any = built.learner
        assert learner.network.head.weight.equal(previous.network.head.weight)
        assert learner.network.head is not previous.network.head
        assert [name for name, p in learner.network.named_parameters() if p.requires_grad] == [
            "head.weight", "head.bias",
        ]  # fmt: skip
        v = [(1 - 0.9) / (1 - 0.9**n) for n in COUNTS]
        v = [3 * x / math.fsum(v) for x in v]
        logits = previous.predict(INPUTS).double()
        wanted = math.fsum(v[y] * cross_entropy(z, y) for z, y in zip(logits.tolist(), TARGETS.tolist(), strict=True))
        assert float(learner.loss(logits, TARGETS)) == pytest.approx(wanted / 60, rel=1e-10)

    def test_short_rows_and_rows_of_zeros_stay_and_bad_arguments_are_refused(self) -> None:
        head = torch.nn.Linear(2, 3)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]]))
        network: Any = torch.nn.Module()
        network.head = head
        heads.MaxNorm(head.weight, 0.5)(network)
        torch.testing.assert_close(head.weight, torch.tensor([[0.0, 0.0], [1.5, 2.0], [0.0, 2.0]]))
        heads.MaxNorm(head.weight, 0.0)(network)
        assert head.weight.eq(0).all()
        with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 2"):
            heads.MaxNorm(head.weight, 2)
        with pytest.raises(ValueError, match=r"weight must be of shape \(C, D\), got \(3,\); pass head.weight"):
            heads.MaxNorm(torch.ones(3))


class TestLOS:
    def test_its_loss_has_nearly_uniform_labels(self) -> None:
        previous, built = second("los")
        logits = previous.predict(INPUTS).double()
        total = 0.0
        for z, y in zip(logits.tolist(), TARGETS.tolist(), strict=True):
            total += 0.02 * cross_entropy(z, y) + 0.98 / 3 * math.fsum(cross_entropy(z, j) for j in range(3))
        assert float(built.learner.loss(logits, TARGETS)) == pytest.approx(total / 60, rel=1e-10)  # type: ignore[operator]

    def test_its_stage_has_a_small_rate_and_no_weight_decay(self) -> None:
        first, last = method("los").stages(Recipe(epochs=200, lr=0.01))
        assert (first.epochs, last.epochs) == (200, 20)
        assert last.lr(0.5) == pytest.approx(5e-4)
        assert method("los").stages(Recipe(epochs=200, lr=0.1))[1].lr(0.5) == last.lr(0.5)  # whatever the recipe's
        assert last.start(second("los")[1].learner).param_groups[0]["weight_decay"] == 0


@pytest.mark.parametrize("spec", ["crt", "lws", "maxnorm", "los"])
def test_batch_norms_move_or_not_as_asked_and_weights_of_the_body_never(spec: str) -> None:
    images = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1 * TARGETS[:, None, None, None]
    data = lt.data.TrainingSet(lt.data.Examples(images, TARGETS, ("a", "b", "c")))
    recipe = Recipe(epochs=2, batch_size=16, model="convnet", model_args={"width": 4})

    def body(spec: str) -> dict[str, torch.Tensor]:
        training = Training(method(spec).stages(recipe), data)
        list(training)
        return part(training.learner.state_dict(), "network.body")

    plain, moving, fixed = body("ce"), body(spec), body(f"{spec}(moving_norms=False)")
    assert all(fixed[name].equal(value) for name, value in plain.items())
    moved = {name for name, value in plain.items() if not moving[name].equal(value)}
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)


def test_a_comparison_trains_the_first_stage_once(tmp_path: Path) -> None:
    asked = ["ce", "crt", "lws", "tau-norm", "ncm", "maxnorm", "los", "oltr"]
    result = lt.compare("digits", methods=asked, seeds=1, epochs=3, out=tmp_path)
    assert not result.summary["failed"]
    files = [json.loads(path.read_text()) for path in tmp_path.glob("*/seed-0/run.json")]
    reuses = {run["method"]: run["reuses"] for run in files}
    assert sorted(reuses) == sorted(asked)
    assert [key for key, owner in reuses.items() if owner is None] == ["ce"]
    epochs = {row["method"]: row["epochs"] for row in result.rows}
    assert epochs["lws"] == {"train": 3, "classifier": 1}
    assert epochs["tau-norm"] == {"train": 3}
    assert epochs["oltr"] == {"train": 3, "classifier": 3}


@cases(
    "spec, why",
    [
        (f"{key}(base={base!r})", why)
        for key in ("lws", "tau-norm", "maxnorm", "los")
        for base, why in [
            ("ldam-drw", "which has no linear head to take up"),
            ("ride", "which has no linear head to take up"),
            ("ce-threshold", "which only corrects the scores of another training"),
            ("crt", "which trains its classifier a second time already"),
            ("logistic", "whose training is not one of gradient steps"),
        ]
    ],
)
def test_a_base_that_cannot_be_decoupled_is_refused_before_training(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"base must be .*, {why}.*; choose one of longtail methods"):
        method(spec)
