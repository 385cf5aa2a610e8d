"""PreAct-ResNet-18: parameters by hand, the forward pass again in float64, refusals."""

import pytest
import torch
import torch.nn.functional as F

from longtail import models
from longtail.models.conv_bn_fusion import merged_batch_norms


def images(n: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_it_has_its_parameters() -> None:
    total, before = 3 * 64 * 9, 64
    for width in (64, 128, 256, 512):
        for _ in range(2):
            total += 2 * before + 9 * before * width + 2 * width + 9 * width * width
            total += before * width if before != width else 0
            before = width
    network = models.build("preact-resnet18", input_shape=(3, 32, 32), num_classes=10)
    assert sum(p.numel() for p in network.parameters()) == total + 512 * 10 + 10 == 11_171_146


def test_the_whole_network_layer_by_layer() -> None:
    torch.manual_seed(0)
    network = models.build("preact-resnet18", input_shape=(3, 8, 8), num_classes=3, narrow=0.1).double()
    for _ in range(2):
        network(images(8, 8))  # running statistics that are not those of the start
    network.eval()
    w = dict(network.state_dict())

    def activated(name: str, x: torch.Tensor) -> torch.Tensor:
        mean, var, weight, bias = (
            w[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).clamp(min=0)

    x = F.conv2d(network.standardize(images(4, 8)).double(), w["body.0.weight"], padding=1)
    for i in range(8):
        name, stride = f"body.{i + 1}", 2 if i in (2, 4, 6) else 1
        a = activated(f"{name}.bn1", x)
        out = F.conv2d(a, w[f"{name}.conv1.weight"], stride=stride, padding=1)
        out = F.conv2d(activated(f"{name}.bn2", out), w[f"{name}.conv2.weight"], padding=1)
        x = out + (F.conv2d(a, w[f"{name}.shortcut.weight"], stride=stride) if stride == 2 else x)
    torch.testing.assert_close(network.features(images(4, 8)), x.mean((2, 3)))
    with merged_batch_norms(network):
        torch.testing.assert_close(network.features(images(4, 8)), x.mean((2, 3)))


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match=r"H, W >= 4 for a preact-resnet18, got \(3, 3, 9\)"):
        models.build("preact-resnet18", input_shape=(3, 3, 9), num_classes=3)
