"""The networks of the experiments with wrong labels: parameters by hand, layer by layer in float64, initialisation."""

import math

import pytest
import torch
import torch.nn.functional as F

from longtail import models
from longtail.models.bodies.plain_cnn import coteaching_cnn
from longtail.models.bodies.stages import places
from longtail.models.conv_bn_fusion import merged_batch_norms


def images(n: int, size: int = 32, channels: int = 3) -> torch.Tensor:
    return torch.randint(
        0, 256, (n, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def parameters(name: str, classes: int, size: int = 32, channels: int = 3) -> int:
    network = models.build(name, input_shape=(channels, size, size), num_classes=classes)
    return sum(p.numel() for p in network.parameters())


def convolution(before: int, after: int) -> int:
    """Weights, bias, and the scale and shift of the batch norm behind them."""
    return 9 * before * after + after + 2 * after


def sce(classes: int, size: int, channels: int) -> int:
    total = convolution(channels, 64) + convolution(64, 64) + convolution(64, 128) + convolution(128, 128)
    total += convolution(128, 196) + convolution(196, 196)
    flat = 196 * (size // 2 // 2 // 2) ** 2
    return total + flat * 256 + 256 + 2 * 256 + 256 * classes + classes


def coteaching(classes: int) -> int:
    channels = [3, 128, 128, 128, 256, 256, 256, 512, 256, 128]
    return sum(convolution(channels[i], channels[i + 1]) for i in range(9)) + 128 * classes + classes


@pytest.mark.parametrize(("classes", "size", "channels"), [(10, 32, 3), (100, 32, 3), (7, 9, 1)])
def test_the_cnn_of_sce_has_its_layers(classes: int, size: int, channels: int) -> None:
    assert parameters("sce-cnn", classes, size, channels) == sce(classes, size, channels)
    assert sce(10, 32, 3) == 1_639_794
    assert 196 * (32 // 8) ** 2 == 3136


def test_the_cnn_of_co_teaching_has_its_layers() -> None:
    assert parameters("coteaching-cnn", 10) == coteaching(10) == 4_434_570


@pytest.mark.parametrize(("name", "classes", "count"), [("resnet18", 100, 11_220_132), ("resnet34", 10, 21_282_122),
                                                        ("resnet34", 100, 21_328_292)])  # fmt: skip
def test_the_deep_ones_have_a_stem_for_cifar(name: str, classes: int, count: int) -> None:
    total, before = 3 * 64 * 9 + 2 * 64, 64
    for blocks, width in zip((2, 2, 2, 2) if name == "resnet18" else (3, 4, 6, 3), (64, 128, 256, 512), strict=True):
        for _ in range(blocks):
            total += 9 * before * width + 2 * width + 9 * width * width + 2 * width
            total += before * width + 2 * width if before != width else 0
            before = width
    assert parameters(name, classes) == total + 512 * classes + classes == count


def test_the_cnn_of_sce_layer_by_layer() -> None:
    """The features again in float64, from the definition and the weights alone, with and without merged batch norms."""
    torch.manual_seed(0)
    network = models.build("sce-cnn", input_shape=(3, 16, 16), num_classes=4).double()
    for _ in range(2):
        network(images(6, 16))  # running statistics that are not those of the start
    network.eval()
    w = dict(network.state_dict())
    names = sorted({int(name.split(".")[1]) for name in w if name.startswith("body.")})

    def normed(number: int, x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *[1] * (x.ndim - 2))
        mean, var, weight, bias = (
            w[f"body.{number}.{part}"].reshape(shape) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).clamp(min=0)

    x = network.standardize(images(3, 16)).double()
    weighted = iter(names)
    for _ in range(3):
        for _ in range(2):
            conv, norm = next(weighted), next(weighted)
            x = normed(norm, F.conv2d(x, w[f"body.{conv}.weight"], w[f"body.{conv}.bias"], padding=1))
        x = torch.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
    conv, norm = next(weighted), next(weighted)
    x = normed(norm, x.flatten(1) @ w[f"body.{conv}.weight"].T + w[f"body.{conv}.bias"])
    assert next(weighted, None) is None
    torch.testing.assert_close(network.features(images(3, 16)), x)
    with merged_batch_norms(network):
        torch.testing.assert_close(network.features(images(3, 16)), x)


def test_the_cnn_of_co_teaching_layer_by_layer() -> None:
    torch.manual_seed(0)
    network = models.build("coteaching-cnn", input_shape=(3, 28, 28), num_classes=4).double().eval()
    layers = list(network.body)
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]
    norms = [layer for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
    assert [layer.padding[0] for layer in convolutions] == [1] * 6 + [0] * 3
    x = network.standardize(images(2, 28)).double()
    for i, (conv, norm) in enumerate(zip(convolutions, norms, strict=True)):
        x = F.conv2d(x, conv.weight, conv.bias, padding=1 if i < 6 else 0)
        mean, var = norm.running_mean[:, None, None], norm.running_var[:, None, None]
        x = (x - mean) / (var + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
        x = torch.where(x > 0, x, 0.01 * x)
        if i in (2, 5):
            x = torch.stack([x[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)]).amax(0)
    torch.testing.assert_close(network.features(images(2, 28)), x.mean((2, 3)))
    drops = [(i, layer) for i, layer in enumerate(layers) if isinstance(layer, torch.nn.Dropout2d)]
    assert [(layer.p, type(layers[i - 1])) for i, layer in drops] == [(0.25, torch.nn.MaxPool2d)] * 2


def test_the_cnn_of_sce_starts_as_he_has_it_with_the_head_alike() -> None:
    torch.manual_seed(0)
    network = models.build("sce-cnn", input_shape=(3, 32, 32), num_classes=100)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            inputs = layer.weight[0].numel()
            assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / inputs), rel=0.05)
            assert not layer.bias.any()


def test_hidden_values_can_be_changed_between_the_blocks() -> None:
    assert len(places(models.build("sce-cnn", input_shape=(3, 32, 32), num_classes=2).body)) == 5
    assert len(places(models.build("coteaching-cnn", input_shape=(3, 32, 32), num_classes=2).body)) == 4


def test_dropout_is_an_argument() -> None:
    body, width = coteaching_cnn((3, 28, 28), dropout=0.0)
    assert width == 128
    body.train()
    for layer in body.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    x = torch.randn(2, 3, 28, 28)
    assert torch.equal(body(x), body(x))


@pytest.mark.parametrize(("name", "shape", "args", "message"), [
    ("sce-cnn", (3, 7, 32), {}, "H, W >= 8 for an sce-cnn, got"),
    ("sce-cnn", (32, 32), {}, "(C, H, W)"),
    ("coteaching-cnn", (3, 27, 27), {}, "H, W >= 28 for a coteaching-cnn, got"),
    ("coteaching-cnn", (3, 32, 32), {"dropout": 1.0}, "dropout must be"),
    ("sce-cnn", (3, 32, 32), {"branches": 2}, "arguments of sce-cnn must be among none, got 'branches'"),
])  # fmt: skip
def test_what_they_cannot_take_is_refused(name: str, shape: tuple[int, ...], args: dict, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        models.build(name, input_shape=shape, num_classes=3, **args)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
