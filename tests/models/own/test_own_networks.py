"""Networks of one's own: what is built around them, what identifies them, and what is refused before training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import Tensor, nn

from longtail.facts.types import Outputs
from longtail.models import OwnNetwork, build_own
from longtail.models.conv_bn_fusion import merge_batch_norms
from longtail.models.heads import CosineClassifier, Experts
from longtail.models.own import check_factory

ROWS = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
PICTURES = torch.randint(0, 256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def mlp(num_classes: int, hidden: int = 6, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(nn.Linear(5, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes))


def sized(num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    width = int(np.prod(input_shape))
    return nn.Sequential(nn.Flatten(), nn.Linear(width, 6), nn.ReLU(), nn.Linear(6, num_classes))


class Convnet(nn.Module):
    """As people write them; its classifier has a name of its own."""

    def __init__(self, *, num_classes: int = 1000, **others: Any) -> None:
        assert not others
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        # not the order of the Sequential: merged batch norms would be wrong here
        x = self.stem[2](self.stem[0](x))
        return self.fc(self.stem[1](x).mean((2, 3)))  # type: ignore[no-any-return]


class Named(nn.Module):
    """Answers with `Outputs`."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(5, 6), nn.Linear(6, num_classes)

    def forward(self, x: Tensor) -> Outputs:
        features = self.body(x)
        return Outputs(self.head(features), features)


def of(factory: Any, rows: Tensor = ROWS) -> OwnNetwork:
    return OwnNetwork.of(factory, rows, 3)


@cases(
    ("factory", "rows"),
    [
        (mlp, ROWS),
        (sized, ROWS),
        (sized, PICTURES),
        (Convnet, PICTURES),
        (Named, ROWS),
        (lambda num_classes: nn.Linear(5, num_classes), ROWS),
        (partial(mlp, hidden=7), ROWS),
    ],
    ids=str,
)
def test_the_network_is_the_users_on_standardised_inputs(factory: Any, rows: Tensor) -> None:
    own = of(factory, rows)
    shape = tuple(rows.shape[1:])
    torch.manual_seed(7)
    ours = build_own(own.factory, input_shape=shape, num_classes=3).eval()
    torch.manual_seed(7)
    theirs = factory(num_classes=3, **({"input_shape": shape} if factory is sized else {})).eval()
    ours.standardize.fit(rows)
    values = rows / 255 if rows.dtype == torch.uint8 else rows
    axes = (0,) if rows.ndim == 2 else (0, 2, 3)
    mean, std = values.mean(axes, keepdim=True), values.std(axes, correction=0, keepdim=True)
    answer = theirs((values - mean) / std)
    expected = answer.logits if isinstance(answer, Outputs) else answer
    outputs = ours(rows)
    torch.testing.assert_close(outputs.logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.head(outputs.features), outputs.logits)


def test_merged_batch_norms_leave_it_as_it_is() -> None:
    network = build_own(Convnet, input_shape=(3, 8, 8), num_classes=3)
    network(PICTURES)  # moves the running statistics
    expected = network.eval()(PICTURES).logits
    assert torch.equal(merge_batch_norms(copy.deepcopy(network))(PICTURES).logits, expected)


def test_another_head_stands_in_the_place_of_the_last_layer() -> None:
    build: Callable[..., Any] = partial(build_own, mlp, input_shape=(5,), num_classes=3)
    assert isinstance(build(head="cosine").head, CosineClassifier)
    assert build(head="cosine")(ROWS).logits.abs().max() <= 1 + 1e-6
    experts = build(head="experts", head_args={"experts": 4})
    assert isinstance(experts.head, Experts)
    assert experts(ROWS).extra["experts"].shape == (4, 4, 3)
    with pytest.raises(ValueError, match="arguments of head cosine must be among none, got 'experts'"):
        build(head="cosine", head_args={"experts": 4})


