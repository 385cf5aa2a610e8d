"""Forward-mode derivatives of batch norms: those that torch composes of single operations, by its fused kernels."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from longtail.updates.forward_mode import dual, forward_mode, parts

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of torch.func.jvp itself

SHAPES = {nn.BatchNorm1d: (7, 4), nn.BatchNorm2d: (3, 4, 5, 2), nn.BatchNorm3d: (2, 4, 3, 2, 2)}


def layer(kind: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    norm = kind(4, **options).double()
    with torch.no_grad():
        for values in [*norm.parameters(), *(b for b in norm.buffers() if b.is_floating_point())]:
            values.uniform_(0.5, 2)
    return norm


def ours(norm: nn.Module, parameters: dict[str, Tensor], directions: dict[str, Tensor], x: Any) -> Any:
    with forward_mode():
        at = {name: dual(p, directions[name]) if name in directions else p for name, p in parameters.items()}
        return parts(functional_call(norm, at, (dual(*x) if isinstance(x, tuple) else x,)))


@pytest.mark.parametrize("kind", list(SHAPES))
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("moved", [("weight", "bias"), ("weight",), ("bias",), ()])
@pytest.mark.parametrize("fixed_input", [False, True])
def test_is_torchs_derivative(kind: Any, training: bool, moved: tuple[str, ...], fixed_input: bool) -> None:
    norm = layer(kind).train(training)
    x, dx = torch.randn(2, *SHAPES[kind]).double()
    values = {name: p.detach() for name, p in norm.named_parameters()}
    directions = {name: torch.randn(4).double() for name in moved}
    names, buffers = list(directions), {name: b.clone() for name, b in norm.named_buffers()}

    def call(x: Tensor, *at: Tensor) -> Tensor:
        copies = {name: b.clone() for name, b in buffers.items()}
        return functional_call(norm, {**values, **copies, **dict(zip(names, at, strict=True))}, (x,))

    if fixed_input and not moved:
        y, dy = ours(norm, values, directions, x)
        assert dy is None
        return
    primals, tangents = (x, *(values[n] for n in names)), (dx * (not fixed_input), *directions.values())
    expected, along = jvp(call, primals, tangents)
    y, dy = ours(norm, values, directions, x if fixed_input else (x, dx))
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(dy, along, rtol=1e-10, atol=1e-12)


def test_running_statistics_are_recorded_as_in_a_plain_pass() -> None:
    norm = layer(nn.BatchNorm1d).train()
    plain = copy.deepcopy(norm)
    x = torch.randn(7, 4).double()
    plain(x)
    with forward_mode():
        norm(dual(x, x))
    assert all(a.equal(b) for a, b in zip(norm.buffers(), plain.buffers(), strict=True))


@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}])
def test_norms_without_parameters_or_statistics(options: dict[str, bool]) -> None:
    norm = layer(nn.BatchNorm1d, **options).eval()
    x, dx = torch.randn(2, 7, 4).double()
    expected = jvp(norm, (x,), (dx,))
    torch.testing.assert_close(ours(norm, {}, {}, (x, dx)), expected, rtol=1e-10, atol=1e-12)


def test_no_graph_is_recorded_and_outside_nothing_is_changed() -> None:
    norm = layer(nn.BatchNorm1d).train()
    with forward_mode():
        y, _ = parts(norm(dual(torch.randn(7, 4).double(), torch.ones(7, 4).double())))
    assert not y.requires_grad
    assert norm(torch.randn(7, 4).double()).requires_grad
