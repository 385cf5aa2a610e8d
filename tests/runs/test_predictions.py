"""A model on new rows: names, probabilities under a stated prior, and the rule that decided, on any machine."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.cases import cases
from tests.forked import Forked

import longtail as lt
from longtail.data import load
from longtail.engine import Recipe
from longtail.runs.predictions import Predictions
from longtail.runs.priors import target
from longtail.runs.train import train

SMALL = {"epochs": 8, "batch_size": 16}


def frame(rows: int = 160) -> pd.DataFrame:
    """Numbers, a category, a truth value, a date and missing cells, in two classes of 3 : 1."""
    draw = np.random.default_rng(0)
    rare = np.arange(rows) % 4 == 0
    table = pd.DataFrame(
        {
            "amount": draw.normal(size=rows) + 2 * rare,
            "country": draw.choice(["ä", "b,c", '"quoted"'], rows),
            "online": draw.random(rows) < 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, rows), unit="D"),
            "kind": np.where(rare, "=1+1", "<b>ok</b>"),
        }
    )
    table.loc[::7, "amount"] = None
    table.loc[::11, "country"] = None
    return table


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from longtail.engine.default_recipe import default_recipe

    folder = tmp_path_factory.mktemp("model")
    splits = load(frame(), "kind")
    train("logit-adjusted", splits, folder=folder, recipe=default_recipe(splits, **SMALL))
    return folder


def test_a_frame_and_its_csv_predict_alike_to_the_byte(model: Path, tmp_path: Path) -> None:
    table = frame()
    table.to_csv(tmp_path / "new.csv", index=False)
    from longtail.data.prepare.new_rows import rows

    predictor = lt.load(model)
    here = predictor.predictions(table.drop(columns="kind"))
    there = predictor.predictions(rows(tmp_path / "new.csv", predictor.preparation))
    assert here.csv() == there.csv()


@pytest.mark.slow
def test_a_moved_folder_predicts_the_same_bytes_in_a_new_process(model: Path, tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "new.csv", index=False)
    moved = Path(shutil.copytree(model, tmp_path / "elsewhere"))
    for name in ("checkpoint", "stages"):
        shutil.rmtree(moved / name, ignore_errors=True)

    def predict(folder: Path, name: str) -> list[str]:
        return ["predict", str(folder), str(tmp_path / "new.csv"), "--out", str(tmp_path / name)]

    subprocess.run([sys.executable, "-m", "longtail", *predict(moved, "b.csv")], check=True, capture_output=True)
    forked = Forked("from longtail import cli; cli.main()", predict(model, "a.csv"), os.environ)
    said = forked.communicate(timeout=120)
    assert forked.returncode == 0, said
    outs = [(tmp_path / name).read_bytes() for name in ("a.csv", "b.csv")]
    assert outs[0] == outs[1] == lt.load(model).predictions(frame()).csv().encode()


def test_names_probabilities_and_rule_are_in_the_file(model: Path) -> None:
    found = lt.load(model).predictions(frame())
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert len(rows) == 160
    assert set(rows[0]) == {"row", "prediction", "probability", "p(<b>ok</b>)", "p(=1+1)", "rule", "prior"}
    assert {row["prediction"] for row in rows} == {"<b>ok</b>", "'=1+1"}  # text in a spreadsheet, too
    assert set(found.labels) == {"<b>ok</b>", "=1+1"}
    assert rows[0]["rule"] == "highest probability with every class equally likely"
    back = torch.tensor([[float(r["p(<b>ok</b>)"]), float(r["p(=1+1)"])] for r in rows], dtype=torch.float64)
    assert back.equal(found.probabilities)
    assert back.sum(1).tolist() == pytest.approx([1] * 160)


def test_parquet_holds_the_same(model: Path, tmp_path: Path) -> None:
    found = lt.load(model).predictions(frame())
    found.write(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), found.frame(), check_dtype=False)


def test_probabilities_follow_the_prior_by_bayes_rule(model: Path) -> None:
    """By hand: the logit-adjusted loss leaves softmax(z) for a uniform prior; each target multiplies by its shares."""
    predictor = lt.load(model)
    z = predictor.scores(predictor.prepared(frame())).double().numpy()
    e = np.exp(z - z.max(1, keepdims=True))
    uniform = e / e.sum(1, keepdims=True)
    shares = predictor.class_counts.double().numpy() / float(predictor.class_counts.sum())
    for prior, by in (
        (None, shares),
        ("uniform", np.full(2, 0.5)),
        ({"<b>ok</b>": 0.9, "=1+1": 0.1}, np.array([0.9, 0.1])),
    ):
        expected = uniform * by / (uniform * by).sum(1, keepdims=True)
        found = predictor.predictions(frame(), target_prior=prior)
        np.testing.assert_allclose(found.probabilities.numpy(), expected, rtol=1e-9, atol=1e-12)
        decided = uniform if prior is None else expected
        assert list(found.labels) == [predictor.classes[j] for j in decided.argmax(1)]
    np.testing.assert_allclose(predictor.predictions(frame(), raw=True).probabilities.numpy(), uniform, rtol=1e-9)


@pytest.mark.slow
def test_on_gaussians_every_method_gives_the_posterior_of_the_prior_asked_for(tmp_path: Path) -> None:
    """Two Gaussians whose posterior is known: after the correction, plain and re-balanced training agree with it."""
    draw = np.random.default_rng(0)
    y = (np.arange(4000) % 10 == 0).astype(int)
    x = (draw.normal(size=4000) + 2 * y)[:, None]
    splits = load(x, y)
    test = np.linspace(-2, 4, 50)[:, None]
    ratio = np.exp(2 * test[:, 0] - 2)  # N(2, 1) / N(0, 1)
    for share in (0.1, 0.5):
        expected = share * ratio / (share * ratio + 1 - share)
        for spec in ("ce", "logit-adjusted", "cb-rs", "ce-drw(at=0.2)", "cb-ce", "logit-adjusted-posthoc"):
            folder = tmp_path / spec
            # the learning rate does not drop: what is deferred has the time to arrive at its prior
            recipe = Recipe(epochs=20, batch_size=128, lr=0.05, drop=1.0, model="linear")
            train(spec, splits, folder=folder, recipe=recipe, store=tmp_path / "stages")
            found = lt.load(folder).predictions(test, target_prior={"0": 1 - share, "1": share}).probabilities[:, 1]
            assert float(np.abs(found.numpy() - expected).max()) < 0.06, spec


class TestPriors:
    COUNTS = torch.tensor([30, 10])

    def test_words_names_and_shares(self) -> None:
        assert target(None, "ab", self.COUNTS)[0].tolist() == [0.75, 0.25]
        assert target("uniform", "ab", self.COUNTS) == (pytest.approx(torch.tensor([0.5, 0.5])), "uniform")
        assert target({"b": 0.2, "a": 0.8}, "ab", self.COUNTS)[0].tolist() == [0.8, 0.2]
        assert target([0.1, 0.9], "ab", self.COUNTS)[0].tolist() == [0.1, 0.9]

    @cases(
        ("prior", "message"),
        [
            (
                "flat",
                r"target_prior \(--target-prior\) must be training, uniform, estimate, or a share .*, got 'flat'",
            ),
            ({"a": 1.0}, "must name every class once, but 'b' has no share"),
            ({"a": 0.5, "b": 0.3, "c": 0.2}, "'c' is no class; the classes are a, b"),
            ({"a": 0.5, "b": 0.6}, "must have shares that sum to 1, got 1.1; divide each by 1.1"),
            ({"a": 0, "b": 0}, "must have shares that sum to 1, got 0; give some class a share"),
            ({"a": 2, "b": -1}, "must be >= 0 for every class, got -1 for 'b'; give 0 to a class that does not occur"),
            ({"a": float("nan"), "b": 1}, "must be >= 0 for every class, got nan for 'a'"),
            ({"a": 0, "b": float("inf")}, "must be >= 0 for every class, got inf for 'b'"),
            ({"a": "much", "b": 0.6}, "must have numbers as shares, got 'much' for 'a'"),
            ([1.0], r"must have 2 shares, one for every class, got shape \(1,\)"),
            (0.5, r"must have 2 shares, one for every class, got shape \(\)"),
            ([-0.5, 1.5], "must be >= 0 for every class, got -0.5 for 'a'"),
            (torch.tensor([0.5, 0.6]), "must have shares that sum to 1"),
        ],
    )
    def test_what_is_no_prior_is_one_line(self, prior: object, message: str) -> None:
        with pytest.raises((ValueError, TypeError), match=message) as found:
            target(prior, "ab", self.COUNTS)
        assert "\n" not in str(found.value)


class TestRefusals:
    def test_a_missing_column_and_another_kind_are_named(self, model: Path) -> None:
        predictor = lt.load(model)
        with pytest.raises(ValueError, match="'amount'"):
            predictor.predict(frame().drop(columns="amount"))
        with pytest.raises(ValueError, match="amount"):
            predictor.predict(frame().assign(amount="much"))

    def test_unknown_categories_and_missing_cells_are_predicted(self, model: Path) -> None:
        odd = frame().assign(country="never seen", amount=None)
        assert len(lt.load(model).predict(odd)) == 160

    @pytest.mark.parametrize("name", ["model.safetensors", "preparation.skops"])
    def test_a_changed_file_is_named(self, model: Path, tmp_path: Path, name: str) -> None:
        copied = Path(shutil.copytree(model, tmp_path / "copy"))
        data = bytearray((copied / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copied / name).write_bytes(bytes(data))
        with pytest.raises(ValueError, match=f"{name} in .* was changed since the model was saved"):
            lt.load(copied)

    def test_raw_and_a_target_exclude_each_other(self, model: Path) -> None:
        with pytest.raises(ValueError, match=r"raw \(--raw\) leaves out the correction"):
            lt.load(model).predictions(frame(), target_prior="uniform", raw=True)


def test_a_name_that_a_spreadsheet_would_run_is_text_in_csv_and_a_number_stays_one() -> None:
    names = ("=cmd|' /C calc'!A0", "-1", "\x1b[31mred", "plain")
    rows, probs = ("+a.png", "b", "c", "d"), torch.eye(4, dtype=torch.float64)
    made = Predictions(
        names, probs, names, "rule", "training", rows=rows, sets=tuple((name, "\u202e") for name in names)
    )
    lines = list(csv.DictReader(io.StringIO(made.csv())))
    assert [line["prediction"] for line in lines] == ["'=cmd|' /C calc'!A0", "-1", r"\x1b[31mred", "plain"]
    assert lines[0]["file"] == "'+a.png"
    assert [json.loads(line["set"]) for line in lines] == [[name, "\u202e"] for name in names]
    assert made.columns["prediction"] == list(names)