class TestIdentity:
    def test_it_is_the_same_in_every_call(self) -> None:
        assert of(mlp).identity() == of(mlp).identity()
        assert of(mlp).name == f"{__name__}.mlp"
        assert of(partial(mlp, hidden=7)).name == f"{__name__}.mlp(hidden=7)"

    @cases("factory", [partial(mlp, hidden=7), partial(mlp, dropout=0.5)])
    def test_modules_and_their_settings_decide_the_structure(self, factory: Any) -> None:
        assert of(factory).structure != of(mlp).structure

    def test_pretrained_values_decide_the_weights_and_drawn_ones_do_not(self) -> None:
        def pretrained(num_classes: int, value: float = 0.5) -> nn.Module:
            model = mlp(num_classes)
            nn.init.constant_(model[0].weight, value)  # type: ignore[index,arg-type]
            return model

        first, same, other = of(pretrained), of(pretrained), of(partial(pretrained, value=0.25))
        assert first.weights == same.weights != other.weights
        assert first.structure == other.structure

    def test_checking_moves_no_generator(self) -> None:
        before = torch.get_rng_state()
        of(mlp)
        assert torch.equal(torch.get_rng_state(), before)


SHARED = mlp(3)
BODY = nn.Linear(5, 6)


def failing(num_classes: int) -> nn.Module:
    raise RuntimeError("no such file\nsecond line")


def unseeded(num_classes: int) -> nn.Module:
    model = mlp(num_classes)
    model[0].weight.data.copy_(torch.from_numpy(np.random.default_rng().normal(size=(6, 5))))  # type: ignore[index]
    return model


class Last(nn.Module):
    """Its classifier is registered before another layer."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(6, num_classes)
        self.body = nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]


class Pair(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(5, num_classes)

    def forward(self, x: Tensor) -> Any:
        return self.head(x), x


REFUSED = [
    (failing, r"network .*failing\(num_classes=3\) failed \(RuntimeError: no such file\); correct it"),
    (lambda num_classes: None, "must return an nn.Module, got None"),
    (lambda num_classes: SHARED, "must make a new network at each call"),
    (lambda num_classes: nn.Sequential(BODY, nn.Linear(6, num_classes)), "must make a new network at each call"),
    (unseeded, "must draw its initial weights from torch's generator alone"),
    (lambda num_classes: nn.Flatten(), "must end in an nn.Linear of 3 outputs, one per class, got a Flatten without"),
    (lambda num_classes: mlp(10), "got a Linear of 10 outputs as '3'; register that layer last and size it"),
    (Last, "got a Linear of 6 outputs as 'body'"),
    (lambda num_classes: nn.Sequential(nn.LazyLinear(num_classes)), "must have no lazy layers, got '0.weight'"),
    (
        lambda num_classes: nn.Linear(6, num_classes),
        r"cannot take inputs of shape \(4, 5\) \(RuntimeError: .*input_shape=",
    ),
    (Pair, r"must return logits of shape \(4, 3\), got a tuple"),
    (lambda num_classes: nn.Sequential(nn.Linear(5, num_classes), nn.Softmax(1)), "as they are, got other logits"),
    (
        lambda num_classes: nn.Sequential(mlp(num_classes), CosineClassifier(num_classes, num_classes)),
        "got a CosineClassifier of 3 outputs",
    ),
]


@cases(("factory", "message"), REFUSED, ids=str)
def test_what_cannot_be_trained_is_refused_in_one_line(factory: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        of(factory)
    assert "\n" not in str(raised.value)


@cases(
    ("factory", "message"),
    [
        (mlp(3), "must be a function of num_classes that returns a new nn.Module, got a Sequential"),
        ("resnet32", "must be a function of num_classes that returns a new nn.Module, got 'resnet32'"),
        (lambda classes: mlp(classes), r"must take num_classes= by name, got .*<lambda>\(classes\); rename"),
        (lambda num_classes, /: mlp(num_classes), "must take num_classes= by name"),
    ],
    ids=str,
)
def test_what_makes_no_networks_is_refused_before_data_are_read(factory: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        check_factory(factory)


def test_copies_of_what_is_shared_are_new_networks() -> None:
    assert of(lambda num_classes: copy.deepcopy(SHARED)).structure == of(mlp).structure
