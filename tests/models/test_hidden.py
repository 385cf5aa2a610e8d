"""Hidden values: which layers they come from, and the gradients at them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import har_formulas as formulas
from torch import Tensor, nn
from torch.func import functional_call

from longtail.functional.adaptive_regularisation import gradient_norms
from longtail.models import Network, Standardize, build
from longtail.models.hidden import Hidden, hidden_layers


def made(name: str, shape: list[int], **arguments: Any) -> nn.Module:
    return build(name, input_shape=tuple(shape), num_classes=3, **arguments)


@cases(
    "name, shape, arguments, count, kind",
    [
        ("resnet32", [3, 8, 8], {}, 30, nn.BatchNorm2d),
        ("resnet32", [3, 8, 8], {"projected": True}, 30, nn.BatchNorm2d),  # neither stem nor shortcuts
        ("resnet18", [3, 8, 8], {}, 16, nn.BatchNorm2d),
        ("resnet50", [3, 8, 8], {}, 48, nn.BatchNorm2d),
        ("wide_resnet", [3, 8, 8], {"depth": 10, "width": 1}, 6, nn.BatchNorm2d),
        ("convnet", [8, 8], {"width": 2}, 2, nn.BatchNorm2d),
        ("mlp", [4], {"hidden": [8, 8]}, 2, nn.Linear),
        ("linear", [4], {}, 0, nn.Linear),
    ],
)
def test_which_layers(name: str, shape: list[int], arguments: dict[str, Any], count: int, kind: type) -> None:
    network = made(name, shape, **arguments)
    layers = hidden_layers(network)
    assert len(layers) == count
    assert all(isinstance(layer, kind) for layer in layers)
    assert network.get_submodule("head") not in layers


XS = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
YS = torch.tensor([0, 1, 2, 1, 0, 2])


def two_norms(*, inplace: bool = False) -> Network:
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(inplace), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(inplace)
    )  # fmt: skip
    network = Network(Standardize(3), body, nn.Linear(4, 3)).double()
    with torch.no_grad():
        for norm in (body[1], body[4]):
            norm.weight.copy_(torch.tensor([0.7, -1.3, 0.0, 2.0]))  # type: ignore[operator]
            norm.bias.copy_(torch.tensor([0.2, 0.1, -0.4, 0.3]))  # type: ignore[operator]
    return network.train()


def gradients(network: Network) -> list[Tensor]:
    with Hidden(network) as hidden:
        loss = nn.functional.cross_entropy(network(XS).logits, YS)
    return hidden.gradients(loss)


def downstream(network: Network, h: list[list[float]], number: int) -> float:
    """The batch's mean loss from the values h of norm 0 or 1 before its factors; the next norm sees all rows."""
    body: Any = network.body
    norm = body[1 + 3 * number]
    w, b = norm.weight.tolist(), norm.bias.tolist()
    x = [[max(w[j] * v + b[j], 0.0) for j, v in enumerate(row)] for row in h]
    layer: Any = body[3] if number == 0 else network.head
    matrix, bias = layer.weight.tolist(), layer.bias.tolist()
    x = [[sum(m * v for m, v in zip(weights, row, strict=True)) + c for weights, c in zip(matrix, bias, strict=True)]
         for row in x]  # fmt: skip
    if number == 0:
        return downstream(network, formulas.normed(x, 1e-5), 1)
    losses = [math.log(sum(math.exp(v) for v in z)) - z[y] for z, y in zip(x, YS.tolist(), strict=True)]
    return float(sum(losses) / len(x))


def test_gradients_are_finite_differences_of_the_batch_mean_at_values_before_factors_and_shifts() -> None:
    network = two_norms()
    found = gradients(network)
    body: Any = network.body
    x = body[0](XS)
    values = [formulas.normed(x.tolist(), 1e-5)]
    values.append(formulas.normed(body[3](body[2](body[1](x))).tolist(), 1e-5))
    assert len(found) == 2
    for number, h in enumerate(values):
        for i, j in ((i, j) for i in range(6) for j in range(4)):
            ends = []
            for shift in (1e-6, -1e-6):
                moved = [[v + shift * (k == i and m == j) for m, v in enumerate(row)] for k, row in enumerate(h)]
                ends.append(downstream(network, moved, number))
            slope = (ends[0] - ends[1]) / 2e-6
            assert found[number][i, j].item() == pytest.approx(slope, rel=1e-5, abs=1e-9), (number, i, j)
        assert not found[number][:, 2].any()  # where the factor is 0


def test_layers_that_change_their_input_in_place_change_nothing() -> None:
    for one, other in zip(gradients(two_norms()), gradients(two_norms(inplace=True)), strict=True):
        assert one.equal(other)


def test_the_second_derivative_through_batch_norms() -> None:
    network = two_norms()
    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}

    def regulariser(*values: Tensor) -> Tensor:
        with Hidden(network) as hidden:
            outputs = functional_call(network, dict(zip(parameters, values, strict=True)), (XS,))
            loss = nn.functional.cross_entropy(outputs.logits, YS)
        return gradient_norms(hidden.gradients(loss))

    assert torch.autograd.gradcheck(
        regulariser, tuple(p.detach().clone().requires_grad_() for p in parameters.values())
    )


@cases("kind", [nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4, affine=False), nn.BatchNorm1d(4)])
def test_every_norm_without_its_factor(kind: Any) -> None:
    torch.manual_seed(0)
    norm = kind.double().train()
    if norm.weight is not None:
        nn.init.normal_(norm.weight)
    network = Network(Standardize(3), nn.Sequential(nn.Linear(3, 4), norm), nn.Linear(4, 3)).double()
    (found,) = gradients(network)
    h = norm(network.body[0](XS))  # type: ignore[index]
    logits = network.head(h)
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(logits, YS), h)
    torch.testing.assert_close(found, slope if norm.weight is None else slope * norm.weight)


@cases("precision, close", [("float16", 5e-3), ("bfloat16", 5e-2)])
def test_gradients_and_second_derivatives_of_a_half_precision_body_are_true_ones(precision: str, close: float) -> None:
    found = []
    for kind in ("float32", precision):
        network = made("convnet", [8, 8], width=4, **({} if kind == "float32" else {"precision": kind})).train()
        if kind == "float16":
            network.get_buffer("gradient_scale").fill_(2.0**10)  # at its start second derivatives would overflow
        torch.manual_seed(0)
        for p in network.parameters():
            nn.init.normal_(p, std=0.3)
        images = torch.randn(16, 8, 8, generator=torch.Generator().manual_seed(0))
        with Hidden(network) as hidden:
            loss = nn.functional.cross_entropy(network(images).logits, torch.arange(16) % 3)
        norms = gradient_norms(hidden.gradients(loss))
        assert norms.dtype == torch.float32
        slopes = torch.autograd.grad(norms.sum(), [p for p in network.parameters() if p.ndim > 1])
        found.append([norms, *slopes])
    for expected, ours in zip(*found, strict=True):
        assert float((ours - expected).detach().norm() / expected.detach().norm()) < close


def test_nothing_stays_on_the_network() -> None:
    network = two_norms()
    gradients(network)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_loss_of_no_hidden_value_is_refused() -> None:
    network = two_norms()
    network.body.requires_grad_(False)
    with pytest.raises(ValueError, match=r"network must have hidden layers that are trained, got .*; choose another"):
        gradients(network)
