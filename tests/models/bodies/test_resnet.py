"""ResNet-32 as the field reports it: parameters, shortcuts, initialisation, the LDAM recipe, precision."""

import math

import pytest
import torch
import torch.nn.functional as F

from longtail import models
from longtail.data import Examples, Splits
from longtail.data.read.cifar import MEAN, STD
from longtail.engine import Recipe
from longtail.engine.default_recipe import LDAM, default_recipe
from longtail.engine.precision import has_bfloat16, resolved
from longtail.methods import method
from longtail.models.bodies.resnet import BasicBlock


def images(n: int = 4, size: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("classes", "head", "parameters"),
    [(10, "linear", 464154), (10, "cosine", 464144), (100, "linear", 470004), (100, "cosine", 469904)],
)
def test_parameter_counts_are_the_published_ones(classes: int, head: str, parameters: int) -> None:
    network = models.build("resnet32", input_shape=(3, 32, 32), num_classes=classes, head=head)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_a_block_is_two_convolutions_and_an_option_a_shortcut() -> None:
    network = models.build("resnet32", input_shape=(3, 32, 32), num_classes=10).double().eval()
    block = next(m for m in network.body if getattr(m, "stride", 1) == 2)
    x = torch.randn(2, 16, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def normalised(z: torch.Tensor) -> torch.Tensor:
        return z / math.sqrt(1 + 1e-5)  # fresh batch norm in eval mode

    h = F.relu(normalised(F.conv2d(x, block.conv1.weight, stride=2, padding=1)))
    h = normalised(F.conv2d(h, block.conv2.weight, padding=1))
    shortcut = torch.zeros(2, 32, 4, 4, dtype=torch.float64)
    shortcut[:, 8:24] = x[:, :, ::2, ::2]
    torch.testing.assert_close(block(x), F.relu(h + shortcut))


def test_resnet18_has_projected_shortcuts_and_the_usual_size() -> None:
    network = models.build("resnet18", input_shape=(3, 32, 32), num_classes=10).eval()
    assert sum(p.numel() for p in network.parameters()) == 11_173_962
    assert network(images()).features.shape == (4, 512)
    blocks = [m for m in network.body if isinstance(m, BasicBlock)]
    assert [b.shortcut is not None for b in blocks] == [False, False, True, False, True, False, True, False]
    block = blocks[2].double()
    x = torch.randn(2, 64, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scale = 1 / math.sqrt(1 + 1e-5)  # fresh batch norm in eval mode
    h = F.relu(scale * F.conv2d(x, block.conv1.weight, stride=2, padding=1))
    h = scale * F.conv2d(h, block.conv2.weight, padding=1)
    shortcut = scale * F.conv2d(x, block.shortcut[0].weight, stride=2)  # type: ignore[index,arg-type]
    torch.testing.assert_close(block(x), F.relu(h + shortcut))


def test_depth_and_shape_of_the_features() -> None:
    network = models.build("resnet32", input_shape=(3, 32, 32), num_classes=10)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 31  # and the head is the 32nd layer
    assert all(c.bias is None for c in convolutions)
    assert network(images()).features.shape == (4, 64)


def test_initialisation_is_kaiming_fan_in_for_convolutions_and_linear_head() -> None:
    torch.manual_seed(0)
    network = models.build("resnet32", input_shape=(3, 32, 32), num_classes=100)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.in_channels >= 16:
            assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / (9 * layer.in_channels)), rel=0.06)
    assert float(network.head.weight.detach().std()) == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    assert float(network.head.bias.detach().abs().max()) <= 1 / 8


def test_the_ldam_recipe_is_the_default_for_cifar_only() -> None:
    x, y = images(20), torch.arange(20) % 10
    part = Examples(x, y, tuple("abcdefghij"))
    cifar = Splits("cifar10", part, part, facts={"source": "cifar10"})
    recipe = default_recipe(cifar)
    assert recipe == LDAM
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum, recipe.weight_decay) == (
        200,
        128,
        0.1,
        0.9,
        2e-4,
    )
    standardize = recipe.network(part).standardize
    torch.testing.assert_close(standardize.mean, torch.tensor(MEAN))
    torch.testing.assert_close(standardize.std, torch.tensor(STD))
    assert default_recipe(Splits("mine", part, part, facts={"source": "mine"})).model == "auto"
    short = default_recipe(cifar, epochs=20)
    assert [round(short.learning_rate(e / 20), 9) for e in (0, 1, 15, 16, 17, 18)] == [0.05, 0.1, 0.1, 1e-3, 1e-3, 1e-5]


def test_own_recipes_are_their_papers() -> None:
    own = Recipe(kind="own")
    la = method("logit-adjusted").under(own)
    assert (la.weight_decay, [la.learning_rate(e / 200) for e in (160, 180)]) == (1e-4, pytest.approx([1e-2, 1e-3]))
    cb = method("cb-focal").under(own)
    assert cb.lr_per == "step"
    assert [cb.learning_rate(e / 200) for e in (0, 2.5, 5, 159.9, 160, 180)] == pytest.approx(
        [0, 0.05, 0.1, 0.1, 1e-3, 1e-5]
    )
    assert method("ldam-drw").under(own) == own
    common = Recipe()
    assert method("logit-adjusted").under(common) is common


class TestPrecision:
    def test_what_is_asked_for_is_used(self) -> None:
        assert resolved("float32", "resnet32", "cpu") == "float32"
        assert resolved("bfloat16", "mlp", "cpu") == "bfloat16"

    def test_auto_follows_the_hardware_and_only_for_the_large_network(self) -> None:
        assert resolved("auto", "resnet32", "cpu") == ("bfloat16" if has_bfloat16("cpu") else "float32")
        assert resolved("auto", "convnet", "cpu") == "float32"

    @pytest.mark.parametrize("head", ["linear", "cosine"])
    def test_bfloat16_runs_the_body_and_leaves_the_head_in_float32(self, head: str) -> None:
        torch.manual_seed(0)
        narrow = models.build("resnet32", input_shape=(3, 32, 32), num_classes=10, head=head, precision="bfloat16")
        wide = models.build("resnet32", input_shape=(3, 32, 32), num_classes=10, head=head)
        wide.load_state_dict(narrow.state_dict())
        a, b = narrow.eval()(images()), wide.eval()(images())
        assert a.logits.dtype == a.features.dtype == torch.float32
        assert not torch.equal(a.features, b.features)
        assert float(F.cosine_similarity(a.features, b.features).detach().min()) > 0.99
        torch.testing.assert_close(narrow.head(a.features), a.logits)
