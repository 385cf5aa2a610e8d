"""Trainings that start from the encoder of a run: what is copied, what identifies them, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import longtail as lt
from longtail.cli import run as command
from longtail.data import TrainingSet, load
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.methods import method
from longtail.runs.pretrained import pretrained_body
from longtail.runs.run import Run
from longtail.runs.train import train

Y = np.repeat([0, 1, 2], 30)
X = (np.random.default_rng(0).random((90, 8, 8)) + Y[:, None, None] / 4).astype(np.float32)
RECIPE = Recipe(epochs=1, batch_size=32, model="convnet", model_args={"width": 2})
DATA = load(X, Y)
PARTS = ("standardize.", "body.")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train("simclr", DATA, folder=tmp_path_factory.mktemp("encoder") / "run", recipe=RECIPE)


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in network.state_dict().items() if k.startswith(PARTS)}


@pytest.mark.parametrize("spec", ["ce", "ldam-drw", "mixup", "sam", "simclr"])
def test_every_network_starts_from_its_layers_under_a_new_head(encoder: Run, spec: str) -> None:
    recipe = default_recipe(DATA, pretrained=pretrained_body(encoder.folder))
    assert (recipe.model, recipe.model_args) == ("convnet", {"width": 2})
    first, *_ = method(spec).stages(recipe)
    torch.manual_seed(0)
    network = first.build(TrainingSet.of(DATA), None).learner.get_submodule("network")
    expected = weights(encoder.predictor.network)
    assert expected.keys() == weights(network).keys()
    assert all(value.equal(expected[name]) for name, value in weights(network).items())
    heads = [net.state_dict().get("head.weight") for net in (network, encoder.predictor.network)]
    assert heads[0] is None or heads[1] is None or not heads[0].equal(heads[1])


def test_a_random_encoder_stays_random(encoder: Run) -> None:
    recipe = default_recipe(DATA, pretrained=pretrained_body(encoder.folder))
    first, *_ = method("random-encoder").stages(recipe)
    network = first.build(TrainingSet.of(DATA), None).learner.get_submodule("network")
    expected = weights(encoder.predictor.network)
    assert not all(value.equal(expected[name]) for name, value in weights(network).items())


def test_the_weights_belong_to_the_identity_and_the_folder_does_not(encoder: Run, tmp_path: Path) -> None:
    body = pretrained_body(encoder.folder)
    other = pretrained_body(train("ce", DATA, folder=tmp_path / "ce", recipe=RECIPE).folder)
    assert len(body.weights) == 64
    assert body.weights != other.weights
    assert "pretrained" not in RECIPE.to_json()
    made = lt.fit("ce", DATA, pretrained=encoder.folder, folder=tmp_path / "run", recipe=RECIPE)
    list(made)
    assert made.run.config["recipe"]["pretrained"] == {"weights": body.weights}
    with pytest.raises(ValueError, match=r"holds another configuration: recipe.pretrained.weights is"):
        list(lt.fit("ce", DATA, pretrained=tmp_path / "ce", folder=tmp_path / "run", recipe=RECIPE))
    moved = tmp_path / "moved"
    encoder.folder.rename(moved)
    try:
        assert pretrained_body(moved).weights == body.weights
    finally:
        moved.rename(encoder.folder)


def test_a_comparison_starts_every_method_from_it_and_says_so(encoder: Run, tmp_path: Path) -> None:
    found = lt.compare(
        X, Y, methods="ce,ldam-drw", pretrained=encoder.folder, epochs=1, seeds=1, jobs=1, out=tmp_path / "out"
    )
    weights = pretrained_body(encoder.folder).weights
    assert found.summary["recipe"]["pretrained"] == {"weights": weights}
    note = f"networks start from the encoder of simclr in {encoder.folder} (weights {weights[:8]}), not from random"
    assert note in found.summary["data"]["notes"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("trees", "trains a scikit-learn classifier, which cannot start from the encoder of simclr in"),
        ("ssp", "starts from a training of its own, not from the encoder of simclr in"),
        ("ride", "has another network than the encoder of simclr in"),
    ],
)
def test_a_method_that_cannot_is_refused_by_both_names(encoder: Run, spec: str, words: str, tmp_path: Path) -> None:
    for call in (lt.fit, lambda m, *a, **k: lt.compare(*a, methods=f"ce,{m}", out=tmp_path / "o", epochs=10, **k)):
        with pytest.raises(ValueError, match=f"^method '{spec}' {words}") as caught:
            call(spec, X, Y, pretrained=encoder.folder)  # type: ignore[operator]
        assert "leave it out, or leave out pretrained (--pretrained)" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_data_or_a_network_that_do_not_fit_are_one_line_before_training(encoder: Run, tmp_path: Path) -> None:
    large: Any = np.tile(X, (1, 2, 2))
    must = r"must take the inputs of the data, of shape \(1, 16, 16\), got the encoder of simclr .* takes \(1, 8, 8\)"
    with pytest.raises(ValueError, match=rf"^pretrained \(--pretrained\) {must}"):
        lt.compare(large, Y, methods="ce", pretrained=encoder.folder, out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"^pretrained \(--pretrained\) must take the inputs"):
        lt.fit("ce", large, Y, pretrained=encoder.folder)
    with pytest.raises(ValueError, match=r"\(mlp in place of convnet\)"):
        lt.compare(X, Y, methods="ce", model="mlp", pretrained=encoder.folder, out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"^pretrained \(--pretrained\): .* is not a folder"):
        lt.compare(X, Y, methods="ce", pretrained=tmp_path / "nothing", out=tmp_path / "out")
    flat = load(X.reshape(90, -1)[:, :4], Y)
    trees = train("trees", flat, folder=tmp_path / "trees", recipe=Recipe(epochs=1))
    with pytest.raises(
        ValueError, match=r"^pretrained \(--pretrained\) must be a run that trained a network, got .* is estim"
    ):
        lt.fit("ce", flat, pretrained=trees.folder)
    assert not (tmp_path / "out").exists()


def test_a_table_must_be_prepared_alike(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.reshape(90, -1)[:, :3], columns=list("abc")).assign(label=Y)
    run = train(
        "simclr",
        load(frame, label="label"),
        folder=tmp_path / "run",
        recipe=default_recipe(load(frame, label="label"), epochs=1),
    )
    list(lt.fit("ce", frame, label="label", pretrained=run.folder))
    other = frame.assign(a=frame["a"] * 2)
    with pytest.raises(ValueError, match=r"^pretrained \(--pretrained\) must have been trained on the same table"):
        lt.fit("ce", other, label="label", pretrained=run.folder)


def test_on_the_command_line(encoder: Run, tmp_path: Path, capsys: Any) -> None:
    np.savez(tmp_path / "data.npz", X=X, y=Y)
    words = [str(tmp_path / "data.npz"), "--pretrained", str(encoder.folder), "--epochs", "1"]
    assert command(["train", *words, "--method", "ce", "--out", str(tmp_path / "tuned")]) == 0
    assert Run.load(tmp_path / "tuned").config["recipe"]["pretrained"]["weights"]
    assert command(["train", *words, "--method", "ride", "--out", str(tmp_path / "no")]) == 2
    assert "method 'ride' has another network than the encoder of simclr" in capsys.readouterr().err


@pytest.mark.parametrize("given", [5, ["run"], True])
def test_what_is_no_path_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"^pretrained must be the folder of a run, got .*; name what longtail train"):
        lt.compare(X, Y, methods="ce", pretrained=given)
