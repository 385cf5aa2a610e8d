"""The recipe: the LDAM schedule to the epoch, and values held against their rules before anything is loaded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import nn

from longtail.data import load
from longtail.engine import Recipe
from longtail.engine.default_recipe import LDAM, USB, default_recipe
from longtail.methods import method
from longtail.optim import LARS


def test_the_ldam_recipe_epoch_by_epoch() -> None:
    recipe = Recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.momentum, recipe.weight_decay) == (200, 128, 0.9, 2e-4)
    for e in range(200):
        # lr by epoch as its code has it: lr (e + 1) / 5, 0.1, x0.01 from 160, x0.0001 from 180
        expected = 0.1 * (e + 1) / 5 if e < 5 else 0.1 if e < 160 else 0.001 if e < 180 else 0.00001
        assert recipe.learning_rate(e / 200) == pytest.approx(expected, rel=1e-12), e


@pytest.mark.parametrize(
    ("epochs", "warmup", "first", "second"),
    [(10, 2, 8, 9), (20, 2, 16, 18), (50, 2, 40, 45), (100, 2, 80, 90), (140, 4, 112, 126), (400, 10, 320, 360)],
)
def test_shorter_and_longer_recipes_keep_the_fractions(epochs: int, warmup: int, first: int, second: int) -> None:
    recipe = Recipe(epochs=epochs, lr=1.0)
    found = [recipe.learning_rate(e / epochs) for e in range(epochs)]
    level = [1.0 if e < first else 0.01 if e < second else 0.0001 for e in range(epochs)]
    expected = [min(1.0, (e + 1) / warmup) * level[e] for e in range(epochs)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_cosine_goes_from_the_base_rate_to_nothing() -> None:
    recipe = Recipe(epochs=100, lr=0.4, decay="cosine", warmup=0)
    for e in range(100):
        assert recipe.learning_rate(e / 100) == pytest.approx(0.4 * (1 + math.cos(math.pi * e / 100)) / 2)


def test_optimisers_are_as_said() -> None:
    weight = nn.Parameter(torch.zeros(2))
    sgd = Recipe().make_optimizer([weight])
    assert isinstance(sgd, torch.optim.SGD)
    assert {k: sgd.defaults[k] for k in ("lr", "momentum", "nesterov", "weight_decay", "dampening")} == {
        "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 2e-4, "dampening": 0,
    }  # fmt: skip
    adamw = Recipe(optimizer="adamw", lr=1e-3).make_optimizer([weight])
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["weight_decay"] == 2e-4
    lars = Recipe(optimizer="lars", lr=0.3, momentum=0.8).make_optimizer([weight])
    assert isinstance(lars, LARS)
    assert lars.defaults == {"lr": 0.3, "momentum": 0.8, "weight_decay": 2e-4, "eta": 0.001, "vectors": False}


BAD = {
    "epochs 0": ({"epochs": 0}, "epochs must be an integer >= 1, got 0"),
    "epochs 2.5": ({"epochs": 2.5}, "epochs must be an integer >= 1, got 2.5"),
    "batch": ({"batch_size": 1}, "batch_size must be an integer >= 2, got 1"),
    "lr 0": ({"lr": 0}, "lr must be > 0, got 0"),
    "lr NaN": ({"lr": math.nan}, "lr must be > 0, got nan"),
    "lr inf": ({"lr": math.inf}, "lr must be > 0 and finite, got inf"),
    "momentum": ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
    "weight decay": ({"weight_decay": -1e-4}, "weight_decay must be >= 0, got -0.0001"),
    "warm-up": ({"warmup": -1}, "warmup must be an integer >= 0, got -1"),
    "optimizer": ({"optimizer": "adam"}, "optimizer must be one of sgd, sgd-nesterov, lars, adamw, got 'adam'"),
    "decay": ({"decay": "linear"}, "decay must be one of steps, cosine, got 'linear'"),
    "lr_per": ({"lr_per": "batch"}, "lr_per must be one of epoch, step, got 'batch'"),
    "model": ({"model": "resnet"}, r"model must be one of auto, linear, mlp, convnet.*, got 'resnet'"),
    "text": ({"epochs": "3"}, "epochs must be an integer >= 1, got '3'"),
}


@cases(("values", "message"), BAD.values(), ids=BAD.keys())
def test_bad_values_are_one_line(values: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as found:
        Recipe(**values)
    assert ";" in str(found.value)
    assert "\n" not in str(found.value)


def test_a_network_that_cannot_take_the_data_is_refused_without_drawing_a_number() -> None:
    splits = load(np.random.default_rng(0).normal(size=(40, 5)), [0, 1] * 20)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"input_shape must be .* for a convnet, got"):
        Recipe(model="convnet").check(splits.train)
    Recipe(model="mlp").check(splits.train)
    assert torch.get_rng_state().equal(before)


def test_the_default_recipe_fits_the_size_of_the_data() -> None:
    digits = default_recipe(load("digits"))
    assert (digits.epochs, digits.batch_size) == (100, 32)  # 276 images: 9 steps an epoch, 900 in all
    assert default_recipe(load("digits"), epochs=7, lr=None).epochs == 7


def test_small_data_have_a_cosine_and_asking_for_drops_gives_drops() -> None:
    splits = load("digits")
    assert default_recipe(splits).decay == "cosine"
    asked = default_recipe(splits, drop=0.1)
    assert (asked.decay, asked.drop) == ("steps", 0.1)
    assert default_recipe(splits, drop=0.1, decay="cosine").decay == "cosine"
    own = method("logit-adjusted").under(default_recipe(splits, kind="own"))
    assert (own.decay, own.drop) == ("steps", 0.1)  # its paper's drops


def test_the_published_recipe_keeps_its_drops() -> None:
    assert (LDAM.decay, LDAM.drop, LDAM.epochs) == ("steps", 0.01, 200)


def test_drops_are_where_a_paper_has_them() -> None:
    noisy = Recipe(epochs=120, lr=0.01, drop=0.1, drops=(1 / 3, 2 / 3), warmup=0)
    found = [noisy.learning_rate(e / 120) for e in (0, 39, 40, 79, 80, 119)]
    assert found == pytest.approx([0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4], rel=1e-12)
    assert "drops" not in Recipe().to_json()  # the identity of trainings of before
    assert noisy.to_json()["drops"] == (1 / 3, 2 / 3)
    assert default_recipe(load("digits"), drops=(0.5, 0.75)).decay == "steps"
    assert Recipe(drops=[0.5, 0.75]) == Recipe(drops=(0.5, 0.75))  # type: ignore[arg-type]


@pytest.mark.parametrize("drops", [(0.9, 0.8), (0.5,), (0, 0.5), (0.5, 1), (0.5, "1"), (True, 0.9), (0.5, 0.5), 0.5])
def test_drops_that_are_no_two_ascending_shares_are_refused(drops: Any) -> None:
    with pytest.raises(ValueError, match=r"^drops must be two ascending shares of the epochs .* got .*; .* is usual$"):
        Recipe(drops=drops)


def test_nesterov_is_torchs_and_the_recipe_of_usb() -> None:
    def weights(optimizer: str, **more: float) -> torch.Tensor:
        recipe = Recipe(optimizer=optimizer, lr=0.1, weight_decay=0.01, **more)  # type: ignore[arg-type]
        x = torch.tensor([1.0, -2.0], requires_grad=True)
        step = recipe.make_optimizer([x])
        for _ in range(3):
            step.zero_grad()
            (x**2).sum().backward()
            step.step()
        return x.detach()

    x, v = torch.tensor([1.0, -2.0]), torch.zeros(2)
    for _ in range(3):
        g = 2 * x + 0.01 * x
        v = 0.9 * v + g
        x = x - 0.1 * (g + 0.9 * v)
    torch.testing.assert_close(weights("sgd-nesterov"), x)
    assert not weights("sgd").equal(weights("sgd-nesterov"))
    assert weights("sgd", momentum=0.0).equal(weights("sgd-nesterov", momentum=0.0))
    own = method("fixmatch").under(Recipe(kind="own", decay="cosine", model="convnet"))
    assert {own.learning_rate(e / 100) for e in range(100)} == {0.03}
    assert (own.optimizer, own.batch_size, own.weight_decay, own.model) == ("sgd-nesterov", 64, 5e-4, "convnet")
    assert (USB.epochs * (USB.steps or 0), USB.optimizer, USB.lr) == (2**18, "sgd-nesterov", 0.03)
