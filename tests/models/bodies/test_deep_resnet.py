"""ResNet-18 to -152: published parameter counts, stems, strides, blocks layer by layer, branches, saving by name."""

import json

import pytest
import torch
import torch.nn.functional as F
from tests.cases import cases
from torch import nn

from longtail import models
from longtail.models.bodies.deep_resnet import Bottleneck
from longtail.models.bodies.resnet import BasicBlock
from longtail.models.bodies.stages import layers_of, stages
from longtail.models.conv_bn_fusion import merged_batch_norms

DEPTHS = {"resnet18": 18, "resnet34": 34, "resnet50": 50, "resnet101": 101, "resnet152": 152}


def on_meta(name: str, size: int, classes: int, **args: object) -> models.Network:
    with torch.device("meta"):  # shapes alone
        return models.build(name, input_shape=(3, size, size), num_classes=classes, **args)


@cases(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
    ],
)
def test_parameter_counts_are_the_published_ones(name: str, parameters: int) -> None:
    network = on_meta(name, 224, 1000)
    assert sum(p.numel() for p in network.parameters()) == parameters
    shortcuts = {id(m) for n, m in network.named_modules() if ".shortcut." in n}
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d) and id(m) not in shortcuts]
    assert len(layers) + 1 == DEPTHS[name]
    assert network.places == ("input", "stage-1", "stage-2", "stage-3", "features")


@cases(("stem", "size", "first"), [("auto", 95, 95), ("auto", 96, 24), ("3x3", 96, 96), ("7x7", 32, 8)])
def test_the_stem_follows_the_size(stem: str, size: int, first: int) -> None:
    network = on_meta("resnet50", size, 10, stem=stem).eval()
    _, parts = stages(network.body)
    x, sizes = torch.zeros(1, 3, size, size, device="meta"), []
    for part in parts:
        for layer in part[:-1] if part is parts[-1] else part:  # without the mean over the image
            x = layer(x)
        sizes.append(x.shape[-1])
    down = [first, -(-first // 2), -(-first // 4), -(-first // 8)]
    assert sizes == down
    assert x.shape[1] == 2048
    assert any(isinstance(m, nn.MaxPool2d) for m in network.modules()) == (first < size)


def test_a_bottleneck_has_its_stride_in_the_3x3_convolution() -> None:
    torch.manual_seed(0)
    block = Bottleneck(6, 4, 2).double()
    block(torch.randn(8, 6, 7, 7, dtype=torch.float64))  # running statistics that are not those of the start
    block.eval()
    x = torch.randn(2, 6, 7, 7, dtype=torch.float64)
    w = block.state_dict()

    def bn(name: str, z: torch.Tensor) -> torch.Tensor:
        mean, var, scale, bias = (
            w[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (z - mean) / (var + 1e-5).sqrt() * scale + bias

    h = bn("bn1", F.conv2d(x, w["conv1.weight"])).clamp(min=0)
    h = bn("bn2", F.conv2d(h, w["conv2.weight"], stride=2, padding=1)).clamp(min=0)
    h = bn("bn3", F.conv2d(h, w["conv3.weight"]))
    expected = (h + bn("shortcut.1", F.conv2d(x, w["shortcut.0.weight"], stride=2))).clamp(min=0)
    assert expected.shape == (2, 16, 4, 4)
    torch.testing.assert_close(block(x), expected)


@cases(("name", "kind", "last"), [("resnet18", BasicBlock, "bn2"), ("resnet50", Bottleneck, "bn3")])
def test_with_zero_init_every_block_starts_as_its_shortcut(name: str, kind: type[nn.Module], last: str) -> None:
    torch.manual_seed(0)
    network = models.build(name, input_shape=(3, 8, 8), num_classes=3, zero_init=True).eval()
    blocks = [m for m in network.body if isinstance(m, kind)]
    assert all(not b.get_submodule(last).weight.any() for b in blocks)
    x = torch.rand(2, 64 if name == "resnet18" else 256, 4, 4)
    assert torch.equal(blocks[1](x), x)
    torch.manual_seed(0)
    usual = models.build(name, input_shape=(3, 8, 8), num_classes=3)
    for key, value in usual.state_dict().items():
        assert torch.equal(value, network.state_dict()[key]) == (f".{last}.weight" not in key)


def test_a_network_is_saved_by_name_and_merged_for_evaluation() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    builder = {"name": "resnet50", "input_shape": [3, 8, 8], "num_classes": 3, "stem": "7x7", "head": "cosine"}
    network = models.build(**builder)
    network(images)
    again = models.build(**json.loads(json.dumps(builder)))
    again.load_state_dict(network.state_dict())
    expected = network.eval()(images).logits
    assert torch.equal(again.eval()(images).logits, expected)
    with merged_batch_norms(network):
        assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        torch.testing.assert_close(network(images).logits, expected)
    assert network.body[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_branches_share_the_first_stage_or_all_but_the_last_block() -> None:
    plain, whole, late = (
        on_meta("resnet50", 32, 10, **args)
        for args in ({}, {"branches": 3, "narrow": 0.75}, {"branches": 2, "late": True})
    )
    assert whole.head.in_features == 3 * 1536
    first = [(k, v.shape) for k, v in plain.body.state_dict().items()][: len(plain.body[:6].state_dict())]
    assert [(k, v.shape) for k, v in whole.body.state_dict().items()][: len(first)] == first
    *shared, branches = layers_of(late.body)
    block = sum(p.numel() for p in branches.branches[0].parameters())
    count = sum(p.numel() for p in plain.body.parameters())
    assert sum(p.numel() for p in late.body.parameters()) == count + block
    assert sum(isinstance(m, Bottleneck) for m in shared) == 15


@cases(
    ("args", "message"),
    [
        ({"stem": "5x5"}, "stem must be one of auto, 3x3, 7x7, got '5x5'"),
        ({"attention": True}, "arguments of resnet50 must be among stem, zero_init, branches, narrow, late"),
        ({"branches": 0}, "branches must be an integer >= 1"),
        ({"narrow": 0.0}, "narrow must be in"),
        ({"input_shape": (3, 3, 9)}, r"input_shape must be .* H, W >= 4 for a resnet50"),
    ],
)
def test_what_cannot_be_built_is_refused(args: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.build("resnet50", **{"input_shape": (3, 32, 32), "num_classes": 10, **args})
