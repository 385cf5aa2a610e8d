"""`longtail predict` on rows that are not quite those of the training: other categories, another order of columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import longtail as lt
from longtail.cli import run


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(0)
    fraud = np.arange(120) % 6 == 0
    table = pd.DataFrame(
        {
            "amount": draw.normal(size=120) + 3 * fraud,
            "kind": draw.choice(["car", "home"], 120),
            "day": pd.to_datetime(draw.integers(0, 10**9, 120), unit="s"),
        }
    )
    table.assign(fraud=np.where(fraud, "yes", "no")).to_csv(folder / "claims.csv", index=False)
    table.to_csv(folder / "new.csv", index=False)
    train = ["train", str(folder / "claims.csv"), "--label", "fraud", "--method", "trees-posthoc"]
    assert run([*train, "--out", str(folder / "m")]) == 0
    return folder


def predicted(claims: Path, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    capsys.readouterr()
    assert run(["predict", str(claims / "m"), str(claims / name)]) == 0
    return capsys.readouterr()


def test_the_order_of_the_columns_and_further_ones_change_no_byte(
    claims: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(claims / "new.csv")
    plain = predicted(claims, "new.csv", capsys)
    for order in (["kind", "day", "amount"], ["day", "amount", "more", "kind"]):
        table.assign(more=np.arange(120))[order].to_csv(claims / "other.csv", index=False)
        assert predicted(claims, "other.csv", capsys) == plain
        table.assign(more=np.arange(120))[order].to_parquet(claims / "other.parquet")
        assert predicted(claims, "other.parquet", capsys) == plain


def test_categories_that_training_did_not_have_are_said_column_by_column(
    claims: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(claims / "new.csv")
    assert predicted(claims, "new.csv", capsys)[1] == ""
    for kind in ("plane", 3):
        table.assign(kind=kind).to_csv(claims / "other.csv", index=False)
        out, err = predicted(claims, "other.csv", capsys)
        said = f"column 'kind': 120 of 120 rows have a category that training did not have, such as '{kind}'"
        assert err == f"longtail: note: {said}\n"
        assert len(out.splitlines()) == 121
    arguments = ["predict", str(claims / "m"), str(claims / "other.csv"), "--out", str(claims / "o.csv"), "--json"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [said]
    model = lt.load(claims / "m")
    assert model.predictions(table.assign(kind="plane", day=pd.to_datetime(table["day"]))).notes[0].endswith("'plane'")
    table.loc[5:, "kind"] = None
    assert model.predictions(table.assign(day=pd.to_datetime(table["day"]))).notes == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--val", "1.5"], "val (--val) must be in (0, 1), the share that is held out, got 1.5; try 0.2"),
        (["--val", "0", "--folds", "3"], "val (--val) must be in (0, 1), the share that is held out, got 0.0; try"),
        (["--features", "x.npz"], "features (--features) is not read for table ("),
        (["--features", "x.npz"], "got 'x.npz'; it is for: images"),
        (["--no-mirror"], "mirror (--no-mirror) is not read for table"),
    ],
)
def test_an_option_that_does_not_fit_is_named_as_it_was_written(
    claims: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    capsys.readouterr()
    assert run(["compare", str(claims / "claims.csv"), "--label", "fraud", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_label_column_is_not_looked_at_and_that_is_said(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, nothing = predicted(claims, "new.csv", capsys)
    assert nothing == ""
    out, err = predicted(claims, "claims.csv", capsys)
    assert out == plain
    assert err.startswith("longtail: note: column 'fraud' holds labels; they were not used to predict, and ")
    assert "longtail evaluate scores the model against them" in err
    assert err.count("\n") == 1


def test_what_scores_the_labels_is_called_as_the_note_says(claims: Path) -> None:
    frame, model = pd.read_csv(claims / "claims.csv", parse_dates=["day"]), lt.load(claims / "m")
    predictions = model.predictions(frame)
    assert len(predictions.notes) == 1
    labels = [model.classes.index(name) for name in frame["fraud"]]
    scores = lt.metrics.evaluate(predictions.probabilities, labels, class_counts=model.class_counts, probabilities=True)
    assert scores["accuracy"] > 0.8


def test_labels_in_an_array_file_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    y = np.arange(60) % 3 // 2
    X = draw.normal(size=(60, 4)).astype("float32") + 3 * y[:, None]
    np.savez(tmp_path / "data.npz", X=X, y=y)
    np.savez(tmp_path / "new.npz", X=X)
    train = ["train", str(tmp_path / "data.npz"), "--method", "logistic", "--out", str(tmp_path / "m")]
    assert run(train) == 0
    errors = []
    for name in ("new.npz", "data.npz"):
        capsys.readouterr()
        assert run(["predict", str(tmp_path / "m"), str(tmp_path / name)]) == 0
        errors.append(capsys.readouterr().err)
    assert errors[0] == ""
    assert "note: array 'y' of data.npz holds labels; they were not used" in errors[1]


def test_skipping_images_is_refused_for_other_rows(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["predict", str(claims / "m"), str(claims / "new.csv"), "--skip-bad"]) == 2
    said = capsys.readouterr().err
    assert "skip_bad (--skip-bad) is for images, and the model was trained on a table; leave it out" in said
