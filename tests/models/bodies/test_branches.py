"""Bodies that have their last block twice, and one branch of them alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from longtail import models
from longtail.models.bodies.branches import Branches
from longtail.models.bodies.stages import layers_of

ROWS = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
TABLE = torch.cat([ROWS[:, :3], torch.arange(9)[:, None] % 4 + 0.0], 1)
PIXELS = torch.randn(9, 3, 8, 8, generator=torch.Generator().manual_seed(0))
NETWORKS: dict[str, tuple[str, dict[str, Any], Tensor]] = {
    "linear": ("linear", {}, ROWS),
    "one layer": ("mlp", {"hidden": (8,)}, ROWS),
    "two layers": ("mlp", {"hidden": (8, 6)}, ROWS),
    "three layers": ("mlp", {"hidden": (8, 7, 6)}, ROWS),
    "table": ("tabular", {"numeric": 3, "categories": (4,), "hidden": (8, 6)}, TABLE),
    "convnet": ("convnet", {"width": 4}, PIXELS),
    "resnet": ("resnet32", {"widths": (4, 6, 8), "blocks": 2}, PIXELS),
    "densenet": ("densenet", {"depth": 10, "growth": 4}, PIXELS),
    "wide_resnet": ("wide_resnet", {"depth": 16, "width": 1}, PIXELS),
}


@pytest.mark.parametrize("kind", NETWORKS)
class TestTwoLastBlocks:
    def network(self, kind: str, **layers: Any) -> Any:
        name, arguments, inputs = NETWORKS[kind]
        torch.manual_seed(0)
        found = models.build(name, input_shape=inputs.shape[1:], num_classes=3, **arguments, **layers)
        return found.eval()

    def test_only_the_last_block_is_there_twice(self, kind: str) -> None:
        plain, divided = self.network(kind), self.network(kind, branches=2, late=True)
        *shared, last = layers_of(divided.body)
        assert isinstance(last, Branches)
        first, second = last.branches
        assert {k: v.shape for k, v in first.state_dict().items()} == {
            k: v.shape for k, v in second.state_dict().items()
        }
        weights = [p for p in first.parameters() if p.ndim > 1]
        # a block of a ResNet has two convolutions and, where it changes the width of a wide one, a third
        assert len(weights) == {"linear": 0, "resnet": 2, "densenet": 2, "wide_resnet": 2}.get(kind, 1)
        count = sum(p.numel() for p in plain.body.parameters()) + sum(p.numel() for p in first.parameters())
        assert sum(p.numel() for p in divided.body.parameters()) == count
        assert divided.head.in_features == 2 * plain.head.in_features
        # as one branch it is the plain body
        plain.body.load_state_dict(
            dict(zip(plain.body.state_dict(), [*_values(shared), *first.state_dict().values()], strict=True))
        )
        inputs = NETWORKS[kind][2]
        torch.testing.assert_close(divided.features(inputs, branch=0), plain.features(inputs))

    def test_each_branch_alone_has_its_part_of_the_features(self, kind: str) -> None:
        network, inputs = self.network(kind, branches=2, late=True), NETWORKS[kind][2]
        parts = [network.features(inputs, branch=k) for k in (0, 1)]
        assert torch.cat(parts, 1).equal(network.features(inputs))
        assert parts[0].equal(parts[1]) == (kind == "linear")


def _values(layers: list[Any]) -> list[Tensor]:
    return [value for layer in layers for value in layer.state_dict().values()]
