"""The common recipe for each kind of data: one recipe for all methods of a comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from longtail.data import Splits
from longtail.data.read.cifar import MEAN, SOURCES, STD
from longtail.engine import Recipe
from longtail.learners.probe_protocols import chosen_probes
from longtail.models import RESIDUAL, Factory, choose
from longtail.models.own import OWN
from longtail.models.pretrained import PretrainedBody

SMALL_BATCH, LARGE_BATCH = 32, 128
TABLE_BATCHES = ((5_000, 32), (20_000, 128))
"""(rows, batch size): a table of fewer rows has that batch size; a larger one LARGEST_BATCH."""
LARGEST_BATCH = 512
SCALED = ((0.0,), (1.0,))
"""Mean and deviation that change nothing: a table's numbers are scaled already, its category codes must not be."""
WIDE_FROM = 32
"""Height and width in pixels from which images get a wide_resnet where there are rows without labels."""
STEPS_SMALL = 900
"""Training steps for a small in-memory data set by default; see docs/decisions."""

LDAM = Recipe(model="resnet32", standardize=(MEAN, STD), precision="auto")
"""The LDAM recipe for CIFAR, shared by most of the field (its code): ResNet-32, 200 epochs, batch 128, SGD with
momentum 0.9, learning rate 0.1, weight decay 2e-4 on everything, 5 epochs of warm-up, two drops of 100x."""
USB = replace(
    LDAM, epochs=256, steps=1024, batch_size=64, optimizer="sgd-nesterov", lr=0.03, weight_decay=5e-4, drop=1.0,
    warmup=0, model="wide_resnet", model_args={"momentum": 0.001},
)  # fmt: skip
"""USB's recipe for long-tailed CIFAR with few labels (its code): WRN-28-2, 262,144 steps, batch 64, SGD with Nesterov
momentum 0.9 at the constant learning rate 0.03, weight decay 5e-4 on everything."""
RECORDS = replace(
    LDAM, epochs=800, batch_size=256, lr=0.01, weight_decay=1e-3, decay="cosine", warmup=0, model="resnet18"
)
"""RECORDS' recipe for long-tailed CIFAR with candidate sets (its code): ResNet-18, 800 epochs, batch 256, SGD with
momentum 0.9, learning rate 0.01 along a cosine, weight decay 1e-3."""

NOISE = replace(LDAM, epochs=120, lr=0.01, weight_decay=5e-4, drop=0.1, drops=(1 / 3, 2 / 3), warmup=0, model="sce-cnn")
"""ABSGD's recipe for CIFAR-10 with wrong labels (its code, table 6): the network of SCE, 120 epochs, batch 128, SGD
with momentum 0.9, x0.1 at epochs 40 and 80. Learning rate and weight decay are ours, from the middle of its grids
(0.001 to 0.1, 1e-4 to 5e-3), which it searches for every cell. It also cuts the norm of gradients at 5 and has weight
decay 0.01 on the layer of 256 units, which a recipe here cannot say."""
NOISE_100 = replace(NOISE, model="resnet34")
"""The same for CIFAR-100 with ResNet-34, as in its code; the paper says ResNet-18 for symmetric noise."""


