"""ABSGD's state: saved, moved, held, compiled; and what its knobs refuse."""

from __future__ import annotations

import math
import pickle
from copy import deepcopy

import pytest
import torch
from tests.cases import cases
from torch import Tensor
from torch._dynamo.utils import counters

from longtail.facts import checks
from longtail.facts.schedules import Schedule, cosine, cycle, linear, steps, switch
from longtail.facts.types import InstanceWeights
from longtail.instance_weights import ABSGD


def batches(count: int, seed: int = 0) -> list[Tensor]:
    return list(3 * torch.rand(count, 7, generator=torch.Generator().manual_seed(seed)))


def same(a: ABSGD, b: ABSGD) -> bool:
    states = a.state_dict(), b.state_dict()
    return states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(accumulate: int) -> None:
    weights = ABSGD(0.7, 0.3, accumulate=accumulate)
    assert isinstance(weights, InstanceWeights)
    for losses in batches(4):  # with three micro-batches a step, the fourth call is inside one
        weights(losses)
    resumed = ABSGD(0.7, 0.3, accumulate=accumulate)
    resumed.load_state_dict(deepcopy(weights.state_dict()))
    copies = [resumed, deepcopy(weights), pickle.loads(pickle.dumps(weights))]
    for losses in batches(5, seed=1):
        wanted = weights(losses)
        assert all(torch.equal(copy(losses), wanted) for copy in copies)
    assert all(same(copy, weights) for copy in copies)


def test_half_spoils_no_state() -> None:
    weights = ABSGD(0.7)
    weights(batches(1)[0])
    before = weights.log_s.clone()
    for changed in (weights.half(), weights.bfloat16(), weights.to("cpu", torch.float32)):
        assert changed.log_s.dtype == torch.float64
        assert torch.equal(changed.log_s, before)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_held_nothing_moves_and_the_weights_are_those_of_the_next_call(accumulate: int) -> None:
    weights = ABSGD(0.7, accumulate=accumulate)
    first, second = batches(2)
    weights(first)
    before = deepcopy(weights)
    weights.holding = True
    held = weights.weigh(second)
    assert same(weights, before)
    weights.holding = False
    assert torch.equal(weights.weigh(second), held)
    assert not same(weights, before)


def exp_mean(losses: Tensor, lam: float) -> float:
    return math.fsum(math.exp(x / lam) for x in losses.tolist()) / len(losses)


def test_it_restarts_whenever_lam_changes_and_only_then() -> None:
    weights = ABSGD(steps((0.2, 0.4, 0.6, 0.8), (2.0, 5.0, math.inf, 5.0, -5.0)), 0.5)
    a, b, c, d, e = batches(5)
    weights(a, progress=0.1)
    weights(b, progress=0.3)
    assert weights.s.item() == pytest.approx(exp_mean(b, 5), rel=1e-12)
    kept = deepcopy(weights)
    weights(c, progress=0.5)
    assert same(weights, kept)  # infinite lam in between is no change
    weights(d, progress=0.7)
    assert weights.s.item() == pytest.approx((exp_mean(b, 5) + exp_mean(d, 5)) / 2, rel=1e-12)
    weights(e, progress=0.9)
    assert weights.s.item() == pytest.approx(exp_mean(e, -5), rel=1e-12)


@pytest.mark.parametrize(
    ("init", "wanted"),
    [("first", lambda g: g), ("zero", lambda g: 0.25 * g), (3.0, lambda g: 0.75 * 3.0 + 0.25 * g)],
    ids=["first", "zero", "s_0"],
)
def test_a_restart_begins_where_the_first_start_did(init, wanted) -> None:
    weights = ABSGD(switch(0.5, 5.0, 2.0), 0.25, init=init)
    a, b = batches(2)
    assert weights.s.item() == pytest.approx(init if init == 3.0 else 0.0)
    weights(a, progress=0.0)
    assert weights.s.item() == pytest.approx(wanted(exp_mean(a, 5)), rel=1e-12)
    weights(b, progress=0.5)
    assert weights.s.item() == pytest.approx(wanted(exp_mean(b, 2)), rel=1e-12)


def test_a_restart_within_a_step_leaves_out_its_micro_batches_so_far() -> None:
    weights, untouched = (ABSGD(switch(0.5, 5.0, 2.0), accumulate=3) for _ in range(2))
    a, b, c = batches(3)
    weights(a, progress=0.4)
    for losses in (b, c):
        assert torch.equal(weights(losses, progress=0.6), untouched(losses, progress=0.6))
    assert same(weights, untouched)


