"""A loss run by pieces is its formula: in value, gradient and second derivative, whatever the shape and the layout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.cases import cases
from torch import Tensor
from torch.autograd import forward_ad

from longtail import functional
from longtail.functional import closed_form
from longtail.functional.adjusted import Adjustment, adjusted_cross_entropy

C = 7
Loss = Callable[[Tensor, Tensor], Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


PRIOR = random(C, seed=3).log_softmax(0)
EMPTY = PRIOR.index_fill(0, torch.tensor([2]), -torch.inf)  # class 2 has no examples
MARGINS = random(C, seed=4).abs()


def everything(z: Tensor, y: Tensor) -> Tensor:
    return adjusted_cross_entropy(z, y, Adjustment(*(c.to(z.dtype) for c in (MARGINS, PRIOR, -MARGINS))))


LOSSES: dict[str, Loss] = {
    "logit-adjusted": lambda z, y: functional.logit_adjusted(z, y, PRIOR.to(z.dtype), 1.3),
    "without class 2": lambda z, y: functional.logit_adjusted(z, y.where(y != 2, -100), EMPTY.to(z.dtype)),
    "ldam": lambda z, y: functional.ldam(z, y, MARGINS, 4.0),
    "ldam, scale as a tensor": lambda z, y: functional.ldam(z, y, MARGINS, torch.tensor(4.0, dtype=z.dtype)),
    "everything": everything,
    "sigmoid": lambda z, y: functional.sigmoid_cross_entropy(z, y),
    "focal 0": lambda z, y: functional.sigmoid_focal(z, y, 0.0),
    "focal 0.5": lambda z, y: functional.sigmoid_focal(z, y, 0.5),
    "focal 2": lambda z, y: functional.sigmoid_focal(z, y, torch.tensor(2.0, dtype=z.dtype)),
    "symmetric": lambda z, y: functional.symmetric_cross_entropy(z, y, 0.3, 0.7, floor=0.01),
    "symmetric, factors as tensors": lambda z, y: functional.symmetric_cross_entropy(
        z, y, torch.tensor(0.1, dtype=z.dtype), torch.tensor(1.0, dtype=z.dtype)
    ),
    "bootstrapped": lambda z, y: functional.bootstrapped(z, y, 0.7),
    "hard bootstrapped": lambda z, y: functional.bootstrapped(z, y, torch.tensor(0.7, dtype=z.dtype), hard=True),
}
all_losses = cases("name", LOSSES)


@pytest.fixture(params=[1, 3, 1000], ids=lambda n: f"{n} positions a piece", autouse=True)
def positions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(closed_form, "SMALL", 0)
    monkeypatch.setattr(closed_form, "PIECE", request.param * C * 8 // torch.get_num_threads())
    return request.param


@pytest.fixture
def by_formula(monkeypatch: pytest.MonkeyPatch) -> Callable[[Loss], Loss]:
    def turn(loss: Loss) -> Loss:
        def formula(z: Tensor, y: Tensor) -> Tensor:
            with monkeypatch.context() as m:
                m.setattr(closed_form, "runs_in_pieces", lambda *_: False)
                return loss(z, y)

        return formula

    return turn


def batch(*dims: int, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    z = spread * random(8, C, *dims)
    y = torch.randint(C, (8, *dims), generator=torch.Generator().manual_seed(1))
    y.view(-1)[:2] = torch.tensor([-100, 3])
    return z, y


def in_pieces(value: Tensor) -> bool:
    return type(value.grad_fn).__name__ == "_InPiecesBackward"


def gradients(loss: Loss, z: Tensor, y: Tensor) -> list[Tensor]:
    """Value, gradient, and the gradient of a function of the gradient."""
    z = z.detach().clone().requires_grad_()
    value = loss(z, y)
    weight = torch.linspace(-1, 2, y.numel(), dtype=z.dtype).view(y.shape)
    first = torch.autograd.grad((weight * value).sum(), z, retain_graph=True)[0]
    again = torch.autograd.grad((weight * value).sum(), z, create_graph=True)[0]
    second = torch.autograd.grad((again * torch.linspace(0, 1, z.numel(), dtype=z.dtype).view(z.shape)).sum(), z)[0]
    return [value.detach(), first, again.detach(), second]


@all_losses
@cases("dims", [(), (5,), (2, 3), (2, 1, 3)], ids=str)
def test_pieces_are_the_formula(name: str, dims: tuple[int, ...], by_formula: Callable[[Loss], Loss]) -> None:
    z, y = batch(*dims)
    assert in_pieces(LOSSES[name](z.requires_grad_(), y))
    ours, theirs = gradients(LOSSES[name], z, y), gradients(by_formula(LOSSES[name]), z, y)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    narrow = gradients(LOSSES[name], z.float(), y)
    for one, other in zip(narrow[:2], theirs[:2], strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@all_losses
def test_derivatives_are_those_of_differences(name: str) -> None:
    z, y = batch()
    z, y = z[:4].requires_grad_(), y[:4]
    torch.autograd.gradcheck(lambda z: LOSSES[name](z, y), z)
    torch.autograd.gradgradcheck(lambda z: LOSSES[name](z, y), z)


@all_losses
@cases("dtype", [torch.float32, torch.float64])
@cases("size", [50.0, 100.0, 1e4])
def test_far_logits_stay_finite_and_right(
    name: str, size: float, dtype: torch.dtype, by_formula: Callable[[Loss], Loss]
) -> None:
    z, y = batch(spread=1.0)
    z = (size * z.sign() * torch.tensor([1.0, 0.5, 0.999, 0.0, 1.0, 0.1, 0.7])).to(dtype)
    ours, theirs = gradients(LOSSES[name], z, y)[:2], gradients(by_formula(LOSSES[name]), z.double(), y)[:2]
    for one, other in zip(ours, theirs, strict=True):
        assert torch.isfinite(one).all()
        torch.testing.assert_close(one.double(), other, rtol=2e-6 if dtype == torch.float32 else 1e-12, atol=1e-5)


def test_a_detached_target_is_detached_in_pieces_too(by_formula: Callable[[Loss], Loss]) -> None:
    def loss(z: Tensor, y: Tensor) -> Tensor:
        return functional.bootstrapped(z, y, 0.7, detach=True)

    z, y = batch(3)
    for one, other in zip(gradients(loss, z, y)[:2], gradients(by_formula(loss), z, y)[:2], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_terms_of_a_sigmoid_keep_their_digits(by_formula: Callable[[Loss], Loss]) -> None:
    z = torch.full((4, C), -30.0)
    z[:, 0] = 30.0
    y = torch.zeros(4, dtype=torch.long)
    for name in ("sigmoid", "focal 0.5", "focal 2"):
        ours = gradients(LOSSES[name], z, y)[:2]
        theirs = gradients(by_formula(LOSSES[name]), z.double(), y)[:2]
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=0)


def test_a_class_outside_the_denominator_gets_no_gradient() -> None:
    z, y = batch()
    z.requires_grad_()
    LOSSES["without class 2"](z, y).sum().backward()
    assert (z.grad[:, 2] == 0).all()
    assert torch.isinf(functional.logit_adjusted(z, torch.full((8,), 2), EMPTY)).all()


@all_losses
def test_layouts_do_not_matter(name: str) -> None:
    z, y = batch(2, 3)
    want = gradients(LOSSES[name], z, y)
    for other in (
        z.contiguous(memory_format=torch.channels_last),
        z.transpose(2, 3).contiguous().transpose(2, 3),
        z.permute(1, 3, 0, 2).contiguous().permute(2, 0, 3, 1),
    ):
        leaf = other.detach().requires_grad_()
        LOSSES[name](leaf, y).sum().backward()
        same = z.detach().clone().requires_grad_()
        LOSSES[name](same, y).sum().backward()
        torch.testing.assert_close(leaf.grad, same.grad, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(LOSSES[name](other, y), want[0], rtol=1e-13, atol=1e-14)


@all_losses
def test_nothing_but_logits_and_targets_is_kept(name: str) -> None:
    z, y = batch()
    z.requires_grad_()
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        LOSSES[name](z, y).sum()
    own = {t.data_ptr() for t in kept if t.numel() > y.numel()}
    assert own <= {z.data_ptr()}


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, on the first jvp
@all_losses
def test_whoever_looks_inside_gets_the_formula(name: str) -> None:
    z, y = batch()
    loss, leaf = LOSSES[name], z.clone().requires_grad_()
    value = loss(leaf, y)
    slope = torch.autograd.grad(value.sum(), leaf)[0]
    torch.testing.assert_close(torch.func.grad(lambda z: loss(z, y).sum())(z), slope)
    along = random(8, C, seed=9)
    torch.testing.assert_close(torch.func.jvp(lambda z: loss(z, y), (z,), (along,))[1], (slope * along).sum(1))
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(loss(forward_ad.make_dual(z, along), y)).tangent
    torch.testing.assert_close(tangent, (slope * along).sum(1))
    if name != "everything":  # whose margins belong to this batch
        each = torch.func.vmap(torch.func.grad(lambda z, y: loss(z[None], y[None]).sum()))(z, y)
        torch.testing.assert_close(each, slope)


@pytest.mark.slow
def test_a_whole_graph_compiles_at_sizes_that_go_in_pieces() -> None:
    torch._dynamo.reset()
    z, y = batch(3)
    for name in ("ldam", "logit-adjusted", "sigmoid", "focal 0.5"):
        compiled = torch.compile(LOSSES[name], fullgraph=True, backend="aot_eager")
        ours, theirs = z.clone().requires_grad_(), z.clone().requires_grad_()
        torch.testing.assert_close(compiled(ours, y), LOSSES[name](theirs, y))
        compiled(ours, y).sum().backward()
        LOSSES[name](theirs, y).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_constants_that_learn_get_their_gradient() -> None:
    z, y = batch()
    offset, scale = PRIOR.clone().requires_grad_(), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    adjusted_cross_entropy(z, y, Adjustment(scale, offset, -MARGINS)).sum().backward()
    assert offset.grad.abs().sum() > 0
    assert scale.grad != 0


@all_losses
def test_empty_and_ignored_batches(name: str) -> None:
    z, y = batch()
    ignored = z.clone().requires_grad_()
    value = LOSSES[name](ignored, torch.full_like(y, -100))
    value.sum().backward()
    assert (value == 0).all()
    assert (ignored.grad == 0).all()
    none = z[:0].clone().requires_grad_()
    LOSSES[name](none, y[:0]).sum().backward()
    assert none.grad.shape == (0, C)


def test_autocast_changes_nothing() -> None:
    z, y = batch()
    plain = gradients(LOSSES["ldam"], z.float(), y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one, other in zip(gradients(LOSSES["ldam"], z.float(), y), plain, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
