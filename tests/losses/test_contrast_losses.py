"""The losses of two views as modules: what each promises, and that it is its formula in `longtail.functional`."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from longtail import checks, functional, losses
from longtail.facts.schedules import cycle, switch

N, D, M = 6, 5, 4
IDS = torch.tensor([0, 1, 2, 0, 3, 4])


def rows(size: int = N, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(size, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


@dataclass(frozen=True)
class Case:
    """A loss, its function, its knobs, and what it reads besides the two matrices."""

    loss: type[losses.PairLoss]
    function: Callable[..., Tensor]
    shown: str
    knobs: dict[str, Any] = field(default_factory=dict)
    third: tuple[Tensor, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)

    def build(self, **arguments: Any) -> losses.PairLoss:
        return self.loss(**{**self.knobs, **arguments})

    def call(self, loss: Callable[..., Tensor], dtype: torch.dtype = torch.float64, **named: Any) -> Tensor:
        return loss(rows(dtype=dtype), rows(seed=1, dtype=dtype), *self.third, **self.named, **named)


OTHERS = (rows(M, 2), rows(M, 3), torch.tensor([7, 0, 9, 1]))
QUEUE = {"queue": rows(M, 4), "queue_index": torch.tensor([0, -1, 3, 9])}
CASES = {
    "NTXentLoss": Case(losses.NTXentLoss, functional.nt_xent, "t=0.2"),
    "NTXentLoss, gathered": Case(
        losses.NTXentLoss, functional.nt_xent, "t=0.1", {"t": 0.1}, named={"index": IDS, "gathered": OTHERS}
    ),
    "FocalNTXentLoss": Case(
        losses.FocalNTXentLoss,
        functional.focal_nt_xent,
        "t=0.2, gamma=1.5",
        {"gamma": 1.5},
        named={"index": IDS, "gathered": OTHERS},
    ),
    "InfoNCELoss": Case(losses.InfoNCELoss, functional.info_nce, "t=0.2", named={"index": IDS, "gathered": OTHERS[1:]}),
    "InfoNCELoss, queue": Case(
        losses.InfoNCELoss, functional.info_nce, "t=0.07", {"t": 0.07}, named={"index": IDS, **QUEUE}
    ),
    "SupConLoss": Case(
        losses.SupConLoss,
        functional.supervised_contrast,
        "t=0.1, base_t=0.07",
        {"base_t": 0.07},
        (IDS,),
        {"gathered": OTHERS},
    ),
    "NegativeCosineLoss": Case(losses.NegativeCosineLoss, functional.negative_cosine, ""),
}
HOT = {name: case for name, case in CASES.items() if "t=" in case.shown}


def test_every_loss_of_two_views_has_a_case() -> None:
    every = (getattr(losses, name) for name in losses.__all__)
    concrete = {loss for loss in every if issubclass(loss, losses.PairLoss) and not inspect.isabstract(loss)}
    assert {case.loss for case in CASES.values()} == concrete


@pytest.mark.parametrize("name", CASES)
class TestContract:
    def test_is_its_function_reduced(self, name: str) -> None:
        case = CASES[name]
        loss = case.build()
        knobs = {knob: getattr(loss, knob) for knob in ("t", "gamma", "base_t") if hasattr(loss, knob)}
        each = case.call(case.function, **knobs)
        assert each.shape == (N,)
        assert case.call(loss.per_example).equal(each)
        assert case.call(case.build(reduction="none")).equal(each)
        assert case.call(loss).equal(each.mean())
        assert case.call(case.build(reduction="sum"), progress=0.5).equal(each.sum())

    def test_copies_say_and_compute_the_same(self, name: str) -> None:
        case = CASES[name]
        loss = case.build(reduction="sum")
        for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
            assert repr(twin) == repr(loss)
            assert case.call(twin).equal(case.call(loss))
        assert not loss.state_dict()
        loss.load_state_dict({})
        assert repr(case.build()) == f"{case.loss.__name__}({case.shown})"
        assert repr(loss).endswith("reduction='sum')")
        assert case.call(loss.half().double()).equal(case.call(case.build(reduction="sum")))

    def test_computes_in_float32_or_wider(self, name: str) -> None:
        case = CASES[name]
        assert case.call(case.build()).dtype == torch.float64
        for narrow in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found = case.call(case.build(), narrow)
            wide = case.build()(*(rows(seed=i, dtype=narrow).float() for i in (0, 1)), *case.third, **case.named)
            assert found.dtype == torch.float32
            assert found.equal(wide)

    def test_knows_its_shape_without_values(self, name: str) -> None:
        case = CASES[name]
        there = {key: torch.utils._pytree.tree_map(lambda x: x.to("meta"), value) for key, value in case.named.items()}
        third = [tensor.to("meta") for tensor in case.third]
        found = case.build().per_example(rows().to("meta"), rows().to("meta"), *third, **there)
        assert (found.shape, found.device.type) == ((N,), "meta")

    def test_has_the_gradient_of_its_value(self, name: str) -> None:
        case, loss = CASES[name], CASES[name].build()
        views = rows().requires_grad_(), rows(seed=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda a, b: loss(a, b, *case.third, **case.named), views)

    def test_refuses_what_is_no_projection(self, name: str) -> None:
        case, loss = CASES[name], CASES[name].build()
        with pytest.raises(ValueError, match=r"must have the same shape \(N, D\), got \(6, 5\) and \(4, 5\); pass"):
            loss(rows(), rows(4), *case.third)
        with pytest.raises(TypeError, match=r"must be a floating-point tensor \(N, D\), got list; pass the projector"):
            loss([[1.0]], rows(), *case.third)
        with pytest.raises(TypeError, match=r"must be a floating-point tensor \(N, D\), got torch.int64"):
            loss(rows().long(), rows(), *case.third)
        with pytest.raises(ValueError, match=r"progress must be in \[0, 1\], got 3"):
            case.call(loss, progress=3)
        broken = rows()
        broken[2, 1] = torch.nan
        with checks.strict(), pytest.raises(ValueError, match="finite"):
            loss(broken, rows(), *case.third)

    @pytest.mark.slow
    def test_compiles_as_one_graph(self, name: str) -> None:
        case, loss = CASES[name], CASES[name].build()
        views = rows(dtype=torch.float32).requires_grad_(), rows(seed=1, dtype=torch.float32)

        def call(a: Tensor, b: Tensor) -> Tensor:
            return loss(a, b, *case.third, **case.named)

        torch._dynamo.reset()
        ours, theirs = call(*views), torch.compile(call, fullgraph=True, backend="aot_eager")(*views)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(*(torch.autograd.grad(v, views[0])[0] for v in (ours, theirs)))


@pytest.mark.parametrize("name", HOT)
def test_a_scheduled_temperature_moves_and_is_never_forgotten(name: str) -> None:
    case = HOT[name]
    loss = case.build(t=cycle(0.1, 1.0, 1))
    assert case.call(loss, progress=0.5).equal(case.call(case.build(t=0.1)))
    torch.testing.assert_close(case.call(loss, progress=torch.tensor(0.25)), case.call(case.build(t=0.55)))
    with pytest.raises(TypeError, match=r"^t is the schedule cycle\(0.1, 1.0, 1\) and needs progress; pass progress="):
        case.call(loss)


@pytest.mark.parametrize("name", HOT)
@pytest.mark.parametrize("value", [0, -0.1, float("inf"), switch(0.5, 0.2, 0.0)])
def test_a_temperature_of_zero_is_refused_in_the_constructor(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^t must be > 0"):
        HOT[name].build(t=value)


def test_other_knobs_are_checked_too() -> None:
    with pytest.raises(ValueError, match=r"^gamma must be >= 0"):
        losses.FocalNTXentLoss(gamma=-1)
    with pytest.raises(ValueError, match=r"^base_t must be > 0"):
        losses.SupConLoss(base_t=0)
    with pytest.raises(ValueError, match=r'^reduction must be "mean"'):
        losses.NTXentLoss(reduction="avg")
    with pytest.raises(TypeError, match=r"^gamma is the schedule"):
        CASES["FocalNTXentLoss"].call(losses.FocalNTXentLoss(gamma=switch(0.5, 0.0, 2.0)))


A, B, KEYS = rows(), rows(seed=1), rows(M)
REFUSED: dict[str, tuple[Callable[[], Tensor], str]] = {
    "t": (lambda: functional.nt_xent(A, B, 0.0), "t must be > 0 and finite, got 0.0; "),
    "t of many": (lambda: functional.info_nce(A, B, torch.ones(2)), "t must be a float or a 0-dim tensor, got shape"),
    "base_t": (lambda: functional.supervised_contrast(A, B, IDS, base_t=0), "base_t must be > 0 and finite, got 0"),
    "gamma": (lambda: functional.focal_nt_xent(A, B, gamma=-1), "gamma must be >= 0, got -1; 0 is nt_xent"),
    "one view": (lambda: functional.nt_xent(A[0], B[0]), "first and second must have the same shape"),
    "index": (lambda: functional.nt_xent(A, B, index=IDS[:3]), "index must be integers (6,), one for each projection"),
    "float index": (lambda: functional.info_nce(A, B, index=A[:, 0]), "index must be integers (6,), one for each"),
    "targets": (lambda: functional.supervised_contrast(A, B, IDS[None]), "targets must be integers (6,), one for each"),
    "gathered": (
        lambda: functional.nt_xent(A, B, gathered=OTHERS),
        "gathered needs index, got None; pass the",
    ),
    "keys": (lambda: functional.info_nce(A, B, gathered=OTHERS[1:]), "gathered needs index, got None; pass the"),
    "pairs": (
        lambda: functional.nt_xent(A, B, index=IDS, gathered=(A, *OTHERS[1:])),
        "gathered[0] and gathered[1]",
    ),
    "ids": (
        lambda: functional.nt_xent(A, B, index=IDS, gathered=(*OTHERS[:2], IDS)),
        "gathered[2], index, must be",
    ),
    "width": (lambda: functional.info_nce(A, B, queue=KEYS[:, :3]), "queue must have shape (M, 5), as wide as the pro"),
    "places": (lambda: functional.info_nce(A, B, queue=KEYS, queue_index=IDS), "queue_index must be integers (4,)"),
    "no queue": (lambda: functional.info_nce(A, B, queue_index=IDS), "queue_index needs queue, got None; pass"),
    "no places": (lambda: functional.info_nce(A, B, index=IDS, queue=KEYS), "index needs queue_index with a queue"),
    "both": (
        lambda: functional.info_nce(A, B, index=IDS, queue=KEYS, gathered=OTHERS[1:]),
        "gathered must be None",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_calls_are_refused_in_one_line(what: str) -> None:
    call, start = REFUSED[what]
    with pytest.raises(ValueError, match=r"; ") as error:
        call()
    text = str(error.value)
    assert text.startswith(start)
    assert "\n" not in text
