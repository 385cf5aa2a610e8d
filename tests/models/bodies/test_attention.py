"""Modulated attention: its formula, the identity at its start, and its place in the bodies for images."""

from __future__ import annotations

import math

import pytest
import torch
from tests.functional.oltr_formulas import dot, softmax
from torch import nn

from longtail import models
from longtail.models.bodies.attention import ModulatedAttention


def test_it_is_the_formula() -> None:
    torch.manual_seed(0)
    layer = ModulatedAttention(4, (2, 3)).double()
    nn.init.normal_(layer.out.weight)
    x = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    found = layer(x)
    assert found.shape == x.shape
    for image, result in zip(x.flatten(2), found.flatten(2), strict=True):
        at = image.T.tolist()  # the channels of each of the 6 positions
        g, theta, phi = (
            [[dot(w, v) + b for w, b in zip(c.weight.flatten(1).tolist(), c.bias.tolist(), strict=True)] for v in at]
            for c in (layer.g, layer.theta, layer.phi)
        )
        flat = image.flatten().tolist()
        scores = [
            dot(w, flat) + b for w, b in zip(layer.spatial.weight.tolist(), layer.spatial.bias.tolist(), strict=True)
        ]
        spatial = softmax(scores)
        for i in range(6):
            related = softmax([dot(theta[i], key) for key in phi])
            gathered = [math.fsum(r * v[k] for r, v in zip(related, g, strict=True)) for k in range(2)]
            block = [dot(w, gathered) for w in layer.out.weight.flatten(1).tolist()]
            wanted = [v + spatial[i] * b for v, b in zip(at[i], block, strict=True)]
            assert result[:, i].tolist() == pytest.approx(wanted, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "shape", "positions"),
    [
        ("convnet", (8, 8), 16), ("convnet", (3, 13, 9), 24), ("resnet32", (3, 32, 32), 64),
        ("resnet32", (3, 10, 9), 9), ("wide_resnet", (3, 32, 32), 64), ("wide_resnet", (3, 28, 30), 56),
    ],
)  # fmt: skip
def test_a_body_with_it_begins_as_one_without(name: str, shape: tuple[int, ...], positions: int) -> None:
    torch.manual_seed(0)
    with_it, without = (
        models.build(name, input_shape=shape, num_classes=3, **args).eval() for args in ({"attention": True}, {})
    )
    (layer,) = [m for m in with_it.modules() if isinstance(m, ModulatedAttention)]
    assert layer.spatial.out_features == positions
    missing = with_it.load_state_dict(without.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert {key.split(".")[-2] for key in missing.missing_keys} == {"g", "theta", "phi", "out", "spatial"}
    x = torch.rand(2, *shape)
    torch.testing.assert_close(with_it(x).logits, without(x).logits)
    nn.init.ones_(layer.out.weight)
    assert not torch.allclose(with_it(x).logits, without(x).logits)
