"""Deferred weights and draws over any base, over-sampling with its stronger view, and what each implies."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import Tensor

from longtail import sampling
from longtail.data import Examples, TrainingSet, load
from longtail.engine import Built, Recipe
from longtail.facts import class_weights
from longtail.methods import method

RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})
SIZES = (60, 25, 9)


def rows() -> Examples:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), SIZES)
    found = load(rng.normal(size=(len(y), 4)) + y[:, None], y, test=0.2).train
    assert isinstance(found, Examples)
    return found


def built(spec: str, data: Examples | None = None) -> Built:
    torch.manual_seed(0)
    return method(spec).stages(RECIPE)[0].build(TrainingSet(rows() if data is None else data), None)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def loss(spec: str, progress: float) -> Tensor:
    made = built(spec)
    batch = next(iter(made.data.batches(progress, generator())))
    return made.learner.training_step(batch, progress).loss.detach()


@cases("progress", [0.0, 0.79, 0.8, 0.99])
@cases(
    ("ours", "theirs"),
    [
        ("drw", "ce-drw"),
        ("drw(class_weight='inverse', at=0.3)", "ce-drw(class_weight='inverse', at=0.3)"),
        ("drw(base='ldam')", "ldam-drw"),
        ("drw(base='focal')", "focal-drw"),
        ("drw(class_weight='inverse', at=0.0)", "inverse-ce"),
        ("drw(class_weight='sqrt', at=0.0)", "sqrt-ce"),
        ("drs", "ce-drs"),
        ("drs(sampler='sqrt')", "sqrt-drs"),
        ("drs(sampler='progressive')", "progressive-drs"),
        ("drs(sampler='balanced', at=0.0)", "cb-rs"),
        ("drs(sampler='class-aware', at=0.0)", "class-aware-rs"),
        ("drs(sampler='reversed', at=0.0)", "reversed-rs"),
        ("drs(sampler='effective', at=0.0)", "cb-rs(sampler='effective')"),
    ],
)
def test_a_deferral_is_the_method_that_has_it(ours: str, theirs: str, progress: float) -> None:
    assert torch.equal(loss(ours, progress), loss(theirs, progress))
    counts = torch.tensor([80.0, 20.0, 5.0])
    for_ours, for_theirs = method(ours).prior, method(theirs).prior
    assert for_ours is not None
    assert for_theirs is not None
    shares = [prior(counts) / prior(counts).sum() for prior in (for_ours, for_theirs)]
    torch.testing.assert_close(*shares, check_dtype=False)


N = torch.tensor([80.0, 20.0, 5.0], dtype=torch.float64)
EFFECTIVE = class_weights.effective_number(N, dtype=torch.float64)


@cases(
    ("spec", "shares"),
    [
        ("progressive-rs", torch.ones(3)),
        ("class-aware-rs", torch.ones(3)),
        ("reversed-rs", 1 / N),
        ("under-rs", torch.ones(3)),
        ("under-rs(ratio=3.5)", torch.tensor([17.0, 17.0, 5.0])),
        ("over-rs", torch.ones(3)),
        ("over-rs(at=0.8)", torch.ones(3)),
        ("inverse-ce", torch.ones(3)),
        ("sqrt-ce", N.sqrt()),
        ("influence-balanced", torch.ones(3)),
        ("influence-balanced(at=1.0)", N),
        ("influence-balanced(gamma=1.0)", torch.ones(3)),
        ("balanced-softmax-drw", torch.ones(3)),
        ("balanced-softmax-drw(at=1.0)", None),
        ("cdt-drw", None),
        ("drw(base='label-smoothing')", N * EFFECTIVE),
        ("drs(base='seql', sampler='sqrt')", N.sqrt()),
        ("mixup(base='ldam-drw')", N * EFFECTIVE),
        ("drs(at=1.0, base='ce')", None),
        ("mixup", None),
        ("label-aware-smoothing", None),
    ],
)
def test_the_prior_that_a_method_implies(spec: str, shares: Tensor | None) -> None:
    prior = method(spec).prior
    if shares is None or prior is None:
        assert prior is None
        assert shares is None
        return
    torch.testing.assert_close(prior(N) / prior(N).sum(), (shares / shares.sum()).double())


@cases("each", [0.05, 0.5, 2.0])
def test_rows_of_equal_weight_imply_what_rows_without_weights_do(each: float) -> None:
    """Counts are then sums of weights, which may be below 1."""
    for spec in ("under-rs", "under-rs(ratio=3.0)", "drs(sampler='under', at=0.0)"):
        prior = method(spec).prior
        assert prior is not None
        of_rows, of_weights = prior(N), prior(each * N)
        torch.testing.assert_close(of_weights / of_weights.sum(), of_rows / of_rows.sum())


@cases(("deferred", "late"), [("cdt-drw", "cdt"), ("balanced-softmax-drw", "balanced-softmax")])
def test_what_is_deferred_is_the_loss_itself_without_class_weights(deferred: str, late: str) -> None:
    assert torch.equal(loss(deferred, 0.79), loss("ce", 0.79))
    assert torch.equal(loss(deferred, 0.8), loss(late, 0.8))
    assert not torch.equal(loss(deferred, 0.8), loss("ce", 0.8))
    assert torch.equal(loss(f"{deferred}(at=0.0)", 0.0), loss(late, 0.0))
    made: Any = built(deferred).learner
    assert made.loss.class_weight is None


def test_what_implies_equal_shares_is_not_balanced_twice() -> None:
    for name in ("drw", "drs"):
        with pytest.raises(ValueError, match="which re-balances its classes already; choose one"):
            method(f"{name}(base='balanced-softmax-drw')")


def test_deferred_weights_keep_what_the_loss_divides_by() -> None:
    data = rows()
    for base, divides_by in (("label-smoothing", "weights"), ("focal", "batch"), ("seql", "weights")):
        learner: Any = built(f"drw(base={base!r})", data).learner
        assert learner.loss.normalize == divides_by
        expected = class_weights.effective_number(data.class_counts)
        torch.testing.assert_close(learner.loss.class_weight, expected)


@cases("base", ["label-smoothing(eps=0.2)", "label-aware-smoothing(head=0.2, tail=0.2)"])
def test_a_smoothed_row_has_the_weight_of_its_class(base: str) -> None:
    data, z = rows(), torch.randn(6, 3, generator=generator(), dtype=torch.float64)
    y = torch.arange(6) % 3
    learner: Any = built(f"drw(base={base!r})", data).learner
    raw = [(1 - 0.9999) / (1 - 0.9999**n) for n in data.class_counts.tolist()]
    for progress, w in ((0.7, [1.0] * 3), (0.9, [3 * v / sum(raw) for v in raw])):
        logs = [[math.log(sum(map(math.exp, row))) - v for v in row] for row in z.tolist()]  # -log p
        each = [w[k] * (0.8 * row[k] + 0.2 * sum(row) / 3) for k, row in zip(y.tolist(), logs, strict=True)]
        assert learner.loss.per_example(z, y, progress=progress).tolist() == pytest.approx(each, rel=1e-11)
        mean = sum(each) / sum(w[k] for k in y.tolist())
        assert learner.loss(z, y, progress=progress).item() == pytest.approx(mean, rel=1e-11)


def test_batches_that_are_never_without_a_class() -> None:
    made = built("drs(at_least=2)")
    for progress in (0.0, 0.9):
        for batch in made.data.batches(progress, generator()):
            assert (torch.bincount(batch["targets"], minlength=3) >= 2).all()
    assert isinstance(made.data.draw, sampling.EveryBatch)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="batch_size must be at least 18 for batches with 6 rows of each of 3 classes"):
        built("drs(at_least=6)")


def test_rare_classes_get_the_stronger_view() -> None:
    data = replace(rows(), policy={"strong": lambda x, generator: torch.full_like(x, 7.0)})
    rare = data.class_counts * 3 < len(data)
    assert rare.tolist() == [False, True, True]
    for batch in built("over-rs", data).data.batches(0.0, generator()):
        inputs, y = batch["inputs"], batch["targets"]
        assert isinstance(inputs, Tensor)
        assert (inputs[rare[y]] == 7.0).all()
        assert torch.equal(inputs[~rare[y]], data.inputs[batch["index"]][~rare[y]])


def test_over_sampling_is_deferred_and_its_views_are_not() -> None:
    data = replace(rows(), policy={"strong": lambda x, generator: torch.full_like(x, 7.0)})
    deferred, at_once = built("over-rs(at=0.8)", data).data, built("over-rs", data).data
    early = list(deferred.batches(0.79, generator()))
    assert torch.cat([batch["index"] for batch in early]).sort().values.tolist() == list(range(len(data)))
    rare = data.class_counts * 3 < len(data)
    for batch in early:
        assert isinstance(batch["inputs"], Tensor)
        assert torch.equal((batch["inputs"] == 7.0).flatten(1).all(1), rare[batch["targets"]])
    for late, other in zip(deferred.batches(0.8, generator()), at_once.batches(0.8, generator()), strict=True):
        assert torch.equal(late["index"], other["index"])


BALANCED = (
    "cb-ce", "ce-drw", "ldam-drw", "logit-adjusted", "cb-rs", "ce-drs", "influence-balanced", "drw", "drs", "ride",
)  # fmt: skip


@cases("base", BALANCED)
@cases("name", ["drw", "drs"])
def test_a_base_that_is_balanced_already_is_refused(name: str, base: str) -> None:
    message = "base must be a supervised method .* which re-balances its classes already; choose one"
    if (name, base) == ("drw", "ride"):
        message = "which has a criterion of its own already|which re-balances its classes already"
    with pytest.raises(ValueError, match=message):
        method(f"{name}(base={base!r})")


@cases(
    ("spec", "why"),
    [
        ("drw(base='trees')", "whose training is not one of gradient steps"),
        ("drs(base='fixmatch')", "which is semi-supervised"),
        ("drs(at_least=-1)", "at_least must be an integer >= 0, got -1"),
        ("drs(sampler='none')", 'sampler must be "balanced" or "sqrt"'),
        ("class-aware-rs(per_class=0)", "per_class must be an integer >= 1, got 0"),
        ("under-rs(ratio=0.9)", "ratio must be >= 1, got 0.9"),
        ("label-smoothing(eps=1.1)", r"eps must be in \[0, 1\], got 1.1"),
        ("label-aware-smoothing(shape='round')", 'shape must be "concave" or "linear" or "convex" or "exp"'),
        ("seql(gamma=2.0)", r"gamma must be in \[0, 1\], got 2.0"),
        ("influence-balanced(alpha=0.0)", "alpha must be > 0, got 0.0"),
    ],
)
def test_bad_knobs_are_refused(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        method(spec)
