"""The networks: shapes, standardised inputs, rebuilding from JSON, and that they learn."""

import json

import pytest
import torch
from tests.cases import cases
from torch import nn

from longtail import models
from longtail.facts.types import Outputs
from longtail.models import Standardize
from longtail.models.heads import CosineClassifier, swap_head

SHAPES = [
    ("linear", (7,), 7),
    ("linear", (1, 4, 4), 16),
    ("mlp", (7,), 128),
    ("mlp", (8, 8), 128),
    ("mlp", (3, 5, 4), 128),
    ("convnet", (8, 8), 128),
    ("convnet", (1, 8, 8), 128),
    ("convnet", (3, 9, 15), 128),
    ("convnet", (1, 28, 28), 128),
    ("convnet", (3, 32, 32), 128),
]
each = pytest.mark.parametrize(("name", "shape", "width"), SHAPES, ids=[f"{n}{s}" for n, s, _ in SHAPES])


@each
@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_every_network_answers_with_logits_and_the_features_that_made_them(name, shape, width, head):
    torch.manual_seed(0)
    model = models.build(name, input_shape=shape, num_classes=5, head=head)
    outputs = model(torch.randn(4, *shape))
    assert isinstance(outputs, Outputs)
    assert outputs.logits.shape == (4, 5)
    assert outputs.features.shape == (4, width)
    assert torch.equal(model.head(outputs.features), outputs.logits)
    outputs.logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@each
def test_a_network_is_rebuilt_from_json_and_its_weights(name, shape, width):
    args = {"linear": {}, "mlp": {"hidden": [9, 6], "dropout": 0.25}, "convnet": {"width": 3}}[name]
    builder = {"name": name, "input_shape": list(shape), "num_classes": 3, "head": "cosine", **args}
    rows = torch.randn(20, *shape)
    model = models.build(**builder)
    model.standardize.fit(rows)
    model(rows)
    again = models.build(**json.loads(json.dumps(builder)))
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(rows).logits, model.eval()(rows).logits)


@each
def test_swap_head_finds_the_head(name, shape, width):
    model = models.build(name, input_shape=shape, num_classes=3)
    body = list(model.body.parameters())
    assert isinstance(swap_head(model, CosineClassifier).head, CosineClassifier)
    assert isinstance(swap_head(model, nn.Linear).head, nn.Linear)
    assert all(a is b for a, b in zip(body, model.body.parameters(), strict=True))


def test_networks_follow_torchs_global_generator():
    def first(seed):
        torch.manual_seed(seed)
        return models.build("convnet", input_shape=(8, 8), num_classes=3).state_dict()

    one, same, other = first(0), first(0), first(1)
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one["body.0.weight"], other["body.0.weight"])


def test_convolutions_start_as_kaiming_has_it():
    torch.manual_seed(0)
    weight = models.build("convnet", input_shape=(1, 8, 8), num_classes=3, width=256).body[4].weight
    assert weight.shape == (512, 256, 3, 3)
    assert float(weight.detach().std()) == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_dropout_acts_in_training_only():
    model = models.build("mlp", input_shape=(6,), num_classes=3, dropout=0.5)
    x = torch.randn(4, 6)
    assert not torch.equal(model(x).features, model(x).features)
    model.eval()
    assert torch.equal(model(x).features, model(x).features)
    assert not any(isinstance(m, nn.Dropout) for m in models.build("mlp", input_shape=(6,), num_classes=3).modules())


@pytest.mark.parametrize("shape", [(6,), (3, 5, 4)])
def test_standardised_training_rows_have_mean_zero_and_deviation_one(shape):
    generator = torch.Generator().manual_seed(0)
    # more rows than one chunk, and a mean far from zero
    rows = 1000 + 3 * torch.randn(5000, *shape, dtype=torch.float64, generator=generator)
    module = Standardize(shape[0]).fit(rows)
    per = rows.movedim(1, -1).reshape(-1, shape[0])
    torch.testing.assert_close(module.mean, per.mean(0).float())
    torch.testing.assert_close(module.std, per.std(0, correction=0).float())
    out = module.double()(rows).movedim(1, -1).reshape(-1, shape[0])
    torch.testing.assert_close(out.mean(0), torch.zeros(shape[0]).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std(0), torch.ones(shape[0]).double(), atol=1e-3, rtol=0)


