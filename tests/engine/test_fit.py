"""`fit` yields one record per finished epoch, goes on from any of them, and trains no stage twice."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_toys import copied, gaussians, one, retrained_head, stage, two_stages
from longtail.engine import Training, fit, state_files
from longtail.engine.stage import Stage

DATA = gaussians()


def outcome(training: Training) -> bytes:
    """Scores of the trained learner, to the byte."""
    training.learner.train(False)
    return training.learner.predict(DATA.inputs).numpy().tobytes()


def told(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records without measured times."""
    return [{k: v for k, v in r.items() if not k.endswith("seconds")} for r in records]


def straight(stages: tuple[Stage, ...], **options: Any) -> tuple[list[dict[str, Any]], bytes]:
    training = fit(stages, DATA, **options)
    records = list(training)
    return records, outcome(training)


class TestRecords:
    def test_say_stage_epoch_progress_rate_loss_and_time(self) -> None:
        records, _ = straight((stage(epochs=4),))
        assert [(r["stage"], r["epoch"], r["progress"]) for r in records] == [
            ("train", 1, 0.0), ("train", 2, 0.25), ("train", 3, 0.5), ("train", 4, 0.75),
        ]  # fmt: skip
        assert all(r["loss"] > 0 and r["seconds"] > 0 for r in records)

    def test_the_rate_follows_the_progress_of_the_stage(self) -> None:
        found = Stage("train", "x", one, 4, torch.optim.SGD, lambda p: 0.1 * (1 - p))
        assert [r["lr"] for r in fit((found,), DATA)] == pytest.approx([0.1, 0.075, 0.05, 0.025])

    def test_the_rate_may_move_inside_an_epoch(self) -> None:
        seen: list[float] = []

        class Watching(torch.optim.SGD):
            def step(self, closure: Any = None) -> Any:
                seen.append(self.param_groups[0]["lr"])
                return super().step(closure)

        found = Stage("train", "x", one, 2, lambda g: Watching(g, lr=1.0), lambda p: 1 + p, lr_per="step")
        list(fit((found,), DATA))
        steps = 5  # 38 examples, 8 a step
        assert seen == pytest.approx([1 + i / (2 * steps) for i in range(2 * steps)])

    def test_scores_stand_where_an_evaluation_was_asked_for(self) -> None:
        def evaluate(learner: Any) -> dict[str, float]:
            assert not learner.training
            return {"accuracy": 0.5}

        last = [r.get("scores") for r in fit((stage(),), DATA, evaluate=evaluate)]
        assert last == [None, None, {"accuracy": 0.5}]
        every = [r.get("scores") for r in fit((stage(),), DATA, evaluate=evaluate, evaluate_at=lambda done: True)]
        assert every == [{"accuracy": 0.5}] * 3

    def test_evaluating_changes_nothing(self) -> None:
        def evaluate(learner: Any) -> dict[str, float]:
            torch.rand(7)
            return {"x": float(learner.predict(DATA.inputs).sum())}

        _, plain = straight((stage(),))
        assert straight((stage(),), evaluate=evaluate, evaluate_at=lambda done: True)[1] == plain

    def test_no_stages_is_one_line(self) -> None:
        with pytest.raises(ValueError, match="stages must not be empty, got none"):
            fit((), DATA)

    def test_there_is_no_learner_before_the_first_epoch(self) -> None:
        with pytest.raises(RuntimeError, match="no epoch has run yet; iterate"):
            _ = fit((stage(),), DATA).learner


class TestSeeds:
    def test_one_seed_gives_the_same_bytes_whatever_the_global_generator(self) -> None:
        torch.manual_seed(1)
        records, scores = straight((stage(),), seed=4)
        torch.manual_seed(2)
        again, same = straight((stage(),), seed=4)
        assert same == scores
        assert told(again) == told(records)

    def test_another_seed_gives_others(self) -> None:
        assert straight((stage(),), seed=4)[1] != straight((stage(),), seed=5)[1]

    def test_the_callers_generator_is_left_alone(self) -> None:
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        for _ in fit((stage(),), DATA):
            pass
        assert torch.rand(2).equal(expected)


