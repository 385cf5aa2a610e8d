"""Without strength a method is its base, bit for bit; with it, it is applied: each checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from toys import RECIPE, SPLITS

from longtail import losses
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage, Training
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.runs.run import Run


@pytest.mark.parametrize(
    ("strengthless", "base", "full"),
    [
        ("sam(rho=0)", "ce", "sam"),
        ("sam(rho=0, adaptive=True)", "ce", "sam(adaptive=True)"),
        ("asam(rho=0)", "ce", "asam"),
        ("sam-a(rho=0)", "ce", "sam-a"),
        ("sam-a(base='ldam-drw', rho=0)", "ldam-drw", "sam-a(base='ldam-drw')"),
        ("rolt(given=1, erm=0, ncm=0)", "ce", "rolt"),
        ("rolt(base='sam', start=1)", "sam", "rolt(base='sam')"),
        ("rolt-drw(at=1)", "rolt", "rolt-drw"),
        ("recover(lam=inf, a=1)", "ce", "recover"),
        ("cdr(rate=0)", "ce", "cdr"),
        ("cdr(base='ldam-drw', rate=0, ramp=0.5)", "ldam-drw", "cdr(base='ldam-drw')"),
        ("cdr(base='absgd(lam=5)', rate=0)", "absgd(lam=5)", "cdr(base='absgd(lam=5)')"),
        ("cdr(base='crt', rate=0)", "crt", "cdr(base='crt')"),
        ("cdr(base='fixmatch', rate=0)", "fixmatch", "cdr(base='fixmatch')"),
        ("gce(q=0)", "ce", "gce"),
        ("gce(k=0.9, start=1)", "gce", "gce(k=0.9)"),
        ("sce(alpha=1, beta=0)", "ce", "sce"),
        ("bootstrap(b=1)", "ce", "bootstrap"),
        ("bootstrap(b=1, hard=True)", "ce", "bootstrap(hard=True)"),
        ("forward(matrix='identity')", "ce", "forward"),
        ("forward(matrix='identity', direction='backward')", "ce", "forward(direction='backward')"),
        ("sam(base='ldam-drw', rho=0)", "ldam-drw", "sam(base='ldam-drw')"),
        ("sam(base='absgd(lam=5)', rho=0)", "absgd(lam=5)", "sam(base='absgd(lam=5)')"),
        ("sam(base='eg(persistent=True)', rho=0)", "eg(persistent=True)", "sam(base='eg(persistent=True)')"),
        ("sam(base='small-loss', rho=0)", "small-loss", "sam(base='small-loss')"),
        ("sam(base='fixmatch', rho=0)", "fixmatch", "sam(base='fixmatch')"),
        ("sam(base='darp', rho=0)", "darp", "sam(base='darp')"),
        ("sam(base='records', rho=0)", "records", "sam(base='records')"),
        ("sam(base='simclr', rho=0)", "simclr", "sam(base='simclr')"),
        ("rwsam(rho=0)", "simclr", "rwsam"),
        ("rwsam(alpha=0)", "sam(base='simclr')", "rwsam"),
        ("sam(base='moco', rho=0)", "moco", "sam(base='moco')"),
        ("sam(base='crt', rho=0)", "crt", "sam(base='crt')"),
        ("sam(base='ride', rho=0)", "ride", "sam(base='ride')"),
        ("fixmatch(threshold=2)", "fixmatch(consistency=0)", "fixmatch"),
        ("darp(start=1)", "fixmatch", "darp"),
        ("darp(base='mixmatch', start=1)", "mixmatch", "darp(base='mixmatch')"),
        ("darp(base='remixmatch', start=1)", "remixmatch", "darp(base='remixmatch')"),
        ("records(tau=0)", "proden", "records"),
        ("records(base='rc', tau=0)", "rc", "records(base='rc')"),
        ("corr-records(tau=0)", "corr", "corr-records"),
        ("corr-records(mixup=1, tau=0)", "corr(mixup=1)", "corr-records(mixup=1)"),
        ("lw-records(tau=0)", "lw", "lw-records"),
        ("cavl-records(tau=0)", "cavl", "cavl-records"),
        ("oracle-la(tau=0)", "proden", "oracle-la"),
        ("oracle-la(base='corr', tau=0)", "corr", "oracle-la(base='corr')"),
        ("ts(low=0.2, high=0.2)", "simclr", "ts(cycles=2)"),
        ("ts(base='simclr(t=0.5, passes=\"split\")', low=0.2, high=0.2)", "simclr(passes='split')", "ts(cycles=2)"),
        ("ts(base='simclr', cycles=2)", "simclr(t=cycle(0.1, 1.0, 2))", "ts(cycles=2.5)"),
        ("sdclr(fraction=0, norms='one')", "simclr(passes='split')", "sdclr(norms='one')"),
        ("sam(base='sdclr', rho=0)", "sdclr", "sam(base='sdclr')"),
        ("gh(weight=0)", "simclr", "gh"),
        ("gh(start=1)", "simclr", "gh"),
        ("sam(base='gh', rho=0)", "gh", "sam(base='gh')"),
        ("crt(more=0)", "ce", "crt"),
        ("crt(base='ldam-drw', more=0)", "ldam-drw", "crt(base='ldam-drw')"),
        ("ride(experts=1, width=1)", "ldam-drw", "ride(width=1)"),
        ("ride(experts=1, width=1, at=1)", "ldam", "ride(experts=2, width=1, at=1)"),
        ("absgd(base='ride(experts=1, width=1)', lam=5)", "absgd(base='ldam-drw', lam=5)", "absgd(base='ride', lam=5)"),
        ("absgd(base='ride', lam=inf)", "ride", "absgd(base='ride')"),
        ("eg(base='sce', tau=inf)", "absgd(base='sce', lam=inf)", "eg(base='sce')"),
        ("eg(base='sce', tau=switch(1, inf, 1), persistent=True)", "sce", "eg(base='sce')"),
    ],
)
def test_without_strength_it_is_its_base_bit_for_bit_and_with_it_not(
    runs: dict[str, Run], strengthless: str, base: str, full: str
) -> None:
    plain = runs[base].predictions()["scores"]
    assert runs[strengthless].predictions()["scores"].equal(plain)
    assert not runs[full].predictions()["scores"].equal(plain)


def by_hand(build: Any, task: str, recipe: Recipe = RECIPE) -> Training:
    stage = Stage("train", "by hand", build, recipe.epochs, recipe.make_optimizer, recipe.learning_rate)
    training = Training([stage], TrainingSet.of(SPLITS[task]))
    list(training)
    return training


def test_fixmatch_without_consistency_is_plain_training_on_the_labelled_rows(tmp_path: Path) -> None:
    calm = Recipe(epochs=5, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,)})
    run = toys.trained("fixmatch(consistency=0, decay=0)", tmp_path, recipe=calm)

    def build(data: TrainingSet, previous: Any) -> Built:
        learner = SupervisedLearner(calm.network(data.labeled), losses.CrossEntropyLoss())
        return Built(learner, data.labeled.drawn(calm.batch_size))

    learner = by_hand(build, "semi-supervised", calm).learner.eval()
    # one pass for three parts adds in another order
    torch.testing.assert_close(
        learner.predict(SPLITS["supervised"].test.inputs), run.predictions()["scores"], rtol=1e-4, atol=1e-4
    )


def test_the_moving_average_predicts(runs: dict[str, Run]) -> None:
    slow, fast = runs["fixmatch(decay=0.9)"], runs["fixmatch"]
    assert [r["loss"] for r in slow.records] == [r["loss"] for r in fast.records]
    assert not slow.predictions()["scores"].equal(fast.predictions()["scores"])


@pytest.mark.parametrize("spec", ["records", "corr-records", "lw-records"])
def test_the_prior_that_records_has_learnt_is_taken_off_in_prediction(runs: dict[str, Run], spec: str) -> None:
    found = method(spec)
    training = Training(found.stages(RECIPE), TrainingSet.of(SPLITS["partial"]))
    list(training)
    arrays = runs[spec].predictions()
    offsets = training.learner.targets.offsets()
    expected = arrays["scores"] - offsets.log_softmax(0)
    torch.testing.assert_close(arrays["adjusted_scores"], expected)
    prior = training.learner.targets.prior
    torch.testing.assert_close(offsets.softmax(0), prior)
    assert float(prior.max() - prior.min()) > 0.05  # it has learnt something
    inference = training.learner.eval().inference().scores(SPLITS["partial"].test.inputs)
    assert inference.argmax(1).equal(arrays["adjusted_scores"].argmax(1))
