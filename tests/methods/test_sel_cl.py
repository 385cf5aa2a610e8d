"""Sel-CL and Sel-CL+: what each training starts from and sees, the shared first one, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import selection_formulas as formulas

from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.learners.fine_tuned import CorrectedLearner
from longtail.learners.selective import SelectiveLearner
from longtail.methods import method

COUNTS = (30, 14, 8)
TRUE = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
G = torch.Generator().manual_seed(0)
INPUTS = torch.eye(3, 6)[TRUE] * 4 + torch.randn(52, 6, generator=G)
LABELS = TRUE.clone()
LABELS[::6] = (LABELS[::6] + 1) % 3
DATA = TrainingSet(Examples(INPUTS, LABELS, ("a", "b", "c")))
RECIPE = Recipe(epochs=5, batch_size=16, lr=0.1, warmup=0, model="mlp", model_args={"hidden": (8,)})
KNOBS = "k=6,queue=64,pair_queue=8,dim=16"


@cache
def trained(spec: str) -> Any:
    training = Training(method(spec).stages(RECIPE), DATA)
    list(training)
    return training.learner


def test_the_first_training_is_shared_and_made_of_the_knobs() -> None:
    one, plus = (method(f"{key}({KNOBS},t=0.2,beta=0.3)").stages(RECIPE) for key in ("sel-cl", "sel-cl-plus"))
    assert [stage.name for stage in (*one, *plus)] == ["train", "train", "fine-tune"]
    assert one[0].spec == plus[0].spec
    assert plus[0].spec == method(f"sel-cl-plus({KNOBS},t=0.2,beta=0.3,more=0.5,rate=0.1)").stages(RECIPE)[0].spec
    assert plus[0].spec != method(f"sel-cl-plus({KNOBS},t=0.2,beta=0.4)").stages(RECIPE)[0].spec
    learner: Any = one[0].build(DATA, None).learner
    assert isinstance(learner, SelectiveLearner)
    assert (learner.host.t, learner.host.momentum, learner.host.keys.shape) == (0.2, 0.999, (64, 16))
    assert (learner.pairs.k, learner.pairs.alpha, learner.pairs.beta) == (6, 0.5, 0.3)
    assert learner.queue.keys.shape == (2 * 3 * 8, 16)
    assert learner.pairs.labels.equal(LABELS)
    published: Any = method("sel-cl").stages(RECIPE)[0].build(DATA, None).learner
    assert published.pairs.k == 52 // 6  # half the mean size of a class
    assert (published.host.t, published.lambda_c, published.lambda_s) == (0.1, 1.0, 0.01)
    assert (published.warmup, published.queue_from) == (0.004, 0.012)  # epochs 1 and 3 of 250
    assert published.queue.keys.shape == (2 * 52, 128)  # of 2 * 3 * 1000, no more than two for each row


def test_batches_have_two_views_mixed_and_rows_that_are_confident() -> None:
    built = method(f"sel-cl({KNOBS})").stages(RECIPE)[0].build(DATA, None)
    learner: Any = built.learner
    learner.pairs.confident.fill_(False)
    learner.pairs.confident[[1, 7, 40]] = True
    batches: Any = list(built.data.batches(0.4, torch.Generator().manual_seed(0)))
    assert sorted(i for batch in batches for i in batch["index"].tolist()) == list(range(52))
    for batch in batches:
        assert set(batch["second"]["index"].tolist()) <= {1, 7, 40}
        for part in (batch, batch["second"]):
            assert len(part["inputs"]) == 2
            assert part["mixing"].share >= 0.5
            assert part["targets"].equal(LABELS[part["index"]])


def test_the_second_training_is_of_confident_rows_from_the_body_of_the_first() -> None:
    spec = f"sel-cl-plus({KNOBS},more=0.5,rate=0.02)"
    previous = trained(f"sel-cl({KNOBS})")
    state = {name: value.clone() for name, value in previous.state_dict().items()}
    stage = method(spec).stages(RECIPE)[1]
    assert stage.epochs == 2
    assert [stage.lr(p) for p in (0.0, 0.3, 0.9)] == [0.002] * 3
    built: Any = stage.build(DATA, previous)
    assert isinstance(built.learner, CorrectedLearner)
    assert built.learner.start == 3 / 7
    assert all(value.equal(previous.state_dict()[name]) for name, value in state.items())
    network = previous.network.eval()
    features = previous.projection(network(INPUTS).features).detach()
    chosen = formulas.confident(features.double().tolist(), LABELS.tolist(), 3, 6, 0.5)
    assert 3 <= sum(chosen) < 52
    assert built.data.inputs.equal(INPUTS[chosen])
    assert built.data.targets.equal(LABELS[chosen])
    assert built.learner.network.eval()(INPUTS).features.equal(network(INPUTS).features)
    assert not built.learner.network.head.weight.equal(network.head.weight)
    views = built.data.batches(0.0, torch.Generator().manual_seed(0))
    assert all(len(batch["inputs"]) == 2 and batch["mixing"].share >= 0.5 for batch in views)


def test_every_part_of_it_changes_what_is_learnt() -> None:
    knobs = (
        "", "t=0.3", "lambda_c=2.0", "lambda_s=1.0", "beta=0.9", "alpha=0.0", "mixup=0.2", "warmup=0.5", "momentum=0.5",
        "queue_from=0.5", "k=2", "queue=16", "pair_queue=0",
    )  # fmt: skip
    found = []
    for knob in knobs:
        name = knob.partition("=")[0]
        kept = [part for part in KNOBS.split(",") if not name or not part.startswith(f"{name}=")]
        found.append(trained(f"sel-cl({','.join([*kept, *([knob] if knob else [])])})").network.head.weight)
    assert not [(knobs[i], knobs[j]) for i, a in enumerate(found) for j, b in enumerate(found[:i]) if a.equal(b)]


def test_wrong_labels_are_left_out_and_true_ones_predicted() -> None:
    """Classes that lie apart, a sixth of the labels wrong: fewer of the confident ones are."""
    true = torch.repeat_interleave(torch.arange(3), torch.tensor((80, 40, 20)))
    inputs = torch.eye(3, 6)[true] * 4 + torch.randn(140, 6, generator=torch.Generator().manual_seed(0))
    labels = true.clone()
    labels[::6] = (labels[::6] + 1) % 3
    rows = Examples(inputs, labels, ("a", "b", "c"))
    stages = method("sel-cl-plus(k=10,queue=64,pair_queue=8,dim=16,rate=0.1)").stages(replace(RECIPE, epochs=10))
    training, right = Training(stages, TrainingSet(rows)), []
    for record in training:
        learner: Any = training.learner
        if record["stage"] == "train" and record["epoch"] == 10:
            chosen = learner.pairs.chosen(learner.embedded(rows))
            assert (labels != true)[chosen].float().mean() < 0.5 * (labels != true).float().mean()
        if record["epoch"] == stages[record["stage"] != "train"].epochs:
            right.append((learner.eval().predict(inputs).argmax(1) == true).float().mean())
    assert len(right) == 2
    assert min(right) > 0.95


@cases(
    "spec, message",
    [
        ("sel-cl(k=0)", "k must be an integer >= 1, got 0"),
        ("sel-cl(alpha=1.5)", r"alpha must be .*\[0, 1\], got 1.5"),
        ("sel-cl(t=0)", "t must be .*> 0, got 0"),
        ("sel-cl(pair_queue=-1)", "pair_queue must be an integer >= 0"),
        ("sel-cl-plus(more=0)", r"more must be .*\(0, 1\], got 0"),
        ("sel-cl-plus(rate=0)", "rate must be .*> 0"),
        ("sam(base='sel-cl')", "which has no update to take up"),
        ("absgd(base='sel-cl-plus')", "which has no weights to take up"),
        ("crt(base='sel-cl')", "which has no classifier to take up"),
    ],
)
def test_what_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        method(spec)
    assert "\n" not in str(raised.value)


def test_rows_with_weights_and_trainings_of_the_warm_up_alone_are_refused() -> None:
    rows = replace(DATA.labeled, sample_weight=torch.ones(52))
    why = method("sel-cl").refuses(rows)
    assert why is not None
    assert re.search("'sel-cl' compares rows of equal weight, got rows with weights; leave out the weights", why)
    assert method("sel-cl-plus").refuses(DATA.labeled) is None
    for key in ("sel-cl", "sel-cl-plus"):
        why = method(key).refuses_recipe(replace(RECIPE, epochs=1), DATA.labeled)
        assert why is not None
        assert re.search("the choice of rows", why), why
        assert "\n" not in why
        assert method(key).refuses_recipe(RECIPE, DATA.labeled) is None
    why = method("sel-cl(views='moco')").refuses_recipe(RECIPE, DATA.labeled)
    assert why is not None
    assert "views must be" in why
