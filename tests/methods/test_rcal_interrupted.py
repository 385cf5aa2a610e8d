"""RCAL interrupted in every stage, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cases import cases
from tests.methods.test_rcal import DATA, RECIPE, same, trained

from longtail.data import TrainingSet
from longtail.engine import Stage, Training, state_files
from longtail.methods import method


@pytest.fixture(scope="module")
def undisturbed() -> Training:
    return trained("rcal(host='moco(queue=64)')")


class TestInterrupted:
    """At every boundary of an epoch, and inside of the stage that has none."""

    @cases("cut", range(1, 6))
    def test_after_every_epoch(self, undisturbed: Training, cut: int) -> None:
        stages = method("rcal(host='moco(queue=64)')").stages(RECIPE)
        begun = Training(stages, DATA)
        for _ in range(cut):
            next(begun)
        resumed = Training(stages, DATA, resume=state_files.cloned(begun.state()))
        assert len(list(resumed)) == 6 - cut
        assert same(resumed.learner.state_dict(), undisturbed.learner.state_dict())

    def test_while_the_statistics_are_computed(self, undisturbed: Training, tmp_path: Path) -> None:
        stages = list(method("rcal(host='moco(queue=64)')").stages(RECIPE))

        def killed(*_: Any) -> Any:
            raise KeyboardInterrupt

        begun = Training([stages[0], replace(stages[1], build=killed), stages[2]], DATA, store=tmp_path)
        for _ in range(3):
            next(begun)
        state = state_files.cloned(begun.state())
        with pytest.raises(KeyboardInterrupt):
            next(begun)
        for resumed in (Training(stages, DATA, resume=state), Training(stages, DATA, store=tmp_path)):
            list(resumed)
            assert same(resumed.learner.state_dict(), undisturbed.learner.state_dict())

    def test_the_last_stage_starts_from_the_statistics_that_were_saved(self, undisturbed: Training) -> None:
        """Not from those that are computed anew, which may differ in their last bits on a GPU."""
        stages = list(method("rcal(host='moco(queue=64)')").stages(RECIPE))
        begun = Training(stages, DATA)
        for _ in range(4):
            next(begun)

        def other(data: TrainingSet, previous: Any) -> Any:
            built = stages[1].build(data, previous)
            built.learner.gaussians.means += 1  # type: ignore[operator, union-attr]
            return built

        changed: list[Stage] = [stages[0], replace(stages[1], build=other), stages[2]]
        resumed = Training(changed, DATA, resume=state_files.cloned(begun.state()))
        list(resumed)
        assert same(resumed.learner.state_dict(), undisturbed.learner.state_dict())


@cases(("spec", "why"), [
    ("rcal(base='sam')", "base must be .*, got 'sam', which takes steps of its own kind already"),
    ("rcal(base='mwn')", "base must be .*, got 'mwn', which takes steps of its own kind already"),
    ("rcal(base='ssp')", "which starts from the network of another training already"),
    ("rcal(base='rcal')", "which starts from the network of another training already"),
    ("rcal(base='ride')", "which has no start to take up"),
    ("rcal(base='fixmatch')", "which is semi-supervised"),
    ("rcal(base='trees')", "whose training is not one of gradient steps"),
    ("rcal(host='ce')", "host must be .*, got 'ce', which is supervised"),
    ("rcal(host='random-encoder')", "host must be .*, got 'random-encoder', whose training is not one of"),
    ("rcal(q=-1)", "q must be an integer >= 0, got -1"),
    ("rcal(q=1.5)", "q must be an integer >= 0, got 1.5"),
    ("rcal(neighbours=-1)", "neighbours must be an integer >= 0, got -1"),
    ("rcal(tau=0)", "tau must be > 0, got 0"),
    ("rcal(gamma=1.5)", r"gamma must be in \[0, 1\], got 1.5"),
    ("rcal(shrinkage=2)", r"shrinkage must be in \[0, 1\], got 2"),
    ("rcal(pretraining=2)", r"pretraining must be in \[0, 1\], got 2"),
    ("rcal(beta=-1)", "beta must be >= 0, got -1"),
    ("rcal(sampled=-1)", "sampled must be >= 0, got -1"),
    ("rcal(covariance='low')", "covariance must be \"full\" or \"diagonal\" or \"shared\", got 'low'"),
    ("absgd(base='rcal')", "which has no weights to take up"),
    ("sam(base='rcal')", "which takes steps of its own kind already"),
    ("mixup(base=\"rcal(base='ce')\")", "which has no mixing to take up"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(spec: str, why: str) -> None:
    with pytest.raises((ValueError, TypeError), match=why):
        method(spec)


@cases(("spec", "hidden", "why"), [
    ("rcal", 4000, "covariance must be 'shared' or 'diagonal' for 3 classes of 4000 features, whose full covariances "
                   "have 48000000 numbers, more than 33554432, got 'full'; choose one of these"),
    ("rcal(covariance='shared')", 6000, "covariance must be 'diagonal' for 3 classes of 6000 features"),
    ("rcal(covariance='diagonal')", 6000, None),
    ("rcal(covariance='shared')", 4000, None),
    ("rcal(sampled=0, beta=0)", 6000, None),
    ("rcal(host='moco(queue=40)', pretraining=0)", 8, None),
    ("rcal(host='moco(queue=40)')", 8, "queue must be a multiple of the batch size, 16, got 40"),
])  # fmt: skip
def test_recipes_that_do_not_fit_are_refused_before_training(spec: str, hidden: int, why: str | None) -> None:
    found = method(spec).refuses_recipe(replace(RECIPE, model_args={"hidden": (hidden,)}), DATA.labeled)
    assert (found is None) if why is None else (why in str(found))
