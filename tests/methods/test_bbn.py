"""BBN: two last blocks, two samplers, one classifier on their mixed features."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.cases import cases
from torch import Tensor

from longtail.data import Examples, TrainingSet
from longtail.engine import Built, Recipe, Training
from longtail.facts.schedules import parabola
from longtail.facts.types import Batch
from longtail.methods import method

COUNTS = (40, 12, 7)
TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
INPUTS = torch.randn(59, 5, generator=torch.Generator().manual_seed(0)) + 0.6 * TARGETS[:, None]
ROWS = Examples(INPUTS, TARGETS, ("a", "b", "c"), batch_size=16)
DATA = TrainingSet(ROWS)
RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8, 6)})


def built(spec: str = "bbn", data: TrainingSet = DATA, recipe: Recipe = RECIPE) -> Built:
    torch.manual_seed(0)
    (stage,) = method(spec).stages(recipe)
    return stage.build(data, None)


def first_batch(made: Built) -> Batch:
    return next(iter(made.data.batches(0.0, torch.Generator().manual_seed(0))))


def perceptron(rows: Tensor, *layers: Any) -> list[list[float]]:
    """Rows through linear layers with ReLU, in plain floats."""
    result = rows.tolist()
    for layer in layers:
        weight, bias = layer.weight.tolist(), layer.bias.tolist()
        result = [
            [max(0.0, sum(a * v for a, v in zip(w, x, strict=True)) + c) for w, c in zip(weight, bias, strict=True)]
            for x in result
        ]
    return result


@cases(
    ("spec", "progress", "alpha"),
    [
        ("bbn", 0.0, 1.0), ("bbn", 0.4, 0.84), ("bbn", 0.9, 0.19), ("bbn(alpha=0.3)", 0.5, 0.3),
        ("bbn(alpha=linear(1.0, 0.0))", 0.75, 0.25), ("bbn(alpha=0)", 0.0, 0.0),
    ],
)  # fmt: skip
@cases("weights", [False, True])
def test_logits_and_loss_are_those_of_the_paper(spec: str, progress: float, alpha: float, weights: bool) -> None:
    weight = torch.rand(59, generator=torch.Generator().manual_seed(1)) if weights else None
    made = built(spec, TrainingSet(replace(ROWS, inputs=INPUTS.double(), sample_weight=weight)))
    learner: Any = made.learner.double()
    batch = first_batch(made)
    _, shared, _, branches = learner.network.body
    second, head = batch["second"], learner.network.head
    f, g = (
        perceptron(learner.network.standardize(one["inputs"]), shared, branches.branches[k][0])
        for k, one in enumerate((batch, second))
    )
    total = divisor = 0.0
    logits = []
    s = [1.0] * 32 if weight is None else torch.cat([batch["sample_weight"], second["sample_weight"]]).tolist()
    for i, (y, y_r) in enumerate(zip(batch["targets"].tolist(), second["targets"].tolist(), strict=True)):
        h = [2 * alpha * v for v in f[i]] + [2 * (1 - alpha) * v for v in g[i]]
        z = [sum(a * v for a, v in zip(w, h, strict=True)) for w in head.weight.tolist()]
        z = [v + c for v, c in zip(z, head.bias.tolist(), strict=True)]
        log_sum = math.log(sum(map(math.exp, z)))
        total += alpha * s[i] * (log_sum - z[y]) + (1 - alpha) * s[16 + i] * (log_sum - z[y_r])
        divisor += alpha * s[i] + (1 - alpha) * s[16 + i]
        logits.append(z)
    step = learner.training_step(batch, progress)
    assert step.outputs.logits.tolist() == [pytest.approx(z, rel=1e-9, abs=1e-12) for z in logits]
    assert step.loss.item() == pytest.approx(total / divisor, rel=1e-6)
    # as a captured step has it
    as_tensor = learner.training_step(batch, torch.tensor(progress, dtype=torch.float64))
    assert as_tensor.loss.item() == pytest.approx(total / divisor, rel=1e-6)


def test_alpha_is_that_of_the_paper_in_every_epoch() -> None:
    learner: Any = built().learner
    assert learner.mixing.alpha == parabola(1.0, 0.0)
    for epoch in range(1, 201):
        assert learner.mixing.alpha((epoch - 1) / 200) == pytest.approx(1 - ((epoch - 1) / 200) ** 2, rel=1e-12)


@cases(("alpha", "branch"), [(1, 0), (0, 1)])
def test_with_all_weight_on_one_branch_it_is_plain_training_of_that_branch(alpha: int, branch: int) -> None:
    made = built(f"bbn(alpha={alpha})", recipe=replace(RECIPE, model="convnet", model_args={"width": 4}), data=IMAGES)
    learner: Any = made.learner.train()
    batch = first_batch(made)
    mine = batch if branch == 0 else batch["second"]
    learner.training_step(batch, 0.3).loss.backward()
    ours = {name: None if p.grad is None else p.grad.clone() for name, p in learner.named_parameters()}
    learner.zero_grad()
    network = learner.network
    width = network.head.in_features // 2
    columns = slice(branch * width, (branch + 1) * width)
    f = network.features(mine["inputs"], branch=branch)
    F.cross_entropy(F.linear(2 * f, network.head.weight[:, columns], network.head.bias), mine["targets"]).backward()
    idle = [name for name in ours if f".branches.{1 - branch}." in name]
    assert idle
    for name, p in learner.named_parameters():
        grad = torch.zeros_like(p) if p.grad is None else p.grad
        torch.testing.assert_close(ours[name], grad, rtol=1e-5, atol=1e-7)
        assert name not in idle or not grad.any()


def test_a_batch_is_normalised_by_itself() -> None:
    """Other rows of the second sampler change nothing in the first branch, its running statistics included."""
    found = []
    for seed in (1, 2):
        made = built("bbn(alpha=1)", recipe=replace(RECIPE, model="convnet", model_args={"width": 4}), data=IMAGES)
        learner: Any = made.learner.train()
        batch = first_batch(made)
        rows = torch.randint(59, (16,), generator=torch.Generator().manual_seed(seed))
        batch["second"] = IMAGES.labeled.batch(rows)
        loss = learner.training_step(batch, 0.0).loss
        found.append((loss, {k: v for k, v in learner.state_dict().items() if ".branches.0." in k}))
    assert found[0][0].equal(found[1][0])
    assert all(value.equal(found[1][1][name]) for name, value in found[0][1].items())


class TestSamplers:
    def test_the_first_is_plain_and_the_second_reversed(self) -> None:
        made, plain = built(), built("ce")
        seen: Counter[int] = Counter()
        for seed in range(60):
            theirs = list(plain.data.batches(0.0, torch.Generator().manual_seed(seed)))
            ours = list(made.data.batches(0.0, torch.Generator().manual_seed(seed)))
            for one, other in zip(ours, theirs, strict=True):
                assert one["index"].equal(other["index"])
                assert len(one["second"]["index"]) == len(one["index"])
                seen.update(one["second"]["targets"].tolist())
        total = sum(seen.values())
        assert total == 60 * 59
        inverse = [1 / n for n in COUNTS]
        for j, share in enumerate(n / sum(inverse) for n in inverse):
            assert seen[j] / total == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / total))

    @cases(("steps", "sizes"), [(None, [16, 16, 16, 11]), (2, [16] * 2), (9, [16] * 9)])
    def test_both_batches_have_the_same_size(self, steps: int | None, sizes: list[int]) -> None:
        (stage,) = method("bbn").stages(RECIPE)
        made = replace(stage, steps=steps).built(DATA, None)
        batches = list(made.data.batches(0.0, torch.Generator().manual_seed(0)))
        assert [len(b["index"]) for b in batches] == [len(b["second"]["index"]) for b in batches] == sizes
        assert made.data.steps() == len(sizes)

    def test_a_batch_of_all_rows(self) -> None:
        made = built(recipe=replace(RECIPE, batch_size=128))
        (batch,) = made.data.batches(0.0, torch.Generator().manual_seed(0))
        assert len(batch["index"]) == len(batch["second"]["index"]) == 59


PIXELS = torch.randn(59, 3, 8, 8, generator=torch.Generator().manual_seed(0))
IMAGES = TrainingSet(Examples(PIXELS, TARGETS, ("a", "b", "c"), batch_size=16))
KINDS: dict[str, tuple[dict[str, Any], Tensor]] = {
    "linear": ({}, INPUTS),
    "mlp": ({"hidden": (8, 6)}, INPUTS),
    "convnet": ({"width": 4}, PIXELS),
    "resnet32": ({"widths": (4, 6, 8), "blocks": 2}, PIXELS),
    "wide_resnet": ({"depth": 16, "width": 1}, PIXELS),
}


@pytest.mark.parametrize("name", KINDS)
def test_to_predict_is_to_mix_in_equal_shares(name: str) -> None:
    arguments, inputs = KINDS[name]
    data = TrainingSet(Examples(inputs, TARGETS, ("a", "b", "c")))
    recipe = Recipe(epochs=2, batch_size=16, model=name, model_args=arguments, lr=0.05)
    training = Training(method("bbn").stages(recipe), data)
    assert all(math.isfinite(record["loss"]) for record in training)
    learner: Any = training.learner.eval()
    rows = data.labeled.batch(torch.arange(16))
    equal = replace(learner.mixing, alpha=0.5).outputs(learner.network, Batch(**{**rows, "second": rows}), 0.0)
    torch.testing.assert_close(equal.logits, learner.predict(inputs[:16]))


@cases("precision", ["bfloat16", "float16"])
def test_half_precision_bodies_are_divided_too(precision: str) -> None:
    made = built(recipe=replace(RECIPE, precision=precision))
    made.learner.training_step(first_batch(made), 0.5).loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.learner.parameters())


def test_weights_take_the_label_and_the_row_of_the_larger_share() -> None:
    made = built("absgd(base='bbn')")
    learner, batch = made.learner, first_batch(made)
    seen: list[dict[str, Any]] = []
    learner.weights.register_forward_pre_hook(lambda _, args, given: seen.append(given), with_kwargs=True)  # type: ignore[union-attr,operator]
    for progress in (0.0, 0.9):
        learner.training_step(batch, progress)
    for given, expected in zip(seen, (batch, batch["second"]), strict=True):
        assert given["targets"].equal(expected["targets"])
        assert given["index"].equal(expected["index"])


def test_rare_classes_gain_recall() -> None:
    def recall(spec: str) -> float:
        training = Training(method(spec).stages(replace(RECIPE, epochs=30)), DATA)
        list(training)
        return float((training.learner.eval().predict(INPUTS).argmax(1)[TARGETS == 2] == 2).double().mean())

    assert recall("bbn") > recall("ce")


def test_its_scores_are_balanced() -> None:
    prior = method("bbn").prior
    assert prior is not None
    assert prior(torch.tensor(COUNTS)).unique().numel() == 1


@cases(
    ("spec", "message"),
    [
        ("bbn(alpha=1.5)", r"alpha must be in \[0, 1\]"),
        ("bbn(alpha=linear(2, 0))", r"alpha must be in \[0, 1\]"),
        ("ssp(base='bbn')", "which has no start to take up"),
        ("mixup(base='bbn')", "which mixes its examples already"),
        ("drw(base='bbn')", "which re-balances its classes already"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(spec)
