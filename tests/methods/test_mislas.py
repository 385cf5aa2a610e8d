"""MiSLAS: mixup, then the classifier by label-aware smoothing with factors; the first stage is shared."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.losses import loss_formulas as formulas
from tests.methods.test_class_vectors import dot
from tests.methods.test_decoupling import COUNTS, INPUTS, RECIPE, TARGETS, part, second, trained

import longtail as lt
from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.methods import method


def test_at_its_start_it_is_the_base_and_classifier_and_factors_are_trained() -> None:
    previous, built = second("mislas")
    network: Any = built.learner.network
    assert built.learner.eval().predict(INPUTS).equal(previous.eval().predict(INPUTS))
    named = [name for name, p in network.named_parameters() if p.requires_grad]
    assert named == ["head.0.weight", "head.0.bias", "head.1.scale"]
    assert method("mislas").stages(RECIPE)[0].spec == method("mixup").stages(RECIPE)[0].spec


def test_its_loss_and_gradients_are_those_of_smoothed_labels_of_scaled_scores() -> None:
    _, built = second("mislas(head=0.5, tail=0.2)")
    (batch, *_) = built.data.batches(0.0, torch.Generator().manual_seed(0))
    learner: Any = built.learner.double()
    head = learner.network.head
    with torch.no_grad():
        head[1].scale.copy_(torch.tensor([0.7, 1.1, 1.6]))
    inputs = batch["inputs"].double()
    features = learner.network.features(inputs).tolist()
    w, b, f = (t.tolist() for t in (head[0].weight, head[0].bias, head[1].scale))
    strengths = formulas.smoothing_strengths(COUNTS, 0.5, 0.2, "concave", 2.0)
    total, of_factors = 0.0, [0.0] * 3
    for h, y in zip(features, batch["targets"].tolist(), strict=True):
        plain = [dot(w[j], h) + b[j] for j in range(3)]
        z = [f[j] * plain[j] for j in range(3)]
        total += formulas.label_aware(z, y, strengths)
        for j in range(3):
            p, e = math.exp(-formulas.cross_entropy(z, j)), strengths[y]
            of_factors[j] += (p - (1 - e) * (j == y) - e / 3) * plain[j]
    step = learner.training_step({**batch, "inputs": inputs}, 0.0)
    assert step.loss.item() == pytest.approx(total / len(features), rel=1e-12)
    step.loss.backward()
    assert head[1].scale.grad.tolist() == pytest.approx([g / len(features) for g in of_factors], rel=1e-9)


def test_the_classifier_has_its_share_of_the_learning_rate_and_the_factors_all_of_it() -> None:
    stage = method("mislas(factor=0.25)").stages(Recipe(epochs=200, lr=0.1, weight_decay=0.0))[-1]
    assert stage.epochs == 10
    learner: Any = second("mislas(factor=0.25)")[1].learner
    optimizer = stage.start(learner)
    part_of_it, whole = sorted(optimizer.param_groups, key=lambda group: group.get("rate", 1.0))
    head = learner.network.head
    assert [id(p) for p in whole["params"]] == [id(head[1].scale)]
    assert [id(p) for p in part_of_it["params"]] == [id(head[0].weight), id(head[0].bias)]
    assert "rate" not in whole
    assert part_of_it["rate"] == 0.25


@cases("more", ["0.15", "0.4"])
def test_without_smoothing_and_mixing_and_with_a_fixed_classifier_it_is_lws(more: str) -> None:
    ours = trained(f"mislas(base='ce', head=0.0, tail=0.0, factor=0.0, more={more})").state_dict()
    for name, value in trained(f"lws(more={more})").state_dict().items():
        if name.startswith("network."):
            assert ours[name].equal(value), name


def test_every_part_of_it_changes_what_is_learnt() -> None:
    specs = (
        "mislas", "mislas(base='ce')", "mislas(head=0.0, tail=0.0)", "mislas(shape='linear')", "mislas(factor=1.0)",
        "mislas(factor=0.0)", "mixup",
    )  # fmt: skip
    found = [trained(spec).predict(INPUTS) for spec in specs]
    assert all(not a.equal(b) for i, a in enumerate(found) for b in found[:i])
    assert trained("mislas(more=0)").predict(INPUTS).equal(trained("mixup").predict(INPUTS))


def test_batch_norms_move_or_not_as_asked_and_weights_of_the_body_never() -> None:
    images = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1 * TARGETS[:, None, None, None]
    data = TrainingSet(Examples(images, TARGETS, ("a", "b", "c")))
    recipe = Recipe(epochs=2, batch_size=16, model="convnet", model_args={"width": 4})

    def body(spec: str) -> dict[str, torch.Tensor]:
        training = Training(method(spec).stages(recipe), data)
        list(training)
        return part(training.learner.state_dict(), "network.body")

    plain, moving, fixed = body("mixup"), body("mislas"), body("mislas(moving_norms=False)")
    assert all(fixed[name].equal(value) for name, value in plain.items())
    moved = {name for name, value in plain.items() if not moving[name].equal(value)}
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)


def test_a_comparison_trains_the_mixed_stage_once(tmp_path: Path) -> None:
    result = lt.compare("digits", methods=["ce", "mixup", "mislas"], seeds=1, epochs=3, out=tmp_path)
    assert not result.summary["failed"]
    files = [json.loads(path.read_text()) for path in tmp_path.glob("*/seed-0/run.json")]
    assert sum(run["reuses"] is None for run in files) == 2
    assert {row["method"]: row["epochs"] for row in result.rows}["mislas"] == {"train": 3, "classifier": 1}


@cases(
    "base, why",
    [
        ("ldam-drw", "which has no linear head to take up"),
        ("etf-dr", "which has no linear head to take up"),
        ("ce-threshold", "which only corrects the scores of another training"),
        ("crt", "which trains its classifier a second time already"),
        ("logistic", "whose training is not one of gradient steps"),
    ],
)
def test_a_base_that_cannot_be_decoupled_is_refused_before_training(base: str, why: str) -> None:
    with pytest.raises(ValueError, match=f'base must be .*"mixup" or "ce", got .*, {why}.*; choose one of longtail'):
        method(f"mislas(base={base!r})")
