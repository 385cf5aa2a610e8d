"""Three stages, each built from what the one before learnt: killed in each, found in the store, never mutated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from toys import RECIPE, SPLITS

from longtail.comparison import compare
from longtail.data import TrainingSet
from longtail.engine import Built, Stage, Training, state_files
from longtail.facts.learner import Learner
from longtail.methods import method
from longtail.runs.train import train

SPEC = "ssp-contrast(base='crt(more=0.4)')"
DATA = TrainingSet.of(SPLITS["supervised"])
MOMENTS = [("encoder", 3), ("encoder", 5), ("train", 2), ("train", 5), ("classifier", 1)]
"""In the midst of every stage, and between two of them."""
State = dict[str, Any]


def stages() -> list[Stage]:
    return list(method(SPEC).stages(RECIPE))


def watched(seen: Callable[[int, Learner | None], None]) -> list[Stage]:
    """The stages, which say what they were built from."""

    def of(index: int, stage: Stage) -> Stage:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            seen(index, previous)
            return stage.build(data, previous)

        return replace(stage, build=build)

    return [of(index, stage) for index, stage in enumerate(stages())]


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(
        value.equal(other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        for name, value in one.items()
    )


@pytest.fixture(scope="module")
def undisturbed() -> Training:
    training = Training(stages(), DATA)
    list(training)
    return training


def test_there_are_three_and_each_learns_from_the_one_before(undisturbed: Training) -> None:
    assert [stage.name for stage in undisturbed.stages] == ["encoder", "train", "classifier"]
    left: list[State] = []

    def noting(index: int, previous: Learner | None) -> None:
        left.append({} if previous is None else state_files.cloned(previous.state_dict()))

    list(Training(watched(noting), DATA))
    encoder, body = (undisturbed.state()["before"][k] for k in (0, 1))
    assert same(left[1], encoder)
    assert same(left[2], body)
    # the second stage moved on from the encoder's features, the third kept those of the second
    weight = "network.body.1.weight"
    assert not body[weight].equal(encoder[weight])
    assert undisturbed.learner.state_dict()[weight].equal(body[weight])


def test_what_a_stage_left_is_not_mutated_by_the_next() -> None:
    left: dict[int, tuple[Learner, State]] = {}

    def keeping(index: int, previous: Learner | None) -> None:
        if previous is not None:
            left[index] = previous, state_files.cloned(previous.state_dict())

    list(Training(watched(keeping), DATA))
    assert sorted(left) == [1, 2]
    assert all(same(previous.state_dict(), before) for previous, before in left.values())


@pytest.mark.parametrize("cut", [3, 5, 7, 10, 11])
def test_on_resume_every_stage_is_built_from_what_the_one_before_learnt(undisturbed: Training, cut: int) -> None:
    begun = Training(stages(), DATA)
    for _ in range(cut):
        next(begun)
    before = undisturbed.state()["before"]

    def checking(index: int, previous: Learner | None) -> None:
        assert (previous is None) if index == 0 else same(previous.state_dict(), before[index - 1])

    resumed = Training(watched(checking), DATA, resume=begun.state())
    assert len(list(resumed)) == 12 - cut
    assert same(resumed.learner.state_dict(), undisturbed.learner.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment[0]}-{moment[1]}")
class TestKilled:
    def test_with_a_folder_it_ends_the_same(self, tmp_path: Path, moment: tuple[str, int]) -> None:
        straight = train(SPEC, SPLITS["supervised"], folder=tmp_path / "straight", recipe=RECIPE, threads=1)
        out = tmp_path / "run"
        toys.kill(toys.run, SPEC, out, moment)
        before = (out / "metrics.jsonl").read_text()
        toys.finish(toys.run, SPEC, out)
        assert (out / "metrics.jsonl").read_text().startswith(before)
        found = (out / "predictions.safetensors").read_bytes()
        assert found == (straight.folder / "predictions.safetensors").read_bytes()

    def test_without_a_folder_it_ends_the_same(
        self, tmp_path: Path, undisturbed: Training, moment: tuple[str, int]
    ) -> None:
        path = tmp_path / "learnt"
        toys.kill(toys.run_without_folder, SPEC, path, moment)
        assert not path.exists()
        stopped = state_files.load(path.with_suffix(".checkpoint"))
        assert (stages()[stopped["stage"]].name, stopped["epoch"]) == moment
        toys.finish(toys.run_without_folder, SPEC, path)
        assert same(state_files.load(path), state_files.cloned(dict(undisturbed.learner.state_dict())))


class TestTheStore:
    @staticmethod
    def refusing(found: list[Stage], names: set[str]) -> list[Stage]:
        """The stages, of which those with these names must not take a step."""

        class Never:
            def __call__(self, *_: Any) -> Any:
                raise AssertionError("trained a second time")

            def state_dict(self) -> State:
                return {}

            def load_state_dict(self, state: State) -> None:
                pass

        def of(stage: Stage) -> Stage:
            def build(data: TrainingSet, previous: Learner | None) -> Built:
                return stage.build(data, previous)._replace(update=Never())

            return replace(stage, build=build) if stage.name in names else stage

        return [of(stage) for stage in found]

    def test_a_stage_that_is_there_is_not_trained_again(self, tmp_path: Path, undisturbed: Training) -> None:
        first = list(Training(stages(), DATA, store=tmp_path, owner="first"))
        again = Training(
            self.refusing(stages(), {"encoder", "train", "classifier"}), DATA, store=tmp_path, owner="again"
        )
        assert list(again) == first
        assert again.reused == ["first"] * 3
        assert same(again.learner.state_dict(), undisturbed.learner.state_dict())

    @pytest.mark.parametrize(
        ("first", "second", "shared"),
        [
            ("ssp-contrast", "ssp-contrast(base='crt')", {"encoder", "train"}),
            ("simclr", "ssp-contrast", {"encoder"}),
            ("simclr", "ssp-contrast(base='ldam-drw')", {"encoder"}),
            ("ce", "crt", {"train"}),
            ("ncm", "crt(more=0.2)", {"train"}),
            ("ldam-drw", "ncm(base='ldam-drw')", {"train"}),
            ("sam", "crt(base='sam')", {"train"}),
            ("ce", "sam", set()),
            ("sam", "sam(rho=0.1)", set()),
            ("ssp-contrast", "crt", set()),
        ],
    )
    def test_a_common_beginning_is_trained_once(
        self, tmp_path: Path, first: str, second: str, shared: set[str]
    ) -> None:
        list(Training(method(first).stages(RECIPE), DATA, store=tmp_path, owner=first))
        alone = Training(method(second).stages(RECIPE), DATA)
        expected = [record["loss"] for record in alone]
        there = Training(self.refusing(list(method(second).stages(RECIPE)), shared), DATA, store=tmp_path, owner=second)
        assert [record["loss"] for record in there] == expected
        assert there.reused == [first] * len(shared)
        assert same(there.learner.state_dict(), alone.learner.state_dict())

    def test_a_comparison_runs_no_common_beginning_twice(self, tmp_path: Path) -> None:
        rows = SPLITS["supervised"].train
        asked = "sam,crt,ncm,crt(base='sam'),absgd-decoupled"
        compare(rows.inputs, rows.targets, methods=asked, seeds=1, jobs=1, epochs=3, out=tmp_path)
        found = {
            r["method"]: r["reuses"]
            for r in (json.loads(path.read_text()) for path in tmp_path.glob("*/seed-0/run.json"))
        }
        whose = {spec: None if owner is None else owner.rpartition("-")[0] for spec, owner in found.items()}
        assert {spec: owner and owner.split("-")[0] for spec, owner in whose.items()} == {
            "ce": None, "sam": None, "crt": "ce", "ncm": "ce", "absgd-decoupled": "ce", "crt(base='sam')": "sam",
        }  # fmt: skip
