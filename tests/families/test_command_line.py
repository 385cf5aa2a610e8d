"""Every task from the command line: from the data to a verdict, again after an interruption, and on new rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import hidden
import numpy as np
import pandas as pd
import pytest
import torch
from tests.cases import cases

import longtail as lt
from longtail.catalogue.tasks import TASKS
from longtail.cli import run

TINY = ["--epochs", "2", "--seeds", "2", "--jobs", "1"]
Words = list[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hidden")
    hidden.blank_table(folder / "blanks.csv")
    hidden.votes_table(folder / "votes.csv")
    hidden.photos(folder)
    hidden.minus_ones(folder / "minus.npz")
    hidden.candidate_arrays(folder / "sets.npz")
    hidden.frame().to_csv(folder / "clean.csv", index=False)
    return folder


ASKED: dict[str, tuple[str, str, Words]] = {
    "digits, few labels": ("semi-supervised", "fixmatch", ["digits", "--labeled", "0.2"]),
    "digits, candidates": ("partial", "proden", ["digits", "--ambiguity", "0.3"]),
    "digits, no labels": ("self-supervised", "ts(cycles=1)", ["digits", "--task", "self-supervised"]),
    "table with blanks": ("semi-supervised", "fixmatch", ["blanks.csv", "--label", "species", "--unlabeled", "same"]),
    "table of votes": ("partial", "proden", ["votes.csv", "--label", "species", "--candidates", "|"]),
    "folder and another": ("semi-supervised", "fixmatch", ["photos", "--unlabeled", "more", "--size", "8"]),
    "array with -1": ("semi-supervised", "fixmatch", ["minus.npz", "--unlabeled", "same"]),
    "array of sets": ("partial", "proden", ["sets.npz"]),
}


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Standard output of a command that succeeds."""
    capsys.readouterr()
    code = run(list(words))
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    code = run(list(words))
    out, err = capsys.readouterr()
    assert code == 2, out
    assert err.startswith("longtail: error: ")
    assert err.count("\n") == 1, err
    return err


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
class TestEndToEnd:
    def test_a_comparison_has_a_verdict_and_resumes(
        self, name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.chdir(place)
        task, method, words = ASKED[name]
        command = ["compare", *words, "--methods", method, *TINY, "--out", str(tmp_path / "out")]
        plan = json.loads(told(capsys, *command, "--dry-run", "--json"))
        reference = TASKS[task].reference
        assert (plan["task"], plan["methods"][0]) == (task, reference)
        assert not (tmp_path / "out").exists()
        table = told(capsys, *command)
        summary = json.loads((tmp_path / "out" / "comparison.json").read_text())
        assert (summary["task"], summary["reference"], summary["failed"]) == (task, reference, [])
        assert [row["method"] for row in summary["rows"] if row["difference"]] == [method]
        assert reference in summary["verdict"]["sentence"]
        assert f"vs {reference}" in table
        # one run is lost, and made again with the same bytes
        (folder,) = (tmp_path / "out").glob(f"{method.partition('(')[0]}-*/seed-1")
        before = (folder / "predictions.safetensors").read_bytes()
        shutil.rmtree(folder)
        told(capsys, *command)
        assert (folder / "predictions.safetensors").read_bytes() == before

    def test_a_trained_model_predicts_and_embeds_new_rows(
        self, name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.chdir(place)
        _, method, words = ASKED[name]
        words = [w for w in words if w not in ("--task", "self-supervised")]
        told(capsys, "train", *words, "--method", method, "--epochs", "2", "--out", str(tmp_path / "model"))
        data = words[0]
        if data == "digits":
            np.savez(tmp_path / "new.npz", X=np.random.default_rng(0).random((5, 8, 8), dtype=np.float32))
            data = str(tmp_path / "new.npz")
        told(capsys, "predict", str(tmp_path / "model"), data, "--out", str(tmp_path / "p.csv"))
        predicted = pd.read_csv(tmp_path / "p.csv")
        shares = predicted[[c for c in predicted if c.startswith("p(")]].to_numpy()
        np.testing.assert_allclose(shares.sum(1), 1)
        said = told(capsys, "predict", str(tmp_path / "model"), data, "--out", str(tmp_path / "e.npz"))
        with np.load(tmp_path / "e.npz") as stored:
            assert stored["X"].shape[0] == len(predicted)
            assert np.isfinite(stored["X"]).all()
            assert ("files" in stored) == (data == "photos")
        assert f"{len(predicted)} rows: embeddings of " in said


@pytest.mark.slow
def test_embeddings_stand_in_the_place_of_pixels(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(place)
    model, file = str(tmp_path / "model"), str(tmp_path / "e.npz")
    told(capsys, "train", "photos", "--size", "8", "--method", "simclr", "--epochs", "1", "--out", model)
    told(capsys, "predict", model, "photos", "--out", file)
    out = str(tmp_path / "out")
    told(capsys, "compare", "photos", "--features", file, "--methods", "ce,focal", *TINY, "--out", out)
    summary = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert summary["rows"]


@pytest.mark.slow
class TestOracle:
    """ce on the true labels: where these are known, and outside the verdict."""

    @pytest.mark.parametrize("name", ["digits, few labels", "digits, candidates"])
    def test_is_what_ce_is_on_the_clean_data(
        self, name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.chdir(place)
        _, method, words = ASKED[name]
        out = tmp_path / "out"
        table = told(capsys, "compare", *words, "--methods", method, *TINY, "--out", str(out))
        summary = json.loads((out / "comparison.json").read_text())
        (row,) = [row for row in summary["rows"] if row["method"] == "oracle"]
        assert (row["role"], row["difference"]) == ("context", None)
        assert "oracle" not in summary["verdict"]["undecided"]
        assert "oracle §" in table
        told(capsys, "compare", "digits", "--methods", "ce", *TINY, "--out", str(tmp_path / "clean"))
        (clean,) = json.loads((tmp_path / "clean" / "comparison.json").read_text())["rows"]
        if "--labeled" in words:  # the rows are in another order: labelled ones first
            assert row["mean"]["accuracy"] == pytest.approx(clean["mean"]["accuracy"], abs=0.2)
        else:
            assert row["mean"] == clean["mean"]

    def test_is_absent_where_nobody_knows(
        self, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.chdir(place)
        words = ASKED["table of votes"][2]
        plan = told(capsys, "compare", *words, "--methods", "proden", *TINY, "--dry-run", "--json")
        assert json.loads(plan)["methods"] == ["cc", "proden"]
        line = refused(capsys, "compare", *words, "--methods", "oracle", *TINY)
        assert "method 'oracle' needs true labels" in line


@pytest.mark.slow
def test_folds_take_unlabelled_rows_and_candidates(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(place)
    for i, (method, words) in enumerate([
        ("fixmatch", ["blanks.csv", "--label", "species", "--unlabeled", "same"]),
        ("fixmatch", ["clean.csv", "--label", "species", "--labeled", "0.4"]),
        ("proden", ["votes.csv", "--label", "species", "--candidates", "|"]),
        ("proden", ["clean.csv", "--label", "species", "--ambiguity", "0.3"]),
    ]):  # fmt: skip
        out = tmp_path / str(i)
        tiny = ["--epochs", "1", "--seeds", "1", "--jobs", "1"]
        told(capsys, "compare", *words, "--methods", method, *tiny, "--folds", "2", "--out", str(out))
        summary = json.loads((out / "comparison.json").read_text())
        assert summary["folds"] == 2
        assert summary["failed"] == []


class TestEqualSteps:
    @pytest.mark.slow
    def test_every_row_takes_as_many(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from longtail.data import TrainingSet, load
        from longtail.engine.default_recipe import default_recipe
        from longtail.methods import method

        monkeypatch.chdir(place)
        for data, options in (("minus.npz", {"unlabeled": "same"}), ("digits", {"labeled": 0.2})):
            splits = load(data, **options)
            recipe = default_recipe(splits, epochs=2, batch_size=16)
            rows = len(splits.train) + len(splits.unlabeled or ())
            assert recipe.steps == -(-rows // 16)
            for spec in ("ce", "cb-rs", "ldam-drw", "fixmatch", "darp", "absgd", "sam"):
                for stage in method(spec).stages(recipe):
                    built = stage.built(TrainingSet.of(splits), None)
                    batches = list(built.data.batches(0.9, torch.Generator().manual_seed(0)))
                    assert len(batches) == built.data.steps() == recipe.steps, spec

    def test_estimates_shorten_the_steps_and_scale_back(self) -> None:
        from longtail.comparison.costs import STEPS, ShortRun
        from longtail.data import load
        from longtail.engine.default_recipe import default_recipe
        from longtail.methods import method

        splits = load("digits", labeled=0.2)
        recipe = default_recipe(splits, batch_size=4)
        for spec in ("ce", "fixmatch", "oracle"):
            short = ShortRun.of(method(spec), splits, recipe, "cpu", 2, 1, folds=False)
            assert short.recipe.steps == STEPS
            assert short.step_ratio == recipe.steps / STEPS
            assert len(short.splits.truth) == len(short.splits.train) + len(short.splits.unlabeled)

    def test_supervised_data_keep_a_pass_over_their_rows(self) -> None:
        from longtail.data import load
        from longtail.engine.default_recipe import default_recipe

        recipe = default_recipe(load("digits"))
        assert recipe.steps is None
        assert "steps" not in recipe.to_json()


@pytest.mark.slow
class TestInPython:
    """The words of the command line are arguments of `lt.compare`."""

    TINY: dict[str, Any] = {"seeds": 1, "epochs": 1, "jobs": 1}  # noqa: RUF012

    def test_arrays(self) -> None:
        X, y = hidden.rows()
        some = np.where(np.arange(len(y)) % 2 == 1, -1, y)
        same = lt.compare(X, some, unlabeled="same", methods="fixmatch", **self.TINY).summary
        further = lt.compare(X[::2], y[::2], unlabeled=X[1::2], methods="fixmatch", **self.TINY).summary
        assert same["task"] == further["task"] == "semi-supervised"
        assert same["data"]["unlabeled"] == further["data"]["unlabeled"] == len(y) // 2
        sets = np.eye(3, dtype=bool)[y] | (np.eye(3, dtype=bool)[(y + 1) % 3] & (np.arange(len(y)) % 3 > 0)[:, None])
        partial = lt.compare(X, candidates=sets, methods="proden", **self.TINY).summary
        assert (partial["task"], partial["data"]["counts_known"]) == ("partial", False)

    def test_frames(self) -> None:
        table = hidden.frame()
        table.loc[table.index % 2 == 1, "species"] = None
        found = lt.compare(table, "species", unlabeled="same", methods="fixmatch", **self.TINY).summary
        assert (found["task"], found["data"]["unlabeled"]) == ("semi-supervised", len(table) // 2)

    @pytest.mark.parametrize("options", [{"labeled": 0.4}, {"labeled": 20}, {"ambiguity": "pair:0.3"}])
    def test_simulations(self, options: dict[str, Any]) -> None:
        X, y = hidden.rows()
        method = "proden" if "ambiguity" in options else "fixmatch"
        found = lt.compare(X, y, methods=method, **options, **self.TINY)
        assert found.ok
        assert "oracle" in {row["method"] for row in found.rows}


class TestRefusals:
    @cases(
        ("words", "expected"),
        [
            (["digits", "--labeled", "1.5"], "labeled"),
            (["digits", "--labeled", "many"], "labeled"),
            (["digits", "--ambiguity", "2"], "ambiguity"),
            (["digits", "--ambiguity", "0.3", "--labeled", "0.1"], "ambiguity"),
            (["digits", "--unlabeled-ratio", "sideways", "--labeled", "0.1"], "unlabeled_ratio"),
            (["digits", "--unlabeled", "same"], "--unlabeled"),
            (["blanks.csv", "--label", "species"], "--unlabeled same"),
            (["minus.npz"], "--unlabeled"),
            (["clean.csv", "--label", "species", "--unlabeled", "same"], "unlabeled"),
            (
                ["votes.csv", "--label", "species", "--candidates", "|", "--labeled", "0.5"],
                "got candidate sets; leave it out",
            ),
            (["clean.csv", "--label", "species", "--unlabeled", "nowhere.csv"], "nowhere.csv"),
            (["clean.csv", "--label", "species", "--task", "partial"], "task must be supervised or self-supervised"),
            (["sets.npz", "--task", "self-supervised"], "task must be partial"),
            (["sets.npz", "--methods", "ce"], "needs one label a row"),
            (["digits", "--methods", "fixmatch"], "needs rows without labels"),
            (["digits", "--methods", "oracle"], "needs true labels"),
            (["digits", "--task", "self-supervised", "--methods", "proden"], "no part in a self-supervised comparison"),
        ],
        ids=lambda value: " ".join(value),
    )
    def test_are_one_line_before_anything_is_trained(
        self, words: Words, expected: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.chdir(place)
        command = ["compare", *words, *TINY, "--out", "never"]
        if "--methods" not in words:
            command += ["--methods", "ce"]
        assert expected in refused(capsys, *command)
        assert not (place / "never").exists()

    def test_the_output_may_not_be_in_the_unlabelled_folder(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.chdir(place)
        for verb in ("compare", "train"):
            assert "more" in refused(capsys, verb, "photos", "--unlabeled", "more", "--out", "more/out")
        assert not (place / "more" / "out").exists()

    def test_an_embedding_has_no_prior(self, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        monkeypatch.chdir(place)
        line = refused(capsys, "predict", "model", "minus.npz", "--out", "e.npz", "--target-prior", "uniform")
        assert "an .npz gets embeddings" in line
