"""A float16 step whose gradients overflow changes nothing but the scale, and the scale is part of a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.methods.recorded_step import Replayed
from torch import Tensor, nn

import longtail as lt
from engine_toys import gaussians
from longtail import losses, models
from longtail.engine import Recipe, Stage, Training, capture, fit, gradient_scaler, state_files
from longtail.engine.epoch_monitor import FinitenessError
from longtail.engine.gradient_scaler import GradientScaler
from longtail.engine.precision import resolved
from longtail.facts.types import Batch
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.optim import UncorrectedAdam
from longtail.updates import SAM, Descend

ROWS = gaussians()
RECIPE = Recipe(epochs=4, batch_size=8, lr=0.05, model="mlp", model_args={"hidden": (8,)}, precision="float16")
BATCH = Batch(inputs=ROWS.inputs[:16], targets=ROWS.targets[:16], index=torch.arange(16))
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, foreach=True),
    "SGD, fused": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1),
    "AdamW, fused": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "UncorrectedAdam": lambda p: UncorrectedAdam(p, lr=0.1, weight_decay=0.01),
}


def made(optimizer: str = "SGD", precision: str = "float16") -> tuple[SupervisedLearner, Any, GradientScaler]:
    torch.manual_seed(0)
    network = models.build("mlp", input_shape=(3,), num_classes=3, hidden=(8,), precision=precision)
    learner = SupervisedLearner(network, losses.CrossEntropyLoss())
    steps = OPTIMIZERS[optimizer](learner.trainable())
    return learner, steps, GradientScaler.attach(learner, steps)  # type: ignore[return-value]


def everything(learner: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Parameters, buffers and what the optimiser remembers, but for counters of steps."""
    state = [optimizer.state[p] for group in optimizer.param_groups for p in group["params"]]
    remembered = [value for entry in state for name, value in sorted(entry.items()) if name != "step"]
    return [value.detach().clone() for value in (*learner.state_dict().values(), *remembered)]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(a.equal(b) for a, b in zip(one, other, strict=True))


@cases("optimizer", OPTIMIZERS)
def test_a_step_that_overflows_is_as_though_it_had_not_been(optimizer: str) -> None:
    (learner, steps, scaler), (other, others, _) = made(optimizer), made(optimizer)
    for k in range(4):
        if k in (0, 2):
            scaler.scale.fill_(2.0**40)
            Descend()(learner, BATCH, steps, 0.0)
            assert float(scaler.scale) == 2.0**39
            assert not hasattr(steps, "found_inf")
            scaler.scale.fill_(2.0**16)
        Descend()(learner, BATCH, steps, 0.0)
        Descend()(other, BATCH, others, 0.0)
        assert equal(everything(learner, steps), everything(other, others))
    assert all(value.isfinite().all() for value in everything(learner, steps))
    assert not equal(everything(learner, steps), everything(*made(optimizer)[:2]))


def test_fused_and_plain_steps_are_the_same() -> None:
    """The scale falls from far too high, so that the first steps of each overflow."""
    found = []
    for optimizer in ("SGD", "SGD, fused"):
        learner, steps, scaler = made(optimizer)
        scaler.scale.fill_(2.0**24)
        for _ in range(12):
            Descend()(learner, BATCH, steps, 0.0)
        assert float(scaler.scale) < 2.0**23
        found.append(learner.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-5, atol=1e-6)


def test_the_scale_grows_after_so_many_finite_steps_and_an_overflow_begins_the_count_anew() -> None:
    learner, steps, scaler = made()
    scaler.interval = 3
    seen = []
    for k in range(8):
        if k == 4:
            learner.network.head.weight.register_hook(lambda g: g * float("nan"))
        Descend()(learner, BATCH, steps, 0.0)
        seen.append((float(scaler.scale) / 2**16, int(scaler.finite_steps)))
        if k == 4:
            learner.network.head.weight._backward_hooks.clear()
    assert seen == [(1, 1), (1, 2), (2, 0), (2, 1), (1, 0), (1, 1), (1, 2), (2, 0)]


def test_sam_restores_the_weights_where_its_first_pass_overflows() -> None:
    learner, steps, scaler = made()
    before = learner.network.body.state_dict()
    before = copy.deepcopy(before)
    scaler.scale.fill_(2.0**40)
    step = SAM(0.05)(learner, BATCH, steps, 0.0)
    assert step.loss.isfinite()
    assert float(scaler.scale) == 2.0**39
    assert all(before[name].equal(value) for name, value in learner.network.body.state_dict().items())
    scaler.scale.fill_(2.0**16)
    SAM(0.05)(learner, BATCH, steps, 0.0)
    assert not before["1.weight"].equal(learner.network.body.state_dict()["1.weight"])


def test_all_networks_of_a_learner_have_one_scale() -> None:
    learner, _, _ = made()
    learner.teacher = copy.deepcopy(learner.network)
    scaler = GradientScaler.attach(learner, torch.optim.SGD(learner.parameters(), lr=0.1))
    assert scaler is not None
    assert learner.network.gradient_scale is learner.teacher.gradient_scale is scaler.scale


@cases("network", [nn.Linear(3, 3), models.build("mlp", input_shape=(3,), num_classes=3)])
def test_other_networks_are_trained_as_ever(network: nn.Module) -> None:
    learner = SupervisedLearner(network, losses.CrossEntropyLoss())
    steps = torch.optim.SGD(learner.parameters(), lr=0.1)
    assert GradientScaler.attach(learner, steps) is None
    assert not steps._optimizer_step_pre_hooks
    assert steps.state_dict().keys() == {"state", "param_groups"}


