"""The network for tables: numbers as they are, codes through embeddings, and nothing else changes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from torch import Tensor

from longtail import models
from longtail.engine import Recipe
from longtail.models.bodies.tabular import NumbersAndCodes, embedding_width, tabular

NUMERIC, CATEGORIES = 3, (4, 1, 700)
BUILDER = {
    "name": "tabular", "input_shape": [6], "num_classes": 5, "numeric": NUMERIC, "categories": list(CATEGORIES),
}  # fmt: skip


def rows(count: int = 9, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(size, (count,), generator=generator) for size in CATEGORIES]
    return torch.cat([torch.randn(count, NUMERIC, generator=generator), torch.stack(codes, 1).float()], 1)


def made(seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return models.build(**{**BUILDER, **options})


def test_its_features_are_those_of_one_hot_rows_times_the_tables() -> None:
    network, x = made(), rows()
    entrance, layers = network.body
    with torch.no_grad():
        parts = [x[:, :NUMERIC]]
        for k, size in enumerate(CATEGORIES):
            parts.append(torch.eye(size)[x[:, NUMERIC + k].long()] @ entrance.embeddings[k].weight)
        expected = layers(torch.cat(parts, 1))
    torch.testing.assert_close(network(x).features, expected)
    assert network(x).features.shape == (9, 128)
    assert network(x).logits.shape == (9, 5)


@pytest.mark.parametrize(("size", "width"), [(1, 2), (2, 2), (4, 3), (10, 6), (100, 21), (700, 50), (10**6, 50)])
def test_an_embedding_is_as_wide_as_the_rule_says(size: int, width: int) -> None:
    assert embedding_width(size) == width


def test_an_unknown_category_starts_at_zero_and_others_with_the_weight_of_a_number() -> None:
    torch.manual_seed(0)
    table = NumbersAndCodes(0, [5000]).embeddings[0].weight.detach()
    assert table[0].eq(0).all()
    assert float(table[1:].square().sum(1).mean()) == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("code", [-1.0, 4.0, 1e9, -1e9, float("nan"), float("inf")])
def test_a_code_out_of_range_counts_as_unknown(code: float) -> None:
    network, x = made().eval(), rows()
    zero = x.clone()
    x[:, NUMERIC], zero[:, NUMERIC] = code, 0
    assert network(x).logits.equal(network(zero).logits)


def test_code_zero_is_learnt_where_training_rows_have_it() -> None:
    network, x = made(), rows()
    x[:, NUMERIC] = 0
    network(x).logits.square().sum().backward()
    assert network.body[0].embeddings[0].weight.grad[0].abs().sum() > 0
    assert network.body[0].embeddings[0].weight.grad[1:].abs().sum() == 0


def test_codes_pass_standardisation_untouched_under_a_tables_recipe() -> None:
    from longtail.data import Examples
    from longtail.engine.default_recipe import SCALED

    x = rows(50)
    data = Examples(x, torch.arange(50) % 5, tuple("abcde"))
    recipe = Recipe(model="tabular", model_args={"numeric": 3, "categories": [4, 1, 700]}, standardize=SCALED)
    network: Any = recipe.network(data)
    assert network.standardize(x).equal(x)


@pytest.mark.parametrize("shape", [(6,), (1, 4, 4)])
def test_without_categories_it_is_the_mlp(shape: tuple[int, ...]) -> None:
    options = {"input_shape": shape, "num_classes": 3, "hidden": (9, 7), "dropout": 0.25}
    torch.manual_seed(1)
    one = models.build("tabular", **options)
    torch.manual_seed(1)
    other = models.build("mlp", **options)
    assert str(one) == str(other)
    x = torch.randn(4, *shape)
    assert one.eval()(x).logits.equal(other.eval()(x).logits)


def test_without_hidden_layers_it_is_linear_in_numbers_and_embeddings() -> None:
    network = made(hidden=())
    assert network(rows()).features.shape == (9, NUMERIC + 3 + 2 + 50)


def test_it_is_rebuilt_from_json_and_its_weights() -> None:
    network = made(hidden=[8], dropout=0.5, head="cosine").eval()
    again = models.build(**json.loads(json.dumps({**BUILDER, "hidden": [8], "dropout": 0.5, "head": "cosine"})))
    again.load_state_dict(network.state_dict())
    assert again.eval()(rows()).logits.equal(network(rows()).logits)


@pytest.mark.slow
def test_it_is_copied_compiled_exported_and_cast() -> None:
    network, x = made().eval(), rows()
    expected = network(x).logits
    assert copy.deepcopy(network)(x).logits.equal(expected)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x).logits, expected)
    torch.testing.assert_close(torch.export.export(network, (x,)).module()(x).logits, expected)
    torch.testing.assert_close(copy.deepcopy(network).double()(x.double()).logits.float(), expected)
    mixed = made(precision="bfloat16").eval()(x).logits
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, expected, atol=0.1, rtol=0.1)


def test_its_shapes_are_checked_without_memory() -> None:
    with torch.device("meta"):
        models.build(**BUILDER)


def test_it_learns_what_only_the_categories_tell() -> None:
    torch.manual_seed(0)
    codes = torch.randint(1, 20, (400,))
    targets = (codes % 3 == 0).long()
    x = torch.stack([torch.randn(400), codes.float()], 1)
    network = models.build("tabular", input_shape=(2,), num_classes=2, numeric=1, categories=(20,))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x).logits, targets).backward()
        optimizer.step()
    assert (network(x).logits.argmax(1) == targets).float().mean() > 0.98


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numeric": 4}, r"input_shape must be \(D,\) with D = numeric \+ len\(categories\) = 7, got \(6,\)"),
        ({"numeric": 2}, r"= 5, got \(6,\)"),
        ({"numeric": -1}, "numeric must be an integer >= 0, got -1"),
        ({"categories": [4, 0, 700]}, "categories must be an integer >= 1, got 0"),
        ({"input_shape": (2, 3)}, r"input_shape must be \(D,\)"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"hidden": [0]}, "hidden must be an integer >= 1, got 0"),
        (
            {"width": 3},
            "arguments of tabular must be among .*, categories, hidden, dropout, branches, narrow, late, got 'width'",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)


def test_more_categories_than_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="numeric must be an integer >= 0, got -1"):
        tabular((2,), categories=(3, 3, 3))
