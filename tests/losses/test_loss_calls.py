"""What a loss asks of a device: few operations, none that waits, constants computed once, the mean by one kernel."""

from __future__ import annotations

import pytest
import torch
from benchmarks.loss_calls import SHAPE, counted, variants
from benchmarks.losses import kept
from tests.cases import cases
from tests.losses.loss_cases import CASES, COUNTS, NAMES, C, batch

from longtail import losses
from longtail.facts.schedules import switch
from longtail.losses.adjusted import Adjusted
from longtail.losses.reduction import reduce

MORE = {  # operations beyond those of F.cross_entropy, forward and backward
    "CrossEntropyLoss": (2, 0),
    "LogitAdjustedLoss": (3, 0),
    "BalancedSoftmaxLoss": (3, 0),
    "LDAMLoss": (6, 1),
    "LDAMLoss, deferred weights": (6, 1),
    "FocalLoss": (9, 10),
    "ClassBalancedLoss, softmax": (4, 1),
    "CrossEntropyLoss, with its losses": (5, 1),
    "LDAMLoss, with its losses": (9, 2),
}
ALL = variants(SHAPE)
all_losses = cases("name", NAMES)
WEIGHTS = {"ones": None, "positive": [1.0, 2.0, 0.5, 3.0, 4.0], "with zeros": [1.0, 0.0, 0.0, 3.0, 0.0]}


@cases("name", MORE)
def test_a_loss_issues_few_operations(name: str) -> None:
    base, row = counted(*ALL["F.cross_entropy"]), counted(*ALL[name])
    for part, most in zip(("forward", "backward"), MORE[name], strict=True):
        assert row[part] - base[part] <= most, row["calls"]


@cases("name", ALL)
def test_nothing_waits_for_the_device(name: str) -> None:
    assert counted(*ALL[name])["waits"] == 0


@cases("name", MORE)
def test_one_large_tensor_is_saved_as_by_torch(name: str) -> None:
    loss, logits = ALL[name]
    assert kept(lambda z, _: loss(z), logits, torch.empty(0))["kept_as_large_as_logits"] == 1


@cases("name", [name for name in NAMES if issubclass(CASES[name].loss, Adjusted)])
@cases("weights", WEIGHTS)
@cases("normalize", ["weights", "batch", 3.0])
@cases("reduction", ["mean", "sum"])
@cases("rows", ["all", "some ignored", "all ignored", "of weight 0", "none"])
def test_a_reduced_loss_is_its_losses_reduced(name: str, weights: str, normalize: object, reduction: str, rows: str):
    own = {} if CASES[name].loss is losses.ClassBalancedLoss else {"class_weight": WEIGHTS[weights]}
    loss = CASES[name].build(normalize=normalize, reduction=reduction, **own)
    z, y = batch()
    if rows == "some ignored":
        y = torch.where(torch.arange(len(y)) % 3 == 0, -100, y)
    elif rows == "of weight 0":
        y = torch.full_like(y, 2)
    elif rows != "all":
        z, y = (z, torch.full_like(y, -100)) if rows == "all ignored" else (z[:0], y[:0])
    ours, theirs = z.clone().requires_grad_(), z.clone().requires_grad_()
    value, expected = loss(ours, y), reduce(*loss.terms(theirs, y), reduction, normalize)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_loss_of_nan_stays_nan() -> None:
    z, y = batch()
    z[0, 0] = torch.nan
    assert losses.CrossEntropyLoss()(z, y).isnan()


class TestConstantsComputedOnce:
    def test_are_the_same_tensors_in_the_next_call(self) -> None:
        z, _ = batch(dtype=torch.float32)
        loss = losses.LDAMLoss(COUNTS, class_weight="effective")
        first, again = loss.adjustment(z, 0.5), loss.adjustment(z, 0.5)
        assert first.true_offset is again.true_offset
        assert loss.adjustment(z.double(), 0.5).true_offset.dtype == torch.float64

    @pytest.mark.parametrize("knob", ["tau", "reweight"])
    def test_follow_the_knobs(self, knob: str) -> None:
        z, y = batch()
        build = lambda value: losses.LogitAdjustedLoss(COUNTS, class_weight="inverse", **{knob: value})  # noqa: E731
        loss, moving = build(0.25), build(switch(0.5, 0.25, 0.75))
        loss(z, y)
        setattr(loss, knob, 0.75)
        assert torch.equal(loss(z, y), build(0.75)(z, y))
        for progress, value in ((0.2, 0.25), (0.7, 0.75), (0.3, 0.25)):
            assert torch.equal(moving(z, y, progress=progress), build(value)(z, y))
            torch.testing.assert_close(moving(z, y, progress=torch.tensor(progress)), build(value)(z, y))

    @all_losses
    def test_follow_the_counts(self, name: str) -> None:
        other = [3, 60, 9, 400, 11]
        z, y = batch()
        fresh, loaded, given = CASES[name].of(other).build(), CASES[name].build(), CASES[name].build()
        for loss in (loaded, given):
            loss(z, y)
        loaded.load_state_dict(fresh.state_dict())
        given.set_class_counts(other)
        for loss in (loaded, given):
            assert torch.equal(loss(z, y), fresh(z, y))

    def test_survive_inference_mode_and_transformations(self) -> None:
        z, y = batch()
        loss = losses.VSLoss(COUNTS)
        with torch.inference_mode():
            loss(z, y)
        by_function = torch.func.grad(lambda x: loss(x, y))(z)
        x = z.clone().requires_grad_()
        loss(x, y).backward()
        torch.testing.assert_close(x.grad, by_function)
        fresh = losses.VSLoss(COUNTS)
        torch.testing.assert_close(torch.func.grad(lambda x: fresh(x, y))(z), x.grad)
        torch.testing.assert_close(fresh(z, y), loss(z, y))

    def test_know_their_number_of_classes(self) -> None:
        assert losses.LDAMLoss(COUNTS)(torch.zeros(2, C), torch.zeros(2, dtype=torch.long)).isfinite()
        with pytest.raises(ValueError, match="must have 5 classes"):
            losses.LDAMLoss(COUNTS)(torch.zeros(2, C + 1), torch.zeros(2, dtype=torch.long))
