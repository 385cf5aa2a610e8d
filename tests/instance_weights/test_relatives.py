"""TERM, EG and SmallLoss against their formulas, their limits, and each other."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from tests.cases import cases
from tests.instance_weights import weight_formulas as formulas
from torch import Tensor

from longtail.facts.schedules import linear, switch
from longtail.facts.types import InstanceWeights
from longtail.instance_weights import ABSGD, EG, TERM, InstanceWeighting, Mean, SmallLoss

CLASSES = [2, 0, 0, 2, 0, 7, 2, 0, 7, 4]


def some(size: int = 10, seed: int = 0) -> Tensor:
    return 3 * torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("t", [2.0, -2.0, 0.3])
def test_term_tilts_the_batch(t: float) -> None:
    losses, kept = some(), torch.arange(10) % 4 > 0
    assert TERM(t).weigh(losses).tolist() == pytest.approx(formulas.tilted(losses.tolist(), t), rel=1e-12)
    masked = TERM(t).weigh(losses, kept=kept)
    assert masked[kept].tolist() == pytest.approx(formulas.tilted(losses[kept].tolist(), t), rel=1e-12)
    assert masked[~kept].tolist() == [0, 0, 0]


@pytest.mark.parametrize("t", [2.0, -2.0])
def test_term_descends_the_tilted_risk(t: float) -> None:
    losses = some().requires_grad_()
    (got,) = torch.autograd.grad(TERM(t)(losses), losses)
    (wanted,) = torch.autograd.grad((t * losses).exp().mean().log() / t, losses)
    torch.testing.assert_close(got, wanted, rtol=1e-13, atol=0)


def numeric_gradient(losses: list[float], t: float, within: float) -> list[float]:
    """Of the objective as written, by central differences."""
    gradient, step = [], 1e-5
    for i in range(len(losses)):
        high, low = ([loss + d * (i == j) for j, loss in enumerate(losses)] for d in (step, -step))
        risks = [formulas.class_tilted_risk(moved, CLASSES, t, within) for moved in (high, low)]
        gradient.append((risks[0] - risks[1]) / (2 * step))
    return gradient


@pytest.mark.parametrize(("t", "within"), [(3.0, 0.0), (-1.5, 0.0), (10.0, -2.0), (2.0, 1.0), (1.5, 1.5)])
def test_term_by_class_descends_the_hierarchical_risk(t: float, within: float) -> None:
    losses = some()
    p = TERM(t, by_class=True, within=within).weigh(losses, targets=torch.tensor(CLASSES))
    assert (p / 10).tolist() == pytest.approx(numeric_gradient(losses.tolist(), t, within), rel=1e-8, abs=1e-10)


def test_term_by_class_with_one_tilt_at_both_levels_is_the_tilt_of_the_batch() -> None:
    both = TERM(1.5, True, within=1.5).weigh(some(), targets=torch.tensor(CLASSES))
    torch.testing.assert_close(both, TERM(1.5).weigh(some()), rtol=1e-13, atol=0)


@pytest.mark.parametrize("within", [0.0, -2.0, 2.0])
def test_term_by_class_leaves_out_what_is_not_kept(within: float) -> None:
    losses, targets, kept = some(), torch.tensor(CLASSES), torch.arange(10) % 4 > 0
    weights = TERM(3.0, True, within=within)
    ignored = torch.where(kept, targets, -100)
    wild = torch.where(kept, losses, torch.nan)
    alone = weights.weigh(losses[kept], targets=targets[kept])
    torch.testing.assert_close(weights.weigh(wild, targets=ignored, kept=kept)[kept], alone, rtol=1e-13, atol=0)
    torch.testing.assert_close(weights.weigh(wild, targets=targets, kept=kept)[kept], alone, rtol=1e-13, atol=0)


def test_no_tilt_is_the_mean_and_a_strong_one_the_worst_class() -> None:
    losses, targets = some(), torch.tensor(CLASSES)
    torch.testing.assert_close(TERM(0.0)(losses), losses.mean(), rtol=1e-15, atol=0)
    torch.testing.assert_close(TERM(0.0, True)(losses, targets=targets), losses.mean(), rtol=1e-15, atol=0)
    worst = max(losses[targets == c].mean().item() for c in set(CLASSES))
    assert TERM(1e4, True)(losses, targets=targets).item() == pytest.approx(worst, rel=1e-10)


def test_term_reads_its_schedule() -> None:
    weights = TERM(linear(0, -2))
    for progress in (0.25, torch.tensor(0.25)):
        assert torch.equal(weights.weigh(some(), progress=progress), TERM(-0.5).weigh(some()))
    with pytest.raises(TypeError, match=r"t is the schedule linear\(0, -2\) and needs progress"):
        weights(some())


def test_eg_of_a_batch_is_its_softmax_and_so_are_its_relatives() -> None:
    losses = some()
    p = EG(0.5).weigh(losses)
    torch.testing.assert_close(p, 10 * torch.softmax(-losses / 0.5, 0), rtol=1e-13, atol=0)
    for other in (TERM(-2.0), ABSGD(-0.5, 1.0), EG(0.5, persistent=True, size=10, memory=0)):
        torch.testing.assert_close(other.weigh(losses, index=torch.arange(10)), p, rtol=1e-13, atol=0)


@pytest.mark.parametrize("memory", [1.0, 0.5])
def test_eg_remembers_its_rows(memory: float) -> None:
    weights, v = EG(2.0, persistent=True, size=12, memory=memory), [1.0] * 12
    generator = torch.Generator().manual_seed(3)
    for seed in range(20):
        losses, index = some(5, seed), torch.randperm(12, generator=generator)[:5]
        wanted = formulas.exponentiated(v, index.tolist(), losses.tolist(), 2.0, memory)
        assert weights.weigh(losses, index=index).tolist() == pytest.approx(wanted, rel=1e-12)
    assert weights.log_v.exp().tolist() == pytest.approx(v, rel=1e-12)


def test_eg_counts_a_row_that_is_drawn_twice_twice_and_one_that_is_not_kept_never() -> None:
    weights = EG(1.0, persistent=True, size=4)
    losses = torch.tensor([1.0, 2.0, 4.0, torch.nan])
    weights(losses, index=torch.tensor([1, 1, 3, 0]), kept=torch.tensor([True, True, False, True]))
    assert weights.log_v.tolist() == [0, -3, 0, 0]


@pytest.mark.parametrize("kept", [(True, False), (False, True), (True, True)])
def test_eg_forgets_a_row_that_is_drawn_twice_once(kept: tuple[bool, bool]) -> None:
    eg = EG(1.0, True, size=3, memory=0.5)
    assert eg.log_v is not None
    eg.log_v[1] = -4.0
    eg.weigh(torch.ones(2), index=torch.tensor([1, 1]), kept=torch.tensor(kept))
    assert eg.log_v.tolist() == [0.0, -2.0 - sum(kept), 0.0]


def test_small_loss_in_half_precision_stays_in_range() -> None:
    loss = SmallLoss(0.8)(torch.full((10,), 6e4, dtype=torch.float16))
    assert loss == 6e4
    assert loss.dtype == torch.float32


def test_eg_saves_its_memory_and_holds_it() -> None:
    weights, index = EG(1.0, persistent=True, size=6), torch.tensor([0, 3, 5])
    weights(some(3), index=index)
    resumed = EG(1.0, persistent=True, size=6)
    resumed.load_state_dict(deepcopy(weights.state_dict()))
    resumed.half().holding = True
    held = resumed.weigh(some(3, 1), index=index)
    assert torch.equal(resumed.log_v, weights.log_v)
    assert torch.equal(held, weights.weigh(some(3, 1), index=index))
    assert not torch.equal(resumed.log_v, weights.log_v)


def test_eg_stays_finite_after_many_visits() -> None:
    weights = EG(0.1, persistent=True, size=2)
    for _ in range(1000):
        loss = weights(torch.tensor([1e4, 1.0]), index=torch.arange(2))
    assert loss.item() == 1.0


@pytest.mark.parametrize(("keep", "count"), [(0.29, 29), (0.7, 70), (1.0, 100), (0.001, 1), (0.999, 99)])
def test_small_loss_is_the_mean_of_the_smallest(keep: float, count: int) -> None:
    losses = some(100)
    weights = SmallLoss(keep)
    assert weights(losses).item() == pytest.approx(math.fsum(sorted(losses.tolist())[:count]) / count, rel=1e-13)
    assert weights.last.count_nonzero() == count


def test_small_loss_counts_only_what_is_kept_and_takes_the_first_of_equals() -> None:
    kept = torch.tensor([True, False, True, True, True, False])
    losses = torch.tensor([2.0, 0.0, 1.0, 1.0, 1.0, torch.inf])
    assert SmallLoss(0.5).weigh(losses, kept=kept).tolist() == [0, 0, 2, 2, 0, 0]
    assert SmallLoss(0.5)(losses, kept=kept).item() == 1.0


@pytest.mark.parametrize("progress", [0.5, torch.tensor(0.5)])
def test_small_loss_may_fall_with_progress(progress) -> None:
    assert SmallLoss(linear(1.0, 0.6)).weigh(some(), progress=progress).count_nonzero() == 8


def test_small_loss_by_class_keeps_some_of_every_class() -> None:
    losses, targets = torch.tensor([1.0, 2.0, 3.0, 4.0, 50.0, 60.0, 70.0]), torch.tensor([0, 0, 0, 0, 1, 1, 2])
    weights = SmallLoss(0.5, by_class=True)
    assert weights.weigh(losses, targets=targets).tolist() == [7 / 4, 7 / 4, 0, 0, 7 / 4, 0, 7 / 4]
    assert weights(losses, targets=targets).item() == pytest.approx((1 + 2 + 50 + 70) / 4)
    assert SmallLoss(0.5).weigh(losses)[4:].tolist() == [0, 0, 0]
    kept = torch.tensor([False, True, True, True, False, True, False])
    found = weights.weigh(losses, targets=torch.where(kept, targets, -100), kept=kept)
    assert found.tolist() == pytest.approx([0, 4 / 3, 4 / 3, 0, 0, 4 / 3, 0])


def test_keeping_all_is_the_mean_bit_for_bit() -> None:
    losses, kept = some(37).float(), torch.arange(37) % 3 > 0
    for mask in (None, kept):
        assert torch.equal(SmallLoss(1.0)(losses, kept=mask), Mean()(losses, kept=mask))


RELATIVES = {
    "absgd": lambda: ABSGD(-0.5),
    "term": lambda: TERM(-2.0),
    "term by class": lambda: TERM(switch(0.5, 0.1, 3.0), True, within=-1.0),
    "eg": lambda: EG(0.5),
    "eg persistent": lambda: EG(0.5, True, size=20, memory=0.9),
    "small loss": lambda: SmallLoss(0.6),
}


@pytest.mark.parametrize("build", RELATIVES.values(), ids=RELATIVES)
def test_every_relative_keeps_the_protocol(build) -> None:
    """Weights without a graph; indifferent to the order of the batch; nothing kept is 0; half precision."""
    weights: InstanceWeighting = build()
    assert isinstance(weights, InstanceWeights)
    facts = {"targets": torch.tensor(CLASSES), "index": torch.arange(10), "progress": 0.7}
    losses = some().requires_grad_()
    build()(losses, **facts).backward()
    p = build().weigh(losses, **facts)
    assert not p.requires_grad
    torch.testing.assert_close(losses.grad, p / 10)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    moved = {**facts, "targets": facts["targets"][order], "index": facts["index"][order]}
    torch.testing.assert_close(build().weigh(losses[order], **moved), p[order])
    assert weights(losses, kept=torch.zeros(10, dtype=torch.bool), **facts).item() == 0
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        assert build()((1e4 * some()).to(dtype), **facts).isfinite()


@pytest.mark.slow
@pytest.mark.parametrize("build", RELATIVES.values(), ids=RELATIVES)
def test_every_relative_compiles_whole(build) -> None:
    facts = {"targets": torch.tensor(CLASSES), "index": torch.arange(10), "progress": 0.7}
    torch._dynamo.reset()
    compiled = torch.compile(build(), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(some(), **facts), build()(some(), **facts))


@cases(
    ("build", "error", "message"),
    [
        (lambda: TERM(math.inf), ValueError, "t must be finite, got inf"),
        (lambda: TERM(1.0, within=2.0), ValueError, "within must be 0 where by_class is False, got 2.0; pass by_class"),
        (lambda: TERM(1.0, True)(some()), TypeError, "TERM by class reads targets, got None"),
        (
            lambda: TERM(1.0, True)(some(), targets=torch.rand(10, 3)),
            ValueError,
            "targets must be class indices shaped",
        ),
        (lambda: EG(0), ValueError, "tau must be > 0"),
        (lambda: EG(1, persistent=True), ValueError, "size must be given where persistent, got None"),
        (lambda: EG(1, memory=2), ValueError, r"memory must be in \[0, 1\], got 2"),
        (lambda: EG(1, True, size=3)(some(2)), TypeError, "EG with memory reads index, got None"),
        (lambda: EG(1, True, size=3)(some(2), index=torch.tensor([0, 3])), ValueError, r"in \[0, 3\), got 3; size is"),
        (lambda: EG(1, True, size=3)(some(4).view(2, 2), index=torch.arange(2)), ValueError, "dense losses have no"),
        (lambda: SmallLoss(0), ValueError, r"keep must be in \(0, 1\], got 0"),
        (lambda: SmallLoss(1.2), ValueError, r"keep must be in \(0, 1\], got 1.2"),
        (lambda: SmallLoss(0.5, by_class=True)(some()), ValueError, "targets must be class indices, .* got none; pass"),
        (
            lambda: SmallLoss(0.5, by_class=True)(some(), targets=torch.rand(10)),
            ValueError,
            "targets must be class indices, one per loss, where by_class, got torch.float32",
        ),
    ],
)
def test_bad_input_is_refused(build, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()