def test_uncorrected_adam_under_torchs_scaler() -> None:
    """It unscales by itself, and skips an overflow."""
    p, q = (nn.Parameter(torch.ones(3)) for _ in range(2))
    ours, theirs = (UncorrectedAdam([w], lr=0.1) for w in (p, q))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for factor in (1.0, float("inf"), 3.0):
        ours.zero_grad()
        scaler.scale((factor * p * torch.arange(1.0, 4.0)).sum()).backward()
        scaler.step(ours)
        scaler.update()
        if factor < 10:
            theirs.zero_grad()
            (factor * q * torch.arange(1.0, 4.0)).sum().backward()
            theirs.step()
    assert p.equal(q)
    assert scaler.get_scale() == 2.0**9


class TestTraining:
    @pytest.fixture(autouse=True)
    def restless(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A scale that begins too high, and grows until it is too high again."""
        monkeypatch.setattr(gradient_scaler, "START", 2.0**26)
        monkeypatch.setattr(GradientScaler, "interval", 2)

    def stages(self, key: str = "ce", **changes: Any) -> tuple[Stage, ...]:
        return tuple(method(key).stages(replace(RECIPE, **changes)))

    def outcome(self, training: Training) -> bytes:
        training.learner.train(False)
        return training.learner.predict(ROWS.inputs).numpy().tobytes()

    @cases("key", ["ce", "sam", "imbsam", "recover", "crt", "abadam", "co-teaching", "cdr", "ce, adamw"])
    def test_resumed_from_any_epoch_it_ends_with_the_same_bytes(self, key: str, tmp_path: Path) -> None:
        stages = self.stages(key.split(",")[0], optimizer="adamw" if "adamw" in key else "sgd")
        training, states = fit(stages, ROWS, seed=1), []
        scales = [record["gradient_scale"] for record in training if not states.append(training.state())]  # type: ignore[func-returns-value]
        assert 2.0**12 < min(scales) < 2.0**26
        for k, state in enumerate(states):
            state_files.save(tmp_path / "state", state)
            again = fit(stages, ROWS, seed=1, resume=state_files.load(tmp_path / "state"))
            assert [record["gradient_scale"] for record in again] == scales[k + 1 :]
            assert self.outcome(again) == self.outcome(training)

    def test_without_the_scale_the_resumed_bytes_would_be_others(self) -> None:
        """What the test above must notice."""
        training = fit(self.stages(), ROWS, seed=1)
        next(training)
        state = training.state()
        state["optimizer"].pop(gradient_scaler.STATE)
        again = fit(self.stages(), ROWS, seed=1, resume=state)
        list(training), list(again)
        assert self.outcome(again) != self.outcome(training)

    @cases("key", ["ce", "sam", "recover", "abadam", "co-teaching", "cdr"])
    def test_captured_steps_overflow_and_resume_as_eager_ones(self, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """SGD's fused step, and one of our own, leave out an overflow without reading it back."""
        monkeypatch.setattr(capture, "recorder_for", lambda device: Replayed)
        monkeypatch.setattr(Replayed, "made", [])
        stages = self.stages(key)
        eager, captured = (fit(stages, ROWS, seed=1, capture=captured) for captured in (False, True))
        scales = [record["gradient_scale"] for record in eager]
        first = next(captured)
        state = captured.state()
        assert [record["gradient_scale"] for record in (first, *captured)] == scales
        assert sum(one.replays for one in Replayed.made) > 0
        for name, value in eager.learner.state_dict().items():
            torch.testing.assert_close(captured.learner.state_dict()[name], value, rtol=1e-3, atol=1e-4)
        again = fit(stages, ROWS, seed=1, resume=state)
        list(again)
        assert self.outcome(again) == self.outcome(captured)

    def test_a_run_folder_and_its_model(self, tmp_path: Path) -> None:
        data, y = ROWS.inputs.numpy(), ROWS.targets.numpy()
        whole = lt.fit("ce", data, y, recipe=RECIPE, folder=tmp_path / "whole")
        list(whole)
        killed = lt.fit("ce", data, y, recipe=RECIPE, folder=tmp_path / "killed")
        next(killed), next(killed)
        killed.close()
        resumed = lt.fit("ce", data, y, recipe=RECIPE, folder=tmp_path / "killed")
        assert len(list(resumed)) == 2
        for one, other in zip(whole.run.records, resumed.run.records, strict=True):
            assert one["gradient_scale"] == other["gradient_scale"]
        tensors = [(tmp_path / name / "predictions.safetensors").read_bytes() for name in ("whole", "killed")]
        assert tensors[0] == tensors[1]
        assert whole.run.config["precision"] == "float16"
        assert not any("gradient_scale" in name for name in whole.run.predictor.state_dict())
        assert lt.Run.load(tmp_path / "whole").predictor.network.precision == "float16"

    def test_gradients_that_are_finite_at_no_scale_are_an_error(self) -> None:
        (plain,) = self.stages()

        def build(rows: Any, left: Any) -> Any:
            built = plain.build(rows, left)
            built.learner.network.head.weight.register_hook(lambda g: g * float("nan"))
            return built

        with pytest.raises(FinitenessError, match="finite, got NaN or infinity at every scale in stage train, epoch"):
            list(fit((replace(plain, build=build, epochs=20),), ROWS))


@cases(
    "capability, expected",
    [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16"), ((7, 0), "float16"), ((6, 1), "float32")],
)
def test_auto_takes_what_the_gpu_multiplies(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolved("auto", "resnet32", "cuda") == expected
    assert resolved("auto", "mlp", "cuda") == "float32"
    assert resolved("auto", "resnet32", "cpu") in ("bfloat16", "float32")
    assert resolved("float16", "mlp", "cpu") == "float16"