STAGES = {
    "one stage": (stage(epochs=4),),
    "two stages": two_stages(),
    "three, the last of no epochs": (*two_stages(), stage("signs", copied, 0)),
    "no epochs between": (stage("first"), stage("signs", copied, 0), stage("second", retrained_head, 2)),
}


@pytest.mark.parametrize("stages", STAGES.values(), ids=STAGES.keys())
@pytest.mark.parametrize("through_file", [False, True], ids=["in memory", "through a file"])
def test_resumed_after_any_epoch_is_as_if_undisturbed(
    stages: tuple[Stage, ...], through_file: bool, tmp_path: Path
) -> None:
    training = fit(stages, DATA)
    records, states = [], []
    for record in training:
        records.append(record)
        states.append(training.state())
    expected = outcome(training)
    for cut, state in enumerate(states, start=1):
        if through_file:
            state_files.save(tmp_path / "state", state)
            state = state_files.load(tmp_path / "state")
        resumed = fit(stages, DATA, resume=state)
        rest = list(resumed)
        assert told(rest) == told(records[cut:]), cut
        assert outcome(resumed) == expected, cut
        assert state["finished"] == cut


def test_a_state_in_memory_serves_more_than_once() -> None:
    training = fit((stage(epochs=4),), DATA)
    next(training)
    state = training.state()
    before = copy.deepcopy(state)
    list(training)
    ends = []
    for _ in range(2):
        resumed = fit((stage(epochs=4),), DATA, resume=state)
        list(resumed)
        ends.append(outcome(resumed))
    assert ends == [outcome(training)] * 2
    state_files.pack(state)
    assert str(state) == str(before)


def test_a_checkpoint_of_another_training_is_refused() -> None:
    training = fit((stage(),), DATA, seed=1)
    next(training)
    with pytest.raises(ValueError, match="checkpoint is of another training; use the data, seed and method"):
        next(fit((stage(),), DATA, seed=2, resume=training.state()))


class TestStages:
    def test_the_second_goes_on_from_the_first_and_leaves_it_as_it_was(self) -> None:
        kept: list[Any] = []

        def spying(data: Any, left: Any) -> Any:
            kept.append((left, copy.deepcopy(left.state_dict())))
            return retrained_head(data, left)

        training = fit((stage("features"), stage("classifier", spying, 2)), DATA)
        list(training)
        ((left, before),) = kept
        assert all(before[k].equal(v) for k, v in left.state_dict().items())
        assert training.learner is not left
        body, frozen = left.network.body.state_dict(), training.learner.network.body.state_dict()  # type: ignore[attr-defined]
        assert body["0.weight"].equal(frozen["0.weight"])
        assert not left.network.head.weight.equal(training.learner.network.head.weight)  # type: ignore[attr-defined]

    def test_each_has_its_own_progress(self) -> None:
        found = [(r["stage"], r["progress"]) for r in fit(two_stages(), DATA)]
        assert found == [
            ("features", 0),
            ("features", 1 / 3),
            ("features", 2 / 3),
            ("classifier", 0),
            ("classifier", 0.5),
        ]

    def test_only_the_last_is_evaluated(self) -> None:
        scored = [r["stage"] for r in fit(two_stages(), DATA, evaluate=lambda _: {"x": 1.0}) if "scores" in r]
        assert scored == ["classifier"]

    def test_no_epochs_still_changes_the_learner(self) -> None:
        _, plain = straight((stage(),))
        records, signed = straight((stage(), stage("signs", copied, 0)))
        assert len(records) == 3
        assert signed != plain


