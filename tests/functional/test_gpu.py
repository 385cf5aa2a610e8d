"""A loss computed by kernels is its formula: in value, gradient and second derivative, whatever size and layout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.cases import cases
from tests.kernels import DEVICE, QUIET, by_formula, by_kernel, kernels, launches
from torch import Tensor
from torch.autograd import forward_ad

from longtail import functional
from longtail.functional import gpu, launch
from longtail.functional.adjusted import Adjustment, adjusted_cross_entropy

pytestmark = [QUIET, pytest.mark.slow]  # the interpreter of kernels is NumPy
__all__ = ["kernels"]
Loss = Callable[[Tensor, Tensor], Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def prior(z: Tensor) -> Tensor:
    return random(z.shape[1], seed=3).log_softmax(0).to(z.dtype if z.dtype == torch.float64 else torch.float32)


def everything(z: Tensor, y: Tensor) -> Tensor:
    constants = random(z.shape[1], seed=4).abs(), prior(z), -random(z.shape[1], seed=5).abs()
    return adjusted_cross_entropy(z, y, Adjustment(*(c.to(prior(z).dtype) for c in constants)))


def number(value: float) -> Tensor:
    return torch.tensor(value, device=DEVICE)


LOSSES: dict[str, Loss] = {
    "cross-entropy": lambda z, y: functional.cross_entropy(z, y),
    "logit-adjusted": lambda z, y: functional.logit_adjusted(z, y, prior(z), 1.3),
    "ldam": lambda z, y: functional.ldam(z, y, prior(z).abs(), 4.3),
    "ldam, scale as a tensor": lambda z, y: functional.ldam(z, y, prior(z).abs(), number(4.3)),
    "everything": everything,
    "focal 0.5": lambda z, y: functional.focal(z, y, 0.5),
    "focal 2": lambda z, y: functional.focal(z, y, number(2.0)),
    "sigmoid": lambda z, y: functional.sigmoid_cross_entropy(z, y),
    "sigmoid focal 0.7": lambda z, y: functional.sigmoid_focal(z, y, 0.7),
    "sigmoid focal 2": lambda z, y: functional.sigmoid_focal(z, y, number(2.0)),
}
all_losses = cases("name", LOSSES)
WHOLE = launch.TILE, launch.ALONE
KINDS = ["everything", "focal 0.5", "sigmoid", "sigmoid focal 0.7"]


def batch(n: int = 8, classes: int = 7, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    z = spread * random(n, classes)
    y = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(1)).to(DEVICE)
    y[: n // 4] = -100
    return z, y


def outcome(loss: Loss, z: Tensor, y: Tensor) -> list[Tensor]:
    """Value and gradient of a weighted sum over rows."""
    z = z.detach().requires_grad_()
    value = loss(z, y)
    weight = torch.linspace(-1, 2, len(y), dtype=value.dtype, device=DEVICE)
    return [value.detach(), torch.autograd.grad((weight * value).sum(), z)[0]]


def expected(loss: Loss, z: Tensor, y: Tensor) -> list[Tensor]:
    with by_formula():
        return outcome(loss, z.double(), y)


def agree(loss: Loss, z: Tensor, y: Tensor, rtol: float, atol: float) -> None:
    assert by_kernel(loss(z.detach().requires_grad_(), y))
    for one, other in zip(outcome(loss, z, y), expected(loss, z, y), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=rtol, atol=atol)


def cut(monkeypatch: pytest.MonkeyPatch, tile: int, alone: int) -> None:
    """Make tiles of so many logits, and more than one program for more than `alone` of them."""
    monkeypatch.setattr(launch, "TILE", tile)
    monkeypatch.setattr(launch, "ALONE", alone)
    launch.tiles.cache_clear()


@all_losses
def test_kernels_are_the_formula(name: str) -> None:
    z, y = batch()
    agree(LOSSES[name], z, y, 1e-12, 1e-13)
    agree(LOSSES[name], z.float(), y, 2e-5, 2e-6)


@cases("dtype, rtol", [(torch.bfloat16, 1e-2), (torch.float16, 2e-3)])
@cases("name", KINDS)
def test_narrow_logits_are_widened_and_their_gradient_is_narrow(name: str, dtype: torch.dtype, rtol: float) -> None:
    z, y = batch()
    z = z.to(dtype)
    value, gradient = outcome(LOSSES[name], z, y)
    want, slope = expected(LOSSES[name], z, y)
    assert (value.dtype, gradient.dtype) == (torch.float32, dtype)
    torch.testing.assert_close(value.double(), want, rtol=2e-5, atol=2e-6)
    torch.testing.assert_close(gradient.double(), slope, rtol=rtol, atol=rtol)


@cases("n, classes", [(1, 1), (3, 1), (1, 2), (128, 10), (20, 100), (5, 1000), (2, 8142)])
@cases("name", KINDS)
def test_sizes_do_not_matter(name: str, n: int, classes: int) -> None:
    agree(LOSSES[name], batch(n, classes)[0].float(), batch(n, classes)[1], 1e-4, 2e-6)


@cases("name", KINDS)
def test_rows_and_classes_are_cut_into_tiles(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch, 8, 1)
    for n, classes in ((9, 3), (3, 11)):
        agree(LOSSES[name], *batch(n, classes), 1e-12, 1e-13)


@cases("dtype", [torch.float32, torch.float64])
@cases("size", [100.0, 1e4])
@cases("name", KINDS)
def test_far_logits_stay_finite_and_right(name: str, size: float, dtype: torch.dtype) -> None:
    z, y = batch()
    z = (size * z.sign() * torch.tensor([1.0, 0.5, 0.999, 0.0, 1.0, 0.1, 0.7], device=DEVICE)).to(dtype)
    agree(LOSSES[name], z, y, 1e-5 if dtype == torch.float32 else 1e-12, 1e-5)


def test_terms_of_a_sigmoid_keep_their_digits() -> None:
    z, y = torch.full((4, 7), -30.0, device=DEVICE), torch.zeros(4, dtype=torch.long, device=DEVICE)
    z[:, 0] = 30.0
    for name in ("sigmoid", "sigmoid focal 0.7"):
        agree(LOSSES[name], z, y, 1e-5, 0)


@cases("name", KINDS)
def test_layouts_do_not_matter(name: str) -> None:
    z, y = batch()
    want = outcome(LOSSES[name], z, y)
    wide = torch.zeros(16, 14, dtype=z.dtype, device=DEVICE)
    wide[::2, ::2] = z
    for logits, targets in ((z.t().contiguous().t(), y), (wide[::2, ::2], y.int()), (z, y.repeat_interleave(2)[::2])):
        assert by_kernel(LOSSES[name](logits.detach().requires_grad_(), targets))
        for one, other in zip(outcome(LOSSES[name], logits, targets), want, strict=True):
            assert torch.equal(one, other)
    of_one = z.detach()[:1].requires_grad_()  # rows that are one row, and a gradient that is one number
    LOSSES[name](of_one.expand(8, -1), y).sum().backward()
    with by_formula():
        same = torch.autograd.grad(LOSSES[name](of_one.expand(8, -1), y).sum(), of_one)[0]
    torch.testing.assert_close(of_one.grad, same, rtol=1e-12, atol=1e-13)


def test_a_class_outside_the_denominator_gets_no_gradient() -> None:
    z, y = batch()
    outside = prior(z).index_fill(0, torch.tensor([0, 2], device=DEVICE), -torch.inf)
    y = torch.where((y == 2) | (y == 0), -100, y)
    agree(lambda z, y: functional.logit_adjusted(z, y, outside.to(z.dtype)), z, y, 1e-12, 1e-13)
    z.requires_grad_()
    functional.logit_adjusted(z, y, outside).sum().backward()
    assert (z.grad[:, [0, 2]] == 0).all()
    assert torch.isposinf(functional.logit_adjusted(z, torch.full((8,), 2, device=DEVICE), outside)).all()


@cases("name", KINDS)
def test_an_index_that_is_no_class_is_not_a_number(name: str) -> None:
    z, y = batch()
    for wrong in (7, -1):
        y[3] = wrong
        value, gradient = outcome(LOSSES[name], z, y)
        assert value.isnan().tolist() == gradient.isnan().any(1).tolist() == [i == 3 for i in range(8)]


@cases("name", KINDS)
def test_derivatives_are_those_of_differences(name: str) -> None:
    z, y = batch(4, 3)
    z.requires_grad_()
    torch.autograd.gradcheck(lambda z: LOSSES[name](z, y), z, fast_mode=True)
    torch.autograd.gradgradcheck(lambda z: LOSSES[name](z, y), z, fast_mode=True)


@cases("name", ["everything", "sigmoid focal 0.7"])
def test_the_sum_and_the_means_of_weighted_losses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    z, y = batch()
    y[3] = 2  # a class of weight 0
    weight = torch.tensor([1.0, 3.0, 0.0, 2.5, 1.0, 0.5, 2.0], dtype=z.dtype, device=DEVICE)
    seen: list[tuple[object, ...]] = []
    apply = gpu._Kernels.apply
    monkeypatch.setattr(gpu._Kernels, "apply", lambda *a: seen.append(a) or apply(*a))
    each = LOSSES[name](z, y)
    loss = seen[0][2]
    kept, omega = (y != -100).to(z.dtype), torch.where(y == -100, 0.0, weight[y.clamp(min=0)])
    for w, own, tiles, needed in ((None, kept, WHOLE, ["forward"]), (weight, omega, (16, 1), ["forward", "finish"])):
        cut(monkeypatch, *tiles)
        for by, divisor in ((launch.SUM, 1.0), (launch.BY_WEIGHTS, own.sum()), (launch.BY_ROWS, kept.sum())):
            x = z.detach().requires_grad_()
            with launches() as started:
                value, none = gpu.evaluate(loss, x, y, w, by)
            assert started == needed
            assert none is None
            first = torch.autograd.grad(3 * value, x, retain_graph=True)[0]
            again = torch.autograd.grad(3 * value, x, create_graph=True)[0]
            with by_formula():
                slope = torch.autograd.grad(3 * (LOSSES[name](x, y) * own).sum() / divisor, x)[0]
            torch.testing.assert_close(value, (each * own).sum() / divisor, rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(first, slope, rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(again.detach(), slope, rtol=1e-12, atol=1e-13)
    nothing = torch.full_like(y, -100)
    for by in (launch.SUM, launch.BY_WEIGHTS, launch.BY_ROWS):
        x = z.detach().requires_grad_()
        value, losses = gpu.evaluate(loss, x, nothing, weight, by, with_losses=True)
        value.backward()
        assert value == 0
        assert (losses == 0).all()
        assert (x.grad == 0).all()


@cases("name", KINDS)
def test_two_numbers_a_row_are_kept_and_one_kernel_runs_each_way(name: str) -> None:
    z, y = batch(128, 10)
    z = z.float().requires_grad_()
    LOSSES[name](z, y)  # the first one tries whether kernels start
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t), launches() as forward:
        value = LOSSES[name](z, y)
    with launches() as backward:
        value.sum().backward()
    assert (forward, backward) == (["forward"], ["backward"])
    assert {t.data_ptr() for t in kept if t.numel() > 1 + 2 * len(y)} <= {z.data_ptr()}


@all_losses
def test_empty_batches_run_by_the_formula(name: str) -> None:
    z, y = batch()
    none = z[:0].clone().requires_grad_()
    LOSSES[name](none, y[:0]).sum().backward()
    assert none.grad.shape == (0, 7)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, on the first jvp
@cases("name", KINDS)
def test_whoever_looks_inside_gets_the_formula(name: str) -> None:
    z, y = batch()
    loss, along = LOSSES[name], random(8, 7, seed=9)
    value, slope = outcome(loss, z, y)
    with launches() as started:
        by_function = torch.func.grad(lambda z: (torch.linspace(-1, 2, 8, device=DEVICE) * loss(z, y)).sum())(z)
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(loss(forward_ad.make_dual(z, along), y)).tangent
        soft = loss(z, torch.full_like(z, 1 / 7))
    assert not started
    torch.testing.assert_close(by_function, slope, rtol=1e-5, atol=1e-6)
    rows = torch.autograd.functional.jacobian(lambda z: loss(z, y).sum(), z)
    torch.testing.assert_close(tangent, (rows * along).sum(1), rtol=1e-10, atol=1e-10)
    assert soft.shape == value.shape


def test_constants_of_any_layout_that_are_one_per_class() -> None:
    z, y = batch()
    margins = torch.tensor([0.3], dtype=z.dtype, device=DEVICE)
    agree(lambda z, y: functional.ldam(z, y, margins.expand(7).to(z.dtype), 4.3), z, y, 1e-12, 1e-13)
    wide = random(14, seed=6)
    agree(lambda z, y: functional.logit_adjusted(z, y, wide[::2].to(z.dtype)), z, y, 1e-12, 1e-13)
    with launches() as started:  # torch's rules of broadcasting, and its refusals
        functional.logit_adjusted(z, y, wide[:1])
        with pytest.raises(RuntimeError, match="must match the size"):
            functional.logit_adjusted(z, y, wide)
    assert not started


def test_constants_that_learn_get_their_gradient() -> None:
    z, y = batch()
    offset, scale = prior(z).requires_grad_(), torch.tensor(2.0, dtype=z.dtype, device=DEVICE, requires_grad=True)
    with launches() as started:
        adjusted_cross_entropy(z, y, Adjustment(scale, offset)).sum().backward()
    assert not started
    assert offset.grad.abs().sum() > 0
    assert scale.grad != 0


def test_where_triton_fails_the_formula_runs_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(launch, "forward", failing)
    z, y = batch()
    for _ in range(2):
        assert not by_kernel(LOSSES["ldam"](z.requires_grad_(), y))
    assert [r.message for r in caplog.records] == [
        "losses on a GPU run by their formulas, since Triton fails: no C compiler"
    ]


def test_autocast_changes_nothing() -> None:
    z, y = batch()
    plain = outcome(LOSSES["ldam"], z.float(), y)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        for one, other in zip(outcome(LOSSES["ldam"], z.float(), y), plain, strict=True):
            assert torch.equal(one, other)
