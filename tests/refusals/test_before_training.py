"""What cannot be trained is refused before the first run of a comparison, in one line, from Python and the shell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import nn

import longtail as lt
from longtail import losses
from longtail.cli import run
from longtail.data import Splits, load
from longtail.engine import Recipe
from longtail.facts.schedules import Schedule, switch
from longtail.methods import method, methods
from longtail.runs.train import Fit

SIZES = (60, 24, 12)
ROOM = (
    "batch_size must be at least 21 for batches with 7 rows of each of 3 classes, got 16 (and 80 rows an epoch); take "
    "larger batches or a smaller at_least"
)
PLACE = "place must be one of random, input, stage-1, features for this network, got 'stage-2'; choose one of these"
REFUSED = {
    "drs(at_least=7)": ROOM,
    "mixup(base='drs(at_least=7)')": ROOM,
    "class-aware-rs(per_class=9)": "batch_size must be at least 18, two classes of 9 rows, got 16 (and 80 rows an "
    "epoch); take larger batches or a smaller per_class",
    "manifold-mixup(place='stage-2')": PLACE,
    "manifold-mixup(base='drs(at_least=2)', place='stage-2')": PLACE,
}
ACCEPTED = (
    "drs(at_least=5)", "mixup(base='drs(at_least=5)')", "class-aware-rs(per_class=8)",
    "drs(sampler='class-aware', at_least=5)", "manifold-mixup(place='stage-1')", "manifold-mixup(place='features')",
)  # fmt: skip
RECIPE = Recipe(epochs=1, batch_size=16, model="mlp", model_args={"hidden": (8, 8)})


def arrays() -> tuple[Any, Any]:
    y = np.repeat(np.arange(3), SIZES)
    return np.random.default_rng(0).normal(size=(len(y), 4)) + y[:, None], y


def splits() -> Splits:
    return load(*arrays(), test=1 / 6)


def why(spec: str, recipe: Recipe = RECIPE) -> str | None:
    return method(spec).refuses_recipe(recipe, splits().train)


@cases("spec", REFUSED)
def test_a_method_that_its_recipe_does_not_fit_is_refused(spec: str) -> None:
    assert why(spec) == f"method {method(spec).spec!r}: {REFUSED[spec]}"
    with pytest.raises(ValueError, match="; "):
        Fit(spec, splits(), recipe=RECIPE)


@cases("spec", ACCEPTED)
def test_the_largest_that_fits_is_trained(spec: str) -> None:
    assert why(spec) is None
    assert np.isfinite([record["loss"] for record in Fit(spec, splits(), recipe=RECIPE)]).all()


def test_no_method_of_a_preset_stops_a_comparison_of_small_batches(caplog: pytest.LogCaptureFixture) -> None:
    small = Recipe(epochs=1, batch_size=4, model="mlp")
    chosen = {one.key for one in methods("all", task="supervised", data=splits().train, recipe=small)}
    assert "class-aware-rs" not in chosen
    assert "method 'class-aware-rs': batch_size must be at least 8" in caplog.text
    assert "drs" in chosen
    assert "batch_size must be at least 8, two classes of 4 rows, got 4" in str(
        why("drs(sampler='class-aware')", small)
    )


def test_places_of_a_network_with_branches_and_of_ones_own() -> None:
    one = splits().train
    assert why("manifold-mixup(base='ride', place='stage-2')") is not None
    assert why("manifold-mixup(base='ride', place='stage-1')") is None
    own = Recipe(epochs=1).with_network(lambda num_classes: nn.Sequential(nn.Linear(4, num_classes)), one)
    assert why("manifold-mixup(place='features')", own) is None
    text = why("manifold-mixup(place='stage-1')", own)
    assert text is not None
    assert "place must be one of random, input, features for this network" in text


@cases("spec", REFUSED)
def test_before_the_first_run_of_a_comparison(spec: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options: dict[str, Any] = {"model": "mlp", "epochs": 1, "batch_size": 16, "out": out, "seeds": 1, "test": 1 / 6}
    with pytest.raises(ValueError, match=r"^method ") as error:
        lt.compare(*arrays(), methods=["ce", spec], model_args={"hidden": (8, 8)}, **options)
    assert "\n" not in str(error.value)
    assert not out.exists()


SHELL = {
    "drs(at_least=4)": "method 'drs(at_least=4)': batch_size must be at least 40 ",
    "class-aware-rs(per_class=17)": "method 'class-aware-rs(per_class=17)': batch_size must be at least 34, two ",
    "manifold-mixup(place='stage-2')": "method \"manifold-mixup(place='stage-2')\": place must be one of random, ",
    "ldam(max_margin=-0.1)": "max_margin must be >= 0, got -0.1",
    "ldam-drw(max_margin=-0.1)": "max_margin must be >= 0, got -0.1",
    "logit-adjusted(tau=-1.0)": "tau must be >= 0, got -1.0",
    "logit-adjusted-posthoc(tau=-1)": "tau must be >= 0, got -1",
    "vs(tau=-0.5)": "tau must be >= 0, got -0.5",
    "vs(gamma=-0.5)": "gamma must be >= 0, got -0.5",
    "cdt(gamma=-0.2)": "gamma must be >= 0, got -0.2",
    "mm(delta_minus=-0.2)": "delta_minus must be",
    "cdt(gamma=30)": "method 'cdt' does not fit these rows: gamma must be at most 22 with these class_counts",
    "cdt-drw(gamma=30)": "method 'cdt-drw' does not fit these rows: gamma must be at most 22 with these class_counts",
    "vs(gamma=30)": "method 'vs' does not fit these rows: gamma must be at most 22 with these class_counts",
    "vs-tla-adrw(gamma=30)": "method 'vs-tla-adrw' does not fit these rows: gamma must be at most 22",
}


@cases("spec", SHELL)
def test_in_one_line_from_the_shell(spec: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["compare", "digits", "--methods", f"ce,{spec}", "--out", str(tmp_path / "out")]) == 2
    text = capsys.readouterr().err
    assert text.startswith(f"longtail: error: {SHELL[spec]}"), text
    assert "; " in text
    assert text.count("\n") == 1
    assert not (tmp_path / "out").exists()


NOTHING: dict[str, tuple[Callable[[], Any], str]] = {
    "weights of zeros": (lambda: losses.CrossEntropyLoss(class_weight=[0.0, 0.0]), "class_weight"),
    "weights by name": (
        lambda: losses.LDAMLoss([5, 2], class_weight={"a": 0.0, "b": 0.0}, classes=["a", "b"]),
        "class_weight",
    ),
    "a weight for an empty class only": (
        lambda: losses.CrossEntropyLoss([5, 2, 0], class_weight=torch.tensor([0.0, 0.0, 1.0])),
        "class_weight",
    ),
    "a re-weighted loss": (lambda: losses.CrossEntropyLoss().reweighed([0.0, 0.0], [5, 2]), "class_weight"),
    "alpha of zeros": (lambda: losses.FocalLoss(alpha=[0.0, 0.0]), "alpha"),
    "one alpha of zero": (lambda: losses.FocalLoss([5, 2], alpha=0.0), "alpha"),
    "alpha without counts": (lambda: losses.FocalLoss(alpha=0.0), "alpha"),
    "alpha of an empty class": (lambda: losses.FocalLoss([5, 2, 0], alpha=[0.0, 0.0, 1.0]), "alpha"),
    "pairwise alpha": (lambda: losses.PairwiseLoss([5, 2], alpha=0.0), "alpha"),
}


@cases("claim", NOTHING)
def test_factors_with_which_nothing_is_learnt_are_refused(claim: str) -> None:
    build, name = NOTHING[claim]
    with pytest.raises(ValueError, match=rf"^{name} must be > 0.*, got .*nothing is learnt, leave {name} out$"):
        build()


@cases("gamma", [23.0, switch(0.5, 0.0, 23.0)])
def test_factors_of_the_logits_that_vanish_are_refused(gamma: float | Schedule) -> None:
    for kind in (losses.CDTLoss, losses.VSLoss, losses.BinaryVSLoss):
        kind([100, 2], gamma=22.0)
        kind([5, 5], gamma=gamma)
        with pytest.raises(ValueError, match=r"^gamma must be at most 22 .* multiplied by 0, got 23.0; 0.2 is usual$"):
            kind([100, 2], gamma=gamma)


def test_some_zeros_are_accepted() -> None:
    z, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    assert losses.CrossEntropyLoss([5, 2, 1], class_weight=[0.0, 1.0, 0.0])(z, y) > 0
    assert losses.FocalLoss(alpha=[1.0, 0.0, 0.0])(z, y) > 0
