"""What a run says of its encoder: probes by name, full rows, several draws, augmented features, measures."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import longtail as lt
from longtail.catalogue.probing import RowFeatures, augmented_features, plain_features
from longtail.cli import run as command
from longtail.data import Splits, load
from longtail.data.views import CropFlip
from longtail.engine import Recipe
from longtail.learners.probes import PROBES, probe
from longtail.metrics import evaluate
from longtail.models.build import build
from longtail.report import tables
from longtail.runs.embeddings import embed
from longtail.runs.feature_terms import feature_measures
from longtail.runs.predictor import Predictor
from longtail.runs.probe_scores import deviations
from longtail.runs.run import Run
from longtail.runs.train import train

GENERATOR = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], 60)
IMAGES = (GENERATOR.random((180, 8, 8)) * 0.5 + Y[:, None, None] / 4).astype(np.float32)
FEW = "few-shot-5x2"
RECIPE = Recipe(epochs=1, batch_size=32, model="convnet", model_args={"width": 2})


def images() -> Splits:
    """Small images that are cropped and flipped in training, cut to a long tail."""
    found = load(IMAGES, Y, ratio=10, keep_cut=True)
    assert found.cut_rows is not None
    parts: Any = {name: replace(getattr(found, name), augment=CropFlip()) for name in ("train", "cut_rows")}
    return replace(found, **parts)


DATA = images()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(
        "simclr", DATA, folder=tmp_path_factory.mktemp("full") / "run", recipe=replace(RECIPE, probe="full-linear")
    )


class TestProbes:
    def test_the_named_one_comes_before_those_of_every_table(self, run: Run) -> None:
        assert list(run.result["probes"]) == ["full-linear", *PROBES]
        assert run.predictions()["scores"].equal(run.predictions()["probe.full-linear"])
        assert run.result["probes"]["full-linear"]["balanced_accuracy"] == run.scores["balanced_accuracy"]

    def test_on_full_rows_are_fitted_on_the_cut_ones_too(self, run: Run) -> None:
        from longtail.learners.probe_fits import fit_linear

        assert DATA.cut_rows is not None
        network: Any = run.predictor.network
        x = torch.cat([network.features(part.inputs) for part in (DATA.train, DATA.cut_rows)])  # type: ignore[union-attr]
        head = copy.deepcopy(network.head)
        fit_linear(head, x.detach(), torch.cat([DATA.train.targets, DATA.cut_rows.targets]))
        torch.testing.assert_close(network.head.weight, head.weight, rtol=1e-4, atol=1e-5)

    def test_the_model_is_saved_with_its_probe(self, run: Run, tmp_path: Path) -> None:
        for name in ("svm@once", "full-knn-3-raw", "few-shot-5-adam"):
            other = train("simclr", DATA, folder=tmp_path / name, recipe=replace(RECIPE, probe=name))
            scores = lt.load(other.folder).scores(DATA.test.inputs)  # type: ignore[union-attr]
            assert scores.equal(other.predictions()[f"probe.{name}"]), name
            assert other.config["recipe"]["probe"] == name

    def test_of_several_draws_are_averaged(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("longtail.engine.recipe.shown_probes", lambda *_: (probe("linear"), probe(FEW)))
        found = train("simclr", DATA, folder=tmp_path / "run", recipe=RECIPE)
        arrays = found.predictions()
        each = [
            evaluate(arrays[f"probe.{FEW}#{draw}"], arrays["targets"], class_counts=DATA.class_counts)
            for draw in range(2)
        ]
        assert not arrays[f"probe.{FEW}#0"].equal(arrays[f"probe.{FEW}#1"])
        shown = found.result["probes"][FEW]
        for name in ("balanced_accuracy", "few"):
            assert shown[name] == pytest.approx((each[0][name] + each[1][name]) / 2)
        means = [(each[0][g] + each[1][g]) / 2 for g in ("many", "medium", "few")]
        assert shown["std_sample"] == pytest.approx(np.std(means, ddof=1))

    def test_full_rows_are_refused_without_the_cut_ones(self, tmp_path: Path) -> None:
        with pytest.raises(
            ValueError, match=r"^probe full-linear needs the training rows .*; choose linear, or cut them"
        ):
            train("simclr", load(IMAGES, Y), folder=tmp_path / "run", recipe=replace(RECIPE, probe="full-linear"))
        assert not (tmp_path / "run").exists()


class TestFeatures:
    def network(self) -> Any:
        torch.manual_seed(0)
        return build("convnet", input_shape=(1, 8, 8), num_classes=3, width=2)

    def test_are_augmented_once_or_anew_in_every_epoch(self) -> None:
        source = RowFeatures(self.network(), DATA.train)
        rows = torch.arange(5)
        plain, once, live = (source.of(views, rows) for views in ("", "once", "live"))
        assert plain(0).equal(plain(1))
        assert once(0).equal(once(1))
        assert not once(0).equal(plain(0))
        assert not live(0).equal(live(1))
        assert live(1).equal(live(1))

    def test_stay_with_their_row(self) -> None:
        rows = replace(DATA.train, augment=None)
        network = self.network()
        torch.testing.assert_close(augmented_features(network, rows), plain_features(network, rows))

    def test_never_leave_the_batch_norms_in_training_mode(self, run: Run) -> None:
        model, rows = lt.load(run.folder), torch.from_numpy(IMAGES)[:, None]
        model.network.train()
        first = model.embed(rows)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        RowFeatures(model.network, DATA.train).fitted(probe("sgd@live"), lambda *_: torch.nn.Linear(first.shape[1], 3))
        assert not any(module.training for module in model.network.modules())
        assert model.embed(rows).equal(first)
        torch.testing.assert_close(model.features(rows, batch_size=7), first)
        torch.testing.assert_close(torch.cat([model.embed(one[None]) for one in rows[:3]]), first[:3])
        assert all(value.equal(state[name]) for name, value in model.state_dict().items())


class TestEmbeddings:
    def test_are_the_features_as_numbers_on_the_cpu(self, run: Run) -> None:
        model, rows = lt.load(run.folder), torch.from_numpy(IMAGES)[:, None]
        found = model.embed(rows)
        assert (found.shape, found.dtype) == ((180, 16), torch.float32)
        assert not found.requires_grad
        assert model.embed(IMAGES).equal(found)
        assert embed(model, IMAGES).X.equal(found)

    def test_of_files_are_those_of_their_folder_and_of_predict(self, tmp_path: Path, capsys: Any) -> None:
        pictures = pytest.importorskip("tests.pictures")
        root = pictures.folder(tmp_path / "photos", {"a": 8, "b": 8})
        words = ["train", str(root), "--task", "self-supervised", "--epochs", "1", "--size", "8"]
        assert command([*words, "--out", str(tmp_path / "run")]) == 0
        assert "simclr on photos" in capsys.readouterr().out
        assert command(["predict", str(tmp_path / "run"), str(root), "--out", str(tmp_path / "x.npz")]) == 0
        stored, model = np.load(tmp_path / "x.npz"), lt.load(tmp_path / "run")
        paths = [str(root / name) for name in stored["files"]]
        assert model.embed(paths).equal(torch.from_numpy(stored["X"]))
        assert model.embed(root).equal(torch.from_numpy(stored["X"]))
        torch.testing.assert_close(model.embed(paths[3]), torch.from_numpy(stored["X"][3:4]))
        found = load(root, features=tmp_path / "x.npz", size=None)
        assert found.train.input_shape == (stored["X"].shape[1],)

    def test_a_task_must_be_the_methods(self, tmp_path: Path, capsys: Any) -> None:
        out = str(tmp_path / "run")
        assert command(["train", "digits", "--task", "self-supervised", "--method", "ce", "--out", out]) == 2
        said = "task (--task) must be that of the method, supervised for ce, got 'self-supervised'; leave it out"
        assert said in capsys.readouterr().err

    def test_of_a_model_without_features_there_are_none(self) -> None:
        model = Predictor(torch.nn.Linear(4, 3), ("a", "b", "c"), DATA.class_counts)
        with pytest.raises(ValueError, match=r"^the model has no features to embed by"):
            model.embed(torch.zeros(2, 4))


class TestMeasures:
    def test_are_stored_by_row_and_read_from_there(self, run: Run) -> None:
        arrays, found = run.predictions(), run.result["features"]
        for name in ("alignment", "uniformity", "spread"):
            assert arrays[f"features.{name}"].shape == (len(DATA.test),)
        assert found == feature_measures(arrays, DATA.class_counts)
        assert found["alignment"] == pytest.approx(arrays["features.alignment"].mean().item())
        assert found["uniformity"] == pytest.approx(math.log(arrays["features.uniformity"].mean()))
        assert found["spread_few"] == pytest.approx(found["spread"][2])
        assert Run.load(run.folder).result["features"] == found
        assert 0 < found["alignment"] < 2
        assert -4 <= found["uniformity"] <= 0

    def test_each_row_has_at_most_so_many_partners(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        from longtail.runs import feature_measures as module

        whole = module.measure_arrays(run.predictor, DATA)
        monkeypatch.setattr(module, "PARTNERS", 20)
        some = module.measure_arrays(run.predictor, DATA)
        assert some["features.alignment"].equal(whole["features.alignment"])
        assert not some["features.uniformity"].equal(whole["features.uniformity"])
        assert float(some["features.uniformity"].mean()) == pytest.approx(
            float(whole["features.uniformity"].mean()), 0.2
        )

    def test_a_class_of_one_tested_row_has_no_spread(self) -> None:
        terms = {f"features.{name}": torch.full((5,), 0.5).double() for name in ("alignment", "uniformity", "spread")}
        found = feature_measures({**terms, "targets": torch.tensor([0, 0, 1, 1, 2])}, torch.tensor([30, 20, 10]))
        assert found["spread"] == [0.5, 0.5, None]
        assert found["spread_few"] is None
        assert feature_measures({"targets": torch.tensor([0])}, torch.tensor([3, 1])) == {}


def test_the_published_std_of_gh_is_that_of_a_sample() -> None:
    found = deviations([54.97, 49.39, 47.67])
    assert found["std_sample"] == pytest.approx(3.816, abs=5e-4)
    assert found["std_population"] == pytest.approx(3.116, abs=5e-4)
    assert deviations([1.0, None, 2.0]) == {"std_population": None, "std_sample": None}


def test_a_protocol_is_named_with_its_differences_in_every_table(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 1, "jobs": 1, "seeds": 1, "model": "convnet", "model_args": {"width": 2}}
    found = lt.compare(
        IMAGES, Y, ratio=10, methods="simclr", task="self-supervised", protocol="ts", out=tmp_path / "out", **options
    )
    assert found.summary["probe"] == "svm@once"
    names = ["svm@once", "few-shot-svm@once", "knn-10@once", "knn-1@once"]
    (row,) = [row for row in found.rows if row["method"] == "simclr"]
    assert list(row["probes"]) == names
    assert {"std_population", "std_sample"} <= row["probes"][names[0]]["mean"].keys()
    assert len(row["features"]["mean"]["spread"]) == 3
    for text in (tables.plain(found.summary), tables.markdown(found.summary), tables.html(found.summary)):
        assert "rows of this kind have no such augmentation" in text
        assert "Protocol ts, as in Kukleva et al. 2023" in text
        assert "alignment" in text
        assert "std of groups (population)" in text
