"""The gradient of a float16 network is the true one, and small ones survive."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from longtail import models
from longtail.models.gradient_scale import Scaled, Unscaled
from longtail.models.network import Network

SHAPES = {"mlp": (4,), "convnet": (1, 8, 8)}
CLOSE = {"mlp": 0.01, "convnet": 0.05}
"""Of a convnet some ReLU and some maximum is decided otherwise."""
LABELS = torch.arange(32) % 3


def network(name: str = "mlp", precision: str = "float16", scale: float | None = None) -> Network:
    torch.manual_seed(0)
    made = models.build(name, input_shape=SHAPES[name], num_classes=3, precision=precision)
    if scale is not None:
        made.gradient_scale.fill_(scale)
    return made


def around(body: Callable[[], nn.Module], precision: str = "float16") -> Network:
    torch.manual_seed(0)
    return Network(models.Standardize(4), body(), nn.Linear(6, 3), precision)


def inputs(name: str = "mlp") -> Tensor:
    return torch.randn(32, *SHAPES[name], generator=torch.Generator().manual_seed(1))


def gradients(made: Network, x: Tensor, weight: float = 1.0) -> dict[str, Tensor]:
    """Of all parameters and of the inputs, for the loss times a weight."""
    x.requires_grad_()
    (weight * cross_entropy(made(x * 1).logits, LABELS)).backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in [*made.named_parameters(), ("inputs", x)] if p.grad is not None}


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The length of the difference beside that of the whole."""
    assert one.keys() == other.keys()
    a, b = (torch.cat([value.flatten() for value in found.values()]).double() for found in (one, other))
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("name", SHAPES)
def test_every_gradient_is_that_of_float32(name: str) -> None:
    exact = gradients(network(name, "float32"), inputs(name))
    found = gradients(network(name), inputs(name))
    assert 0 < difference(found, exact) < CLOSE[name]
    for part in exact:
        assert difference({part: found[part]}, {part: exact[part]}) < 2 * CLOSE[name], part


def test_float32_and_bfloat16_have_no_scale() -> None:
    for precision in ("float32", "bfloat16"):
        assert network(precision=precision).gradient_scale is None
        assert not list(network(precision=precision).named_buffers(prefix="x", remove_duplicate=False))[2:]


@pytest.mark.parametrize("name", SHAPES)
def test_the_scale_changes_nothing_outside_of_the_body(name: str) -> None:
    one, other = (gradients(network(name, scale=scale), inputs(name)) for scale in (1.0, 2.0**12))
    for part in ("head.weight", "head.bias"):
        assert one[part].equal(other[part])
    assert difference(one, other) < 0.002


def test_gradients_below_the_range_of_float16_are_kept() -> None:
    tiny, made = 1e-7, network(scale=2.0**16)
    exact = gradients(network(precision="float32"), inputs(), tiny)
    assert difference(gradients(made, inputs(), tiny), exact) < 0.02
    lost = gradients(network(scale=1.0), inputs(), tiny)
    assert difference({"inputs": lost["inputs"]}, {"inputs": exact["inputs"]}) > 0.5


class TestTheFunctions:
    def test_composed_they_are_the_identity_with_its_derivatives(self) -> None:
        scale = torch.tensor(2.0**10, dtype=torch.float64)
        x = torch.randn(5, dtype=torch.float64, requires_grad=True)
        y = torch.randn(5, dtype=torch.float64, requires_grad=True)

        def both(x: Tensor, y: Tensor) -> Tensor:
            a, b = Unscaled.apply(scale, False, x, y)  # type: ignore[no-untyped-call]
            return Scaled.apply(scale, False, (a**2 * b).sin())  # type: ignore[no-untyped-call, no-any-return]

        def wrong(x: Tensor, y: Tensor) -> Tensor:
            """y enters behind the scale and is never divided by it."""
            (a,) = Unscaled.apply(scale, False, x)  # type: ignore[no-untyped-call]
            return Scaled.apply(scale, False, (a**2 * y).sin())  # type: ignore[no-untyped-call, no-any-return]

        assert both(x, y).equal((x**2 * y).sin())
        assert torch.autograd.gradcheck(both, (x, y))
        assert torch.autograd.gradgradcheck(both, (x, y))
        with pytest.raises(RuntimeError, match="Jacobian mismatch"):
            torch.autograd.gradcheck(wrong, (x, y))

    def test_third_derivatives(self) -> None:
        scale, x = torch.tensor(2.0**10), torch.tensor(3.0, requires_grad=True)
        value = Scaled.apply(scale, False, Unscaled.apply(scale, False, x)[0] ** 4)  # type: ignore[no-untyped-call]
        for expected in (4 * 27, 12 * 9, 24 * 3, 24):
            (value,) = torch.autograd.grad(value, x, create_graph=True)
            assert float(value.detach()) == expected

    def test_a_scale_that_moves_before_the_backward_pass_is_the_same_for_both(self) -> None:
        made, other = network(), network()
        loss = cross_entropy(made(inputs()).logits, LABELS)
        made.gradient_scale.mul_(0.5)
        loss.backward()  # type: ignore[no-untyped-call]
        cross_entropy(other(inputs()).logits, LABELS).backward()  # type: ignore[no-untyped-call]
        ours, theirs = ({n: p.grad for n, p in m.named_parameters() if p.grad is not None} for m in (made, other))
        assert difference(ours, theirs) < 0.002


