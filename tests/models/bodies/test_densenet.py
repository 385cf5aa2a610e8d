"""DenseNet-BC: published parameter counts, layers from the definition, what cannot be built."""

import pytest
import torch
import torch.nn.functional as F
from tests.cases import cases

from longtail import models
from longtail.models.conv_bn_fusion import merged_batch_norms


def counted(depth: int, k: int, compression: float, classes: int) -> int:
    """Parameters, added up layer by layer."""
    channels, total = 2 * k, 3 * 2 * k * 9
    for block in range(3):
        if block:
            after = int(channels * compression)
            total += 2 * channels + channels * after
            channels = after
        for _ in range((depth - 4) // 6):
            total += 2 * channels + channels * 4 * k + 2 * 4 * k + 9 * 4 * k * k
            channels += k
    return total + 2 * channels + channels * classes + classes


@cases(
    ("args", "classes", "parameters"),
    [({}, 10, 769_162), ({"depth": 250, "growth": 24}, 10, 15_324_406), ({"depth": 22, "compression": 1.0}, 3, None)],
)
def test_parameter_counts(args: dict[str, float], classes: int, parameters: int | None) -> None:
    with torch.device("meta"):
        network = models.build("densenet", input_shape=(3, 32, 32), num_classes=classes, **args)
    count = sum(p.numel() for p in network.parameters())
    assert count == counted(
        int(args.get("depth", 100)), int(args.get("growth", 12)), args.get("compression", 0.5), classes
    )
    assert parameters in (None, count)
    layers = sum(isinstance(m, torch.nn.Conv2d) for m in network.modules())
    assert layers + 1 == args.get("depth", 100)
    assert network.places == ("input", "stage-1", "stage-2", "features")


def test_the_whole_network_layer_by_layer() -> None:
    """The logits again in float64, from the definition and the weights alone."""
    torch.manual_seed(0)
    network = models.build("densenet", input_shape=(3, 9, 8), num_classes=4, depth=16, growth=3).double()
    images = torch.randint(0, 256, (4, 3, 9, 8), dtype=torch.uint8)
    for _ in range(2):
        network(images)  # running statistics that are not those of the start
    network.eval()
    w = network.state_dict()

    def activated(name: str, z: torch.Tensor) -> torch.Tensor:
        mean, var, scale, bias = (
            w[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((z - mean) / (var + 1e-5).sqrt() * scale + bias).clamp(min=0)

    x = F.conv2d(images.double() / 255, w["body.0.weight"], padding=1)
    for i in range(1, 9):
        if i in (3, 6):
            x = F.avg_pool2d(F.conv2d(activated(f"body.{i}.bn", x), w[f"body.{i}.conv.weight"]), 2)
            continue
        h = F.conv2d(activated(f"body.{i}.bn1", x), w[f"body.{i}.conv1.weight"])
        h = F.conv2d(activated(f"body.{i}.bn2", h), w[f"body.{i}.conv2.weight"], padding=1)
        x = torch.cat([x, h], 1)
    assert x.shape == (4, 12, 2, 2)  # 6 + 6, halved, 6 + 6, halved, 6 + 6 channels
    features = activated("body.9", x).mean((2, 3))
    outputs = network(images)
    torch.testing.assert_close(outputs.features, features)
    torch.testing.assert_close(outputs.logits, features @ w["head.weight"].T + w["head.bias"])
    with merged_batch_norms(network):
        torch.testing.assert_close(network(images).logits, outputs.logits)


@cases(
    ("args", "message"),
    [
        ({"depth": 99}, r"depth must be 6 n \+ 4"),
        ({"growth": 0}, "growth must be an integer >= 1"),
        ({"compression": 0.0}, "compression must be in"),
        ({"narrow": 0.5}, "arguments of densenet must be among depth, growth, compression, branches, attention, late"),
        ({"input_shape": (3, 32)}, "for a densenet"),
    ],
)
def test_what_cannot_be_built_is_refused(args: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.build("densenet", **{"input_shape": (3, 32, 32), "num_classes": 10, **args})