@pytest.mark.parametrize("at", [2, 3, 5], ids=["before", "at the change", "after"])
def test_a_checkpoint_near_a_change_of_lam_goes_on_to_the_bit(at: int) -> None:
    lam, losses = switch(0.5, 5.0, 2.0), batches(6)
    whole = ABSGD(lam)
    for i, batch in enumerate(losses):
        if i == at:
            saved = deepcopy(whole.state_dict())
        whole(batch, progress=i / 6)
    resumed = ABSGD(lam)
    resumed.load_state_dict(saved)
    for i, batch in enumerate(losses[at:], at):
        resumed(batch, progress=i / 6)
    assert same(resumed, whole)


def test_a_float_and_a_tensor_progress_name_one_lam() -> None:
    weights, floats = (ABSGD(switch(0.5, math.inf, 0.7)) for _ in range(2))  # float32 has no 0.7
    for i, losses in enumerate(batches(4)):
        weights(losses, progress=0.6 if i % 2 else torch.tensor(0.6))
        floats(losses, progress=0.6)
    torch.testing.assert_close(weights.log_s, floats.log_s, rtol=1e-6, atol=0)


def test_a_state_of_before_s_knew_its_lam_goes_on_where_that_lam_is_known() -> None:
    for lam in (0.7, -0.7, switch(0.5, math.inf, 5.0), steps((0.2, 0.5), (5.0, math.inf, -1.0))):
        weights, resumed = ABSGD(lam), ABSGD(lam)
        for losses in batches(2):
            weights(losses, progress=0.9)
        old = dict(weights.state_dict())
        old["sign"] = old.pop("of_lam").sign()
        torch.nn.ModuleDict({"weights": resumed}).load_state_dict({f"weights.{k}": v for k, v in old.items()})
        assert same(resumed, weights)
    old["sign"] = torch.ones(1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"lam of its moving average, got none, which switch\(0.5, 2.0, 5.0\) does"):
        ABSGD(switch(0.5, 2.0, 5.0)).load_state_dict(old)
    old["sign"] *= 0  # it had not started
    ABSGD(switch(0.5, 2.0, 5.0)).load_state_dict(old)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_compiles_whole_and_a_moving_tensor_progress_compiles_once(accumulate: int) -> None:
    def build() -> ABSGD:
        return ABSGD(steps((0.2, 0.6), (math.inf, 2.0, 0.7)), linear(0.9, 0.1), accumulate=accumulate)

    torch._dynamo.reset()
    counters.clear()
    eager, weights = build(), build()
    compiled = torch.compile(weights, backend="aot_eager", fullgraph=True)
    for i, losses in enumerate(batches(8)):
        progress = torch.tensor(i / 8)
        torch.testing.assert_close(compiled(losses, progress=progress), eager(losses, progress=progress))
    torch.testing.assert_close(weights.log_s, eager.log_s)
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        lambda: ABSGD(-0.5),
        lambda: ABSGD(switch(0.5, math.inf, 2.0)),
        lambda: ABSGD(linear(5.0, 2.0), linear(0.9, 0.1)),
        lambda: ABSGD(switch(0.5, 5.0, 2.0), init=1.5),
    ],
    ids=["constant", "switch", "linear", "switch from s_0"],
)
def test_a_float_progress_compiles_a_few_times_at_most(build) -> None:
    torch._dynamo.reset()
    counters.clear()
    eager, weights = build(), build()
    compiled = torch.compile(weights, backend="aot_eager", fullgraph=True)
    for i, losses in enumerate(batches(20)):
        torch.testing.assert_close(compiled(losses, progress=i / 20), eager(losses, progress=i / 20))
    assert counters["stats"]["unique_graphs"] <= 3


def test_it_shows_itself() -> None:
    assert repr(ABSGD(5.0)) == "ABSGD(lam=5.0, gamma=0.5)"
    text = repr(ABSGD(switch(0.8, math.inf, 5.0), 0.1, init="zero", alpha=0.5))
    assert text == "ABSGD(lam=switch(0.8, inf, 5.0), gamma=0.1, init='zero', alpha=0.5)"