class Unusual(nn.Module):
    """A layer with two names, a weight of two layers, a layer in no use, one frozen, and an input changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.unused = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.again, self.last = self.first, nn.Linear(4, 6)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.first.weight
        self.second.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x.relu_()
        return self.last(self.again(self.tied(self.second(self.first(x).tanh()).tanh())))  # type: ignore[no-any-return]


class TestBodies:
    def test_shared_unused_and_frozen_layers_and_changes_in_place(self) -> None:
        found, exact = (gradients(around(Unusual, precision), inputs()) for precision in ("float16", "float32"))
        assert not [name for name in found if "second" in name or "unused" in name]
        assert found.keys() >= {"body.first.weight", "body.last.weight"}
        assert difference(found, exact) < 0.01

    def test_a_frozen_body_has_no_gradient(self) -> None:
        made = network()
        made.body.requires_grad_(False)
        cross_entropy(made(inputs()).logits, LABELS).backward()  # type: ignore[no-untyped-call]
        assert [name for name, p in made.named_parameters() if p.grad is not None] == ["head.weight", "head.bias"]

    def test_batch_norm_and_dropout_are_those_of_a_call_without_gradients(self) -> None:
        made, other = (
            around(lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))) for _ in range(2)
        )
        torch.manual_seed(5)
        features = made(inputs()).features
        with torch.no_grad():
            torch.manual_seed(5)
            plain = other(inputs()).features
        assert features.equal(plain)
        assert int(made.body[1].num_batches_tracked) == 1  # type: ignore[index]
        assert made.body[1].running_mean.equal(other.body[1].running_mean)  # type: ignore[index]

    def test_a_compiled_body(self) -> None:
        made, compiled = network(), network()
        compiled.body.compile(backend="aot_eager")
        for _ in range(2):
            assert difference(gradients(compiled, inputs()), gradients(made, inputs())) < 0.01
            for each in (made, compiled):
                each.zero_grad()

    def test_parameters_that_are_themselves_computed_and_second_derivatives(self) -> None:
        """What learning to weigh examples does: a step inside of a step."""

        def outer(precision: str) -> dict[str, Tensor]:
            made, log_lr = network(precision=precision), torch.tensor(-2.0, requires_grad=True)
            weights: Any = dict(made.named_parameters())

            def loss(weights: Any) -> Tensor:
                return cross_entropy(functional_call(made, weights, (inputs(),)).logits, LABELS)

            slopes = torch.autograd.grad(loss(weights), list(weights.values()), create_graph=True)
            moved = {n: w - log_lr.exp() * g for (n, w), g in zip(weights.items(), slopes, strict=True)}
            found = torch.autograd.grad(loss(moved), [log_lr, *weights.values()])
            return dict(zip(["log_lr", *weights], found, strict=True))

        assert difference(outer("float16"), outer("float32")) < 0.01


def test_the_scale_is_no_part_of_the_model() -> None:
    made = network()
    assert made.state_dict().keys() == network(precision="float32").state_dict().keys()
    assert copy.deepcopy(made).gradient_scale is not made.gradient_scale
    with torch.no_grad():
        quiet = made.eval()(inputs()).logits
    assert made(inputs()).logits.equal(quiet)
    assert not quiet.equal(network(precision="float32").eval()(inputs()).logits)