def test_constant_features_are_centred_and_not_blown_up():
    rows = torch.tensor([[0.0, 0.1, 1e8, 1.0], [0.0, 0.1, 1e8, 3.0], [0.0, 0.1, 1e8, 5.0]])
    module = Standardize(4).fit(rows)
    assert module.std[:3].tolist() == [1, 1, 1]
    assert module(rows)[:, :3].abs().max() == 0
    assert Standardize(1).fit(torch.full((5000, 1), 0.1)).std.item() == 1


def test_uint8_images_count_as_shares_of_255():
    image = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    as_bytes, as_floats = Standardize(3).fit(image), Standardize(3).fit(image.double() / 255)
    torch.testing.assert_close(as_bytes.mean, as_floats.mean)
    torch.testing.assert_close(as_bytes.std, as_floats.std)
    torch.testing.assert_close(as_bytes(image), as_floats(image.float() / 255))


def test_grey_images_need_no_channel_axis():
    images = torch.randn(20, 8, 8)
    model = models.build("convnet", input_shape=(8, 8), num_classes=3).eval()
    model.standardize.fit(images)
    torch.testing.assert_close(model(images).logits, model(images[:, None]).logits)


@pytest.mark.parametrize(
    ("shape", "name"),
    [((64,), "mlp"), ((8, 8), "convnet"), ((1, 8, 8), "convnet"), ((3, 28, 28), "convnet"), ((1, 7, 8), "mlp"),
     ((4, 4), "mlp")],
)  # fmt: skip
def test_choose_takes_the_convnet_for_images_it_can_see(shape, name):
    assert models.choose(shape) == name
    models.build(models.choose(shape), input_shape=shape, num_classes=2)(torch.zeros(2, *shape))


DEEP = ("resnet34", "resnet50", "resnet101", "resnet152", "densenet", "coteaching-cnn")
"""Their blocks are tested in tests/models/bodies; to train all layers takes minutes."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in models.RESIDUAL else ())
        for name in models.BUILDERS
        if name not in DEEP
    ],
)
def test_every_network_learns(name):
    torch.manual_seed(0)
    rows = 100 if name in ("resnet18", "preact-resnet18", "resnet32", "sce-cnn") else 200
    targets = torch.arange(rows) % 2
    images = torch.randn(rows, 1, 8, 8)
    images[targets == 1, :, :4] += 1.5
    wide, steps = ({"narrow": 0.25}, 15) if name in ("resnet18", "preact-resnet18") else ({}, 30)
    model = models.build(name, input_shape=(1, 8, 8), num_classes=2, **wide)
    model.standardize.fit(images)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images).logits, targets).backward()
        optimizer.step()
    assert (model.eval()(images).logits.argmax(1) == targets).double().mean() > 0.95


@pytest.mark.slow
def test_a_network_is_compiled_and_exported_whole():
    model = models.build("convnet", input_shape=(1, 8, 8), num_classes=3).eval()
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x).logits, model(x).logits)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x).logits, model(x).logits)


@cases(
    ("arguments", "message"),
    [
        (
            {"name": "convnett"},
            "name must be one of linear, mlp, convnet, resnet18, resnet32, resnet34, resnet50, resnet101, "
            "resnet152, densenet, wide_resnet, sce-cnn, coteaching-cnn, preact-resnet18, tabular, got 'convnett'",
        ),
        ({"name": "resnet"}, "name must be one of"),
        (
            {"head": "cosin"},
            "head must be one of linear, cosine, experts, frame, meta-embedding, ncm, neighbours, projection, "
            "rescaled, unit-linear, got 'cosin'",
        ),
        (
            {"name": "mlp", "width": 3},
            "arguments of mlp must be among hidden, dropout, .*, narrow, late, got 'width'",
        ),
        ({"name": "linear", "width": 3}, "arguments of linear must be among branches, narrow, late, got 'width'"),
        ({"input_shape": (64,)}, r"input_shape must be .* >= 8 for a convnet, got \(64,\); use mlp"),
        ({"input_shape": (1, 7, 9)}, "for a convnet"),
        ({"input_shape": ()}, "it leaves out N"),
        ({"num_classes": 1}, "num_classes must be >= 2, got 1"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"name": "mlp", "hidden": [0]}, "hidden must be an integer >= 1, got 0"),
        ({"name": "mlp", "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.build(**{"name": "convnet", "input_shape": (1, 8, 8), "num_classes": 3, **arguments})


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"inputs must have shape \(N, 3\) or \(N, 3, H, W\), got \(2, 4\)"):
        Standardize(3)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="inputs must hold at least one row"):
        Standardize(3).fit(torch.zeros(0, 3))
