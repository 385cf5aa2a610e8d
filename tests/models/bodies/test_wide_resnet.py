"""WRN-28-2 as semi-supervised CIFAR is reported with: parameters, blocks, initialisation, where it is the default."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.cases import cases

from longtail import models
from longtail.data import Examples, Splits
from longtail.data.label_kinds import unlabeled
from longtail.engine.default_recipe import default_recipe
from longtail.models.conv_bn_fusion import merged_batch_norms


def images(n: int = 4, size: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def counted(depth: int, width: int, classes: int) -> int:
    """Parameters, added up layer by layer."""
    channels, total = 16, 3 * 16 * 9
    for after in (16 * width, 32 * width, 64 * width):
        for block in range((depth - 4) // 6):
            before = channels if block == 0 else after
            total += 2 * before + 9 * before * after + 2 * after + 9 * after * after
            total += before * after if before != after else 0
        channels = after
    return total + 2 * channels + channels * classes + classes


@cases(("args", "classes", "parameters"), [({}, 10, 1467610), ({"width": 8}, 100, None), ({"depth": 10}, 3, None)])
def test_parameter_counts_are_the_published_ones(args: dict[str, int], classes: int, parameters: int | None) -> None:
    network = models.build("wide_resnet", input_shape=(3, 32, 32), num_classes=classes, **args)
    count = sum(p.numel() for p in network.parameters())
    assert count == counted(args.get("depth", 28), args.get("width", 2), classes)
    assert parameters in (None, count)
    assert sum(isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3) for m in network.modules()) == (
        args.get("depth", 28) - 4 + 1
    )


@pytest.mark.slow
def test_the_whole_network_layer_by_layer() -> None:
    """The logits again in float64, from the definition and the weights alone."""
    torch.manual_seed(0)
    network = models.build("wide_resnet", input_shape=(3, 32, 32), num_classes=10).double()
    for _ in range(2):
        network(images(8))  # running statistics that are not those of the start
    network.eval()
    w = dict(network.state_dict())

    def bn(name: str, x: torch.Tensor) -> torch.Tensor:
        mean, var, weight, bias = (
            w[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        y = (x - mean) / (var + 1e-5).sqrt() * weight + bias
        return torch.where(y > 0, y, 0.1 * y)

    x = F.conv2d(images().double() / 255, w["body.0.weight"], padding=1)
    for i in range(12):
        stride = 2 if i in (4, 8) else 1
        name = f"body.{i + 1}"
        a = bn(f"{name}.bn1", x)
        out = F.conv2d(a, w[f"{name}.conv1.weight"], stride=stride, padding=1)
        out = F.conv2d(bn(f"{name}.bn2", out), w[f"{name}.conv2.weight"], padding=1)
        if i in (0, 4, 8):
            x = F.conv2d(a if i == 0 else x, w[f"{name}.shortcut.weight"], stride=stride)
        x = x + out
    features = bn("body.13", x).mean((2, 3))
    outputs = network(images())
    assert outputs.features.shape == (4, 128)
    torch.testing.assert_close(outputs.features, features)
    torch.testing.assert_close(outputs.logits, features @ w["head.weight"].T + w["head.bias"])
    with merged_batch_norms(network):
        assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()) == 13  # those after no convolution
        torch.testing.assert_close(network(images()).logits, outputs.logits)


def test_initialisation_and_momentum() -> None:
    torch.manual_seed(0)
    network = models.build("wide_resnet", input_shape=(3, 32, 32), num_classes=100)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.weight.numel() > 4000:
            fan_out = layer.out_channels * layer.kernel_size[0] ** 2
            assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_out), rel=0.06)
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.momentum == 0.001
    assert float(network.head.weight.detach().std()) == pytest.approx(math.sqrt(2 / (128 + 100)), rel=0.05)
    assert float(network.head.bias.detach().abs().max()) == 0.0


@cases(
    ("args", "message"),
    [
        ({"depth": 27}, r"depth must be 6 k \+ 4"),
        ({"width": 0}, "width must be an integer >= 1"),
        ({"momentum": 2.0}, r"momentum must be in \[0, 1\]"),
    ],
)
def test_what_cannot_be_built_is_refused(args: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.build("wide_resnet", input_shape=(3, 32, 32), num_classes=10, **args)
    with pytest.raises(ValueError, match=r"input_shape must be \(C, H, W\)"):
        models.build("wide_resnet", input_shape=(64,), num_classes=10)


@cases(("size", "model"), [(32, "wide_resnet"), (28, "auto")])
def test_it_is_the_default_for_images_of_32_pixels_with_rows_without_labels(size: int, model: str) -> None:
    rows = Examples(images(6, size), torch.tensor([0, 1, 0, 1, 0, 1]), ("a", "b"))
    splits = Splits("images", rows, rows)
    assert default_recipe(splits).model == "auto"
    rest = replace(rows, targets=unlabeled(6))
    assert default_recipe(replace(splits, unlabeled=rest)).model == model
    own = default_recipe(replace(splits, unlabeled=rest), model="convnet")
    assert (own.model, own.model_args) == ("convnet", {})
