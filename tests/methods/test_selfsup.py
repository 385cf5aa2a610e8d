"""simclr, the random encoder and their probes: what is learnt, from which rows, and what a run says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.functional import partial_and_contrast_formulas as formulas
from tests.methods import task_data

import longtail as lt
from longtail.catalogue.encoders import all_rows
from longtail.cli import run as command
from longtail.comparison import Comparison
from longtail.data import Splits, TrainingSet, load
from longtail.engine import Recipe, Training
from longtail.facts import json_documents
from longtail.learners.branches import Shared
from longtail.learners.probes import PROBES
from longtail.methods import method
from longtail.metrics import evaluate
from longtail.models.heads import Projection
from longtail.report import tables
from longtail.runs.run import Run
from longtail.runs.train import train

RECIPE = Recipe(epochs=4, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,)})
DATA = task_data.splits("self-supervised")


def encoder(spec: str, data: Splits = DATA, recipe: Recipe = RECIPE) -> dict[str, torch.Tensor]:
    """The encoder's state after its stage."""
    training = Training(method(spec).stages(recipe), TrainingSet.of(data))
    list(training)
    return dict(training.state()["before"][0])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(t.equal(other[name]) for name, t in one.items() if ".head." not in name)


class TestTheEncoder:
    @pytest.mark.slow
    def test_learns_from_two_views_of_a_batch_by_the_papers_loss(self) -> None:
        (stage, _) = method("simclr(t=0.5)").stages(RECIPE)
        torch.manual_seed(0)
        learner, rows, _ = stage.build(TrainingSet.of(DATA), None)
        batch = next(iter(rows.batches(0.0, torch.Generator().manual_seed(0))))
        first, second = batch["inputs"]
        assert not first.equal(second)
        step = learner.training_step(batch, 0.0)
        z1, z2 = (z.double().tolist() for z in learner.network(torch.cat([first, second])).logits.chunk(2))
        expected = torch.tensor(formulas.nt_xent(z1, z2, 0.5))
        torch.testing.assert_close(step.losses, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(step.loss, expected.mean(), rtol=1e-4, atol=1e-4)

    @pytest.mark.slow
    def test_one_pass_or_one_for_each_view(self) -> None:
        joint, split = encoder("simclr"), encoder("simclr(passes='split')")
        assert not same(joint, split)
        (stage, _) = method("simclr(passes='split')").stages(RECIPE)
        learner, rows, _ = stage.build(TrainingSet.of(DATA), None)
        views = next(iter(rows.batches(0.0, torch.Generator().manual_seed(0))))["inputs"]
        norm = learner.network.head.layers[1]
        learner.training_step({"inputs": views, "index": torch.arange(16)}, 0.0)
        assert int(norm.num_batches_tracked) == 2
        # a single row has no statistics of its own
        learner.training_step({"inputs": tuple(v[:1] for v in views), "index": torch.arange(1)}, 0.0)
        assert int(norm.num_batches_tracked) == 3
        with pytest.raises(ValueError, match=r'^passes must be "joint" or "split", got \'both\''):
            Shared("both")

    def test_never_sees_a_label(self) -> None:
        shuffled = DATA.train.targets[torch.randperm(len(DATA.train), generator=torch.Generator().manual_seed(0))]
        other = replace(DATA, train=replace(DATA.train, targets=shuffled))
        assert same(encoder("simclr"), encoder("simclr", other))

    def test_follows_its_temperature_and_a_constant_schedule_is_the_constant(self) -> None:
        assert same(encoder("simclr"), encoder("simclr(t=cycle(0.2, 0.2, 2))"))
        assert not same(encoder("simclr"), encoder("simclr(t=cycle(0.1, 1.0, 2))"))

    def test_learns_from_rows_without_labels_too(self) -> None:
        part = task_data.splits("semi-supervised")
        whole = all_rows(TrainingSet.of(part))
        assert len(whole) == len(part.train) + len(part.unlabeled)
        assert whole.kind == "none"
        assert not same(encoder("simclr", part), encoder("simclr", replace(part, unlabeled=None)))

    def test_is_the_same_for_every_probe(self) -> None:
        assert same(encoder("simclr"), encoder("simclr", recipe=replace(RECIPE, probe="knn-1")))

    def test_a_random_one_is_as_it_was_initialised(self) -> None:
        training = Training(method("random-encoder").stages(RECIPE), TrainingSet.of(DATA))
        list(training)
        state = training.state()
        assert (state["records"], state["finished"]) == ([], 0)
        assert not same(dict(state["before"][0]), encoder("simclr"))
        (stage, _) = method("simclr").stages(RECIPE)
        begun = Training([replace(stage, epochs=0)], TrainingSet.of(DATA))
        list(begun)
        assert same(dict(state["before"][0]), dict(begun.learner.state_dict())), "paired with simclr by the seed"


class TestTheProjector:
    def test_is_linear_norm_relu_linear_norm(self) -> None:
        kinds = [type(layer).__name__ for layer in Projection(6, 3, dim=4).layers]
        assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
        first, last = Projection(6, 3, dim=4).layers[0], Projection(6, 3, dim=4).layers[3]
        assert (first.bias is not None, last.bias is None) == (True, True)
        assert (first.out_features, last.out_features) == (6, 4)

    def test_without_norms_is_the_papers(self) -> None:
        layers = Projection(6, 3, dim=4, hidden=5, norm=False).layers
        assert [type(layer).__name__ for layer in layers] == ["Linear", "ReLU", "Linear"]
        assert layers[2].bias is not None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train("simclr", DATA, folder=tmp_path_factory.mktemp("simclr") / "run", recipe=RECIPE)


class TestARun:
    def test_has_the_scores_of_every_probe(self, run: Run) -> None:
        arrays, counts = run.predictions(), DATA.class_counts
        assert list(run.result["probes"]) == list(PROBES)
        assert arrays["scores"].equal(arrays["probe.linear"])
        for name, shown in run.result["probes"].items():
            scores = evaluate(arrays[f"probe.{name}"], arrays["targets"], class_counts=counts)
            groups = [scores[group] for group in ("many", "medium", "few")]
            assert shown["balanced_accuracy"] == scores["balanced_accuracy"]
            assert [shown[group] for group in ("many", "medium", "few")] == groups
            assert shown["std_population"] == pytest.approx(np.std(groups))
            assert shown["std_sample"] == pytest.approx(np.std(groups, ddof=1))
        assert run.result["probes"]["linear"]["balanced_accuracy"] == run.scores["balanced_accuracy"]

    def test_reads_them_from_the_predictions(self, run: Run) -> None:
        stored = json.loads((run.folder / "run.json").read_text())
        assert Run.load(run.folder).result["probes"] == stored["probes"]
        stored["probes"]["linear"]["few"] = 0.123
        body = {name: value for name, value in stored.items() if name != "checksum"}
        (run.folder / "run.json").write_text(json.dumps(json_documents.sealed(body)))
        assert Run.load(run.folder).result["probes"]["linear"]["few"] != 0.123

    @pytest.mark.parametrize("name", [name for name in PROBES if name != "linear"])
    def test_predicts_with_the_probe_that_is_named(self, run: Run, tmp_path: Path, name: str) -> None:
        other = train("simclr", DATA, folder=tmp_path, recipe=replace(RECIPE, probe=name))
        arrays = other.predictions()
        assert arrays["scores"].equal(arrays[f"probe.{name}"])
        assert Run.load(tmp_path).predictor.scores(DATA.test.inputs).equal(arrays["scores"])
        for probe in PROBES:
            assert arrays[f"probe.{probe}"].equal(run.predictions()[f"probe.{probe}"])

    def test_supervised_methods_have_no_probes(self, tmp_path: Path) -> None:
        plain = train("ce", DATA, folder=tmp_path, recipe=RECIPE)
        assert "probes" not in plain.result
        assert not [name for name in plain.predictions() if name.startswith("probe.")]

    def test_of_a_network_of_images_resumes_byte_identically(self, tmp_path: Path) -> None:
        digits = load("digits")
        recipe = Recipe(epochs=2, batch_size=64, model="convnet", model_args={"width": 2}, kind="own")
        whole = train("simclr", digits, folder=tmp_path / "whole", recipe=recipe)
        from longtail.runs.train import Fit

        begun = Fit("simclr", digits, folder=tmp_path / "cut", recipe=recipe)
        next(begun)
        del begun
        train("simclr", digits, folder=tmp_path / "cut", recipe=recipe)
        name = "predictions.safetensors"
        assert (tmp_path / "cut" / name).read_bytes() == (whole.folder / name).read_bytes()
        assert whole.config["recipe"]["lr"] == 0.5


TINY: dict[str, Any] = {"epochs": 2, "batch_size": 16, "jobs": 1, "model_args": {"hidden": (8,)}}


@pytest.fixture(scope="module")
def found() -> Comparison:
    return lt.compare(DATA, methods="simclr(t=0.5)", seeds=2, task="self-supervised", probe="few-shot", **TINY)


@pytest.mark.slow
class TestAComparison:
    def test_shows_every_probe_and_ranks_by_the_one_named(self, found: Comparison) -> None:
        assert found.summary["probe"] == "few-shot"
        for row in found.rows:
            if row["method"] == "ce":
                assert "probes" not in row
                continue
            assert list(row["probes"]) == list(PROBES)
            assert row["probes"]["few-shot"]["mean"]["balanced_accuracy"] == row["mean"]["balanced_accuracy"]
            assert row["probes"]["few-shot"]["std"]["balanced_accuracy"] == row["std"]["balanced_accuracy"]

    def test_every_text_has_them(self, found: Comparison) -> None:
        for text in (tables.plain(found.summary), tables.markdown(found.summary), tables.html(found.summary)):
            for probe in PROBES:
                assert probe in text
            assert "std of groups (population)" in text
            assert "ranked by the probe few-shot" in text
            assert "drawn with seed 0" in text
        plain = lt.compare(DATA, methods="ce,focal", seeds=1, **TINY).summary
        assert "probe" not in tables.plain(plain)
        assert "probe" not in plain

    def test_in_folds_every_row_is_probed_once(self, tmp_path: Path) -> None:
        x, y = DATA.train.inputs, DATA.train.targets
        result = lt.compare(
            x, y, methods="simclr", seeds=1, folds=2, task="self-supervised", out=tmp_path / "out", **TINY
        )
        (row,) = [row for row in result.rows if row["method"] == "simclr"]
        run = Run.load(result.out / row["runs"][0]["folder"])
        assert len(run.predictions()["probe.knn-1"]) == len(y)
        assert list(run.result["probes"]) == list(PROBES)

    def test_a_probe_where_there_is_none_is_refused_before_anything_is_written(
        self, tmp_path: Path, capsys: Any
    ) -> None:
        with pytest.raises(ValueError, match=r"^probe \(--probe\) must be left out .*, got 'knn-1' for a supervised"):
            lt.compare(DATA, methods="ce", probe="knn-1", out=tmp_path / "out", **TINY)
        assert not (tmp_path / "out").exists()
        out = str(tmp_path / "out")
        assert command(["train", "digits", "--method", "ce", "--probe", "knn-1", "--out", out]) == 2
        assert "must be left out" in capsys.readouterr().err
        assert command(["train", "digits", "--method", "simclr", "--probe", "lda", "--out", out]) == 2
        assert "knn-K or knn-K-raw, got 'lda'; linear is usual" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_the_command_line_names_the_probe(self, tmp_path: Path, capsys: Any) -> None:
        out = tmp_path / "model"
        words = ["train", "digits", "--method", "simclr", "--probe", "knn-10", "--epochs", "1", "--out", str(out)]
        assert command(words) == 0
        assert Run.load(out).config["recipe"]["probe"] == "knn-10"
        assert "simclr on digits" in capsys.readouterr().out


def test_views_of_every_kind_of_data_train_an_encoder(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    y = np.repeat([0, 1, 2], 20)
    for name, inputs in (("features", x), ("images", np.abs(np.tile(x[:, :1, None], (1, 8, 8))))):
        run = train("simclr", load(inputs, y), folder=tmp_path / name, recipe=Recipe(epochs=1, batch_size=16))
        assert all(np.isfinite(record["loss"]) for record in run.records)