class TestStore:
    def test_a_finished_stage_is_shared_and_not_trained_again(self, tmp_path: Path) -> None:
        first = fit((stage("features"),), DATA, store=tmp_path, owner="first")
        records = list(first)
        steps: list[int] = []

        def counting(data: Any, left: Any) -> Any:
            built = one(data, left)
            built.learner.register_forward_hook(lambda *_: steps.append(1))
            built.learner.network.register_forward_hook(lambda *_: steps.append(1))
            return built

        second = fit((stage("features", counting),), DATA, store=tmp_path, owner="second")
        assert list(second) == records
        assert steps == []
        assert second.reused == ["first"]
        assert first.reused == []
        assert outcome(second) == outcome(first)

    def test_another_seed_spec_recipe_or_data_shares_nothing(self, tmp_path: Path) -> None:
        list(fit((stage("features", epochs=1),), DATA, store=tmp_path, owner="first"))
        others: list[tuple[Any, Any, dict[str, Any]]] = [
            (stage("features", epochs=1), DATA, {"seed": 1}),
            (stage("other", epochs=1), DATA, {}),
            (stage("features", epochs=2), DATA, {}),
            (stage("features", epochs=1), gaussians(seed=1), {}),
            (stage("features", epochs=1), DATA, {"identity": "another recipe"}),
        ]
        for found, data, options in others:
            training = fit((found,), data, store=tmp_path, owner="second", **options)
            list(training)
            assert training.reused == []

    def test_a_first_stage_in_common_is_shared(self, tmp_path: Path) -> None:
        list(fit((stage("features"),), DATA, store=tmp_path, owner="plain"))
        both = fit(two_stages(), DATA, store=tmp_path, owner="two")
        found = list(both)
        assert both.reused == ["plain"]
        assert outcome(both) == straight(two_stages())[1]
        assert [r["stage"] for r in found] == ["features"] * 3 + ["classifier"] * 2

    def test_a_stage_of_no_epochs_is_kept_and_shared(self, tmp_path: Path) -> None:
        stages = (stage(), stage("signs", copied, 0))
        list(fit(stages, DATA, store=tmp_path, owner="first"))
        again = fit(stages, DATA, store=tmp_path, owner="second")
        list(again)
        assert again.reused == ["first", "first"]
        assert outcome(again) == straight(stages)[1]

    @pytest.mark.parametrize("stages", STAGES.values(), ids=STAGES.keys())
    @pytest.mark.parametrize("store_is_lost", [False, True], ids=["stored", "store lost"])
    def test_interrupted_while_taking_what_is_stored_reports_every_epoch_once(
        self, tmp_path: Path, stages: tuple[Stage, ...], store_is_lost: bool
    ) -> None:
        records, expected = straight(stages, store=tmp_path, owner="first")
        for cut in range(1, len(records) + 1):
            training = fit(stages, DATA, store=tmp_path, owner="second")
            begun = [next(training) for _ in range(cut)]
            state = training.state()
            assert state["finished"] == cut
            resumed = fit(stages, DATA, store=None if store_is_lost else tmp_path, resume=state, owner="second")
            assert told(begun + list(resumed)) == told(records)
            assert outcome(resumed) == expected

    def test_resumed_where_its_own_file_is_stored_already_repeats_no_record(self, tmp_path: Path) -> None:
        training = fit((stage(),), DATA, store=tmp_path, owner="me")
        begun = []
        for record in training:
            begun.append(record)
            if len(begun) == 2:
                state = training.state()
        # killed between the stored stage and the last checkpoint
        resumed = fit((stage(),), DATA, store=tmp_path, owner="me", resume=state)
        assert told(begun[:2] + list(resumed)) == told(begun)
        assert resumed.reused == []

    def test_a_damaged_file_is_trained_anew(self, tmp_path: Path) -> None:
        records, expected = straight((stage(),), store=tmp_path)
        (path,) = tmp_path.glob("*/stage.safetensors")
        path.write_bytes(path.read_bytes()[:-10])
        again, found = straight((stage(),), store=tmp_path)
        assert found == expected
        assert told(again) == told(records)