@cases(
    ("build", "message"),
    [
        (lambda: ABSGD(0), r"lam must not be 0, got 0; lam > 0 for class imbalance, lam < 0 for label noise"),
        (lambda: ABSGD(switch(0.5, 1, 0)), r"lam must not be 0, got switch\(0.5, 1, 0\)"),
        (lambda: ABSGD(math.nan), "lam must be a number, got nan"),
        (lambda: ABSGD(linear(5, -5)), r"lam must not pass through 0, got linear\(5, -5\); jump"),
        (lambda: ABSGD(cycle(-1, 1)), "lam must not pass through 0"),
        (lambda: ABSGD(cosine(math.inf, 5)), "lam must stay finite where it moves smoothly"),
        (lambda: ABSGD(1, 0), r"gamma must be in \(0, 1\], got 0"),
        (lambda: ABSGD(1, 1.5), r"gamma must be in \(0, 1\], got 1.5"),
        (lambda: ABSGD(1, linear(0.5, 0)), r"gamma must be in \(0, 1\], got 0"),
        (lambda: ABSGD(1, init="last"), 'init must be "first", "zero" or a number > 0, got \'last\''),
        (lambda: ABSGD(1, init=0), 'init must be .* got 0; it is s before the first batch, "zero" is 0'),
        (lambda: ABSGD(1, init=-1.0), "init must be .* got -1.0"),
        (lambda: ABSGD(1, init=math.inf), "init must be .* got inf"),
        (lambda: ABSGD(1, init=math.nan), "init must be .* got nan"),
        (lambda: ABSGD(1, init=True), "init must be .* got True"),
        (lambda: ABSGD(1, init=None), "init must be .* got None"),
        (lambda: ABSGD(1, alpha=0), "alpha must be > 0 and finite, got 0|alpha must be > 0, got 0"),
        (lambda: ABSGD(1, uniform=-1), "uniform must be >= 0"),
        (lambda: ABSGD(1, accumulate=0), "accumulate must be an integer >= 1, got 0"),
        (lambda: ABSGD(1, accumulate=2.5), "accumulate must be an integer >= 1, got 2.5"),
    ],
)
def test_knobs_out_of_range_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_calls_that_cannot_be_meant_are_refused() -> None:
    losses = batches(1)[0]
    with pytest.raises(TypeError, match="lam must be a number, got '5'; pass a plain number or a schedule"):
        ABSGD("5")
    with pytest.raises(TypeError, match=r"lam is the schedule switch\(0.8, inf, 5.0\) and needs progress"):
        ABSGD(switch(0.8, math.inf, 5.0))(losses)
    with pytest.raises(TypeError, match="gamma is the schedule"):
        ABSGD(1.0, linear(0.9, 0.1))(losses)
    with pytest.raises(ValueError, match=r"progress must be in \[0, 1\], got 3; pass epoch / epochs"):
        ABSGD(switch(0.8, math.inf, 5.0))(losses, progress=3)
    with pytest.raises(ValueError, match=r"losses must hold at least one example, got shape \(0,\)"):
        ABSGD(1.0)(losses[:0])
    with pytest.raises(ValueError, match="one floating-point number per example"):
        ABSGD(1.0)(losses.mean())


def test_strict_raises_at_once_where_a_kept_loss_is_not_finite() -> None:
    losses = torch.tensor([1.0, torch.nan, 2.0])
    with checks.strict():
        with pytest.raises(ValueError, match="losses must be finite, got NaN or infinity in row 1"):
            ABSGD(1.0)(losses)
        assert ABSGD(1.0)(losses, kept=losses.isfinite()).isfinite()
    assert ABSGD(1.0)(losses).isnan()


class Liar(Schedule):
    """Names other values than it takes."""

    def __call__(self, progress: float | Tensor) -> float | Tensor:
        return 0 * progress

    def values(self) -> tuple[float, ...]:
        return (1.0,)


def test_a_schedule_is_held_to_the_rule_when_it_is_read() -> None:
    losses = batches(1)[0]
    with pytest.raises(ValueError, match=r"lam must not be 0, got 0 from .* at progress 0.5"):
        ABSGD(Liar())(losses, progress=0.5)
    with pytest.raises(ValueError, match=r"gamma must be in \(0, 1\], got 0.0"):
        ABSGD(1.0, Liar())(losses, progress=0.5)
    with checks.strict(), pytest.raises(ValueError, match="lam must not be 0"):
        ABSGD(Liar())(losses, progress=torch.tensor(0.5))


def test_dense_losses_are_one_batch() -> None:
    losses = batches(6)
    dense, flat = ABSGD(0.7), ABSGD(0.7)
    for a, b in zip(losses[:3], losses[3:], strict=True):
        kept = torch.stack([a, b]) > 0.5
        together = dense.weigh(torch.stack([a, b]), kept=kept)
        assert torch.equal(together.flatten(), flat.weigh(torch.cat([a, b]), kept=kept.flatten()))
    assert torch.equal(dense.log_s, flat.log_s)