def default_recipe(splits: Splits, network: Factory | None = None, **changes: Any) -> Recipe:
    """Return the common recipe of a data set, with the user's changes.

    Where some rows have no labels, an epoch has for every method as many steps as a pass over all rows.

    Args:
        splits: the data.
        network: makes networks of the user's own, in place of `model`.
        changes: fields of `Recipe`; None means the default.
    """
    given = {k: v for k, v in changes.items() if v is not None}
    if network is not None:
        _check_own(splits, given)
    elif (start := given.get("pretrained")) is not None:
        given = _with_body(start, given)
    if "protocol" in given:
        given.setdefault("probe", chosen_probes(None, given["protocol"])[0].name)
    if "drop" in given or "drops" in given:
        given.setdefault("decay", "steps")  # a cosine has no drops
    size = len(splits.train) + (0 if splits.unlabeled is None else len(splits.unlabeled))
    recipe = _of_size(splits, size, given)
    if splits.unlabeled is not None and recipe.steps is None:
        recipe = replace(recipe, steps=-(-size // recipe.batch_size))
    if network is None:
        return _with_large(recipe, splits.train.input_shape)
    return replace(recipe, model="auto", model_args={}).with_network(network, splits.train)


def _with_large(recipe: Recipe, shape: tuple[int, ...]) -> Recipe:
    """The recipe with the default network of large images by its name, so that all CPU threads train it."""
    return replace(recipe, model=name) if recipe.model == "auto" and (name := choose(shape)) in RESIDUAL else recipe


def _with_body(start: PretrainedBody, given: dict[str, Any]) -> dict[str, Any]:
    """The user's changes, with the network of a pretrained body where none is named.

    Raises:
        ValueError: it is a network of the user's own.
    """
    if start.builder["name"] == OWN:
        raise ValueError(
            f"pretrained (--pretrained): {start.words} is a network of one's own, made by {start.builder['factory']}; "
            "pass that function in Python (network=)"
        )
    body = start.structure()
    if given.get("model", "auto") != "auto":
        return given
    return {**given, "model": body["model"], "model_args": {**body["model_args"], **given.get("model_args", {})}}


def _check_own(splits: Splits, given: dict[str, Any]) -> None:
    """Raise ValueError where the network cannot be the user's own."""
    if "model" in given or given.get("model_args"):
        raise ValueError("network and model both name the network, got both; leave one of them out")
    if getattr(splits.preparation, "categories", ()):
        raise ValueError(
            "network cannot be one's own for a table with columns of categories, whose codes are no numbers; "
            "pass numbers (one-hot), or drop these columns"
        )


def _of_size(splits: Splits, size: int, given: dict[str, Any]) -> Recipe:
    """The common recipe for so many training rows, with or without labels."""
    if getattr(splits.preparation, "kind", None) == "table":
        batch = next((batch for rows, batch in TABLE_BATCHES if size < rows), LARGEST_BATCH)
        return _for_table(splits.preparation, _small(size, given.get("batch_size", batch)), given)
    batch = SMALL_BATCH if size < 5000 else LARGE_BATCH
    recipe = LDAM if splits.facts.get("source") in SOURCES else _small(size, given.get("batch_size", batch))
    if splits.unlabeled is not None and given.get("model", "auto") == "auto":
        recipe = _semi_supervised(recipe, splits.train.input_shape)
        given.pop("model", None)
    return replace(recipe, **given)


def _semi_supervised(recipe: Recipe, shape: tuple[int, ...]) -> Recipe:
    """The same with the network of semi-supervised CIFAR for images of at least WIDE_FROM pixels.

    Its batch norms have momentum 0.1: at 0.001 a training of a thousand steps would be evaluated with statistics
    that are still those of the start.
    """
    if len(shape) < 3 or min(shape[-2:]) < WIDE_FROM:
        return recipe
    return replace(recipe, model="wide_resnet", model_args={"momentum": 0.1})


def _small(size: int, batch: int) -> Recipe:
    """The recipe for small in-memory data: 20 to 200 epochs, as many as make STEPS_SMALL steps; a cosine.

    After a drop of 100x the few steps that remain change nothing, deferred weights included
    (docs/decisions/0014-deferral.md).
    """
    steps = -(-size // batch)
    return Recipe(epochs=min(200, max(20, STEPS_SMALL // steps)), batch_size=batch, decay="cosine")


def _for_table(preparation: Any, recipe: Recipe, given: dict[str, Any]) -> Recipe:
    """The recipe of a prepared table: a network that embeds category codes, and inputs that are not scaled again.

    Raises:
        ValueError: another network, which would treat category codes as numbers.
    """
    model = given.get("model", "auto")
    if model in ("auto", "tabular"):
        columns = {"numeric": preparation.numeric, "categories": list(preparation.categories)}
        given = {**given, "model": "tabular", "model_args": {**given.get("model_args", {}), **columns}}
    elif preparation.categories:
        raise ValueError(
            f"model must be tabular for a table with columns of categories, got {model!r}; leave it out, or drop "
            "these columns"
        )
    return replace(recipe, **{"standardize": SCALED, **given})


def usual_threads(recipe: Recipe) -> int:
    """Return the CPU threads of one training: a small network is slower with a second one, the user's may be large."""
    return torch.get_num_threads() if recipe.model in RESIDUAL or recipe.own is not None else 1
