"""After the choice: train --all with what to expect, evaluate on new data, runs --clean, export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import longtail as lt
from longtail.cli import run
from longtail.runs import expected
from longtail.runs.inventory import entries
from longtail.runs.scored import scored


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("longtail: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert run([str(a) for a in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def claims(seed: int, rows: int = 180, shift: float = 2.0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    fraud = np.arange(rows) % 6 == 0
    numbers = {"amount": draw.normal(size=rows) + shift * fraud, "kind": draw.choice(["car", "home"], rows)}
    return pd.DataFrame(numbers).assign(fraud=np.where(fraud, "yes", "no"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("life")
    claims(0).to_csv(folder / "claims.csv", index=False)
    claims(1).to_csv(folder / "new.csv", index=False)
    common = [str(folder / "claims.csv"), "--label", "fraud", "--epochs", "8"]
    compared = ["--methods", "ce,logit-adjusted", "--seeds", "2", "--jobs", "1", "--out", str(folder / "r")]
    assert run(["compare", *common, *compared]) == 0
    assert run(["train", *common, "--all", "--comparison", str(folder / "r"), "--out", str(folder / "m")]) == 0
    return folder


def train(place: Path, *more: object) -> list[object]:
    return ["train", place / "claims.csv", "--label", "fraud", "--epochs", 8, *more]


def test_a_model_of_every_row_says_so_and_has_no_scores(place: Path) -> None:
    loaded = lt.Run.load(place / "m")
    assert loaded.result["scores"] is None
    assert loaded.result["trained_on"] == "every row"
    assert sum(loaded.config["data"]["class_counts"]) == 180
    assert loaded.predictions()["scores"].shape == (0, 2)
    assert scored(place / "m").test.log_probs.shape == (0, 2)
    with pytest.raises(ValueError, match="trained on every row and has no scores; score it on new labelled rows with"):
        _ = loaded.scores
    assert len(lt.load(place / "m").predict(claims(1).drop(columns="fraud"))) == 180


def test_scores_that_its_predictions_do_not_have_are_found(place: Path, tmp_path: Path) -> None:
    from longtail.facts import json_documents

    shutil.copytree(place / "m", tmp_path / "m")
    content = json.loads((tmp_path / "m" / "run.json").read_text())
    del content["sha256"]
    content["scores"] = {"accuracy": 1.0}
    json_documents.write_sealed(tmp_path / "m" / "run.json", content)
    with pytest.raises(ValueError, match="do not agree on whether the run was tested"):
        lt.Run.load(tmp_path / "m")


def test_the_estimate_is_that_of_the_comparison(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = json.loads((place / "r" / "comparison.json").read_text())
    row = next(row for row in summary["rows"] if row["method"] == "logit-adjusted")
    known = expected.read(place / "m")
    assert known is not None
    one = known["metrics"]["balanced_accuracy"]
    assert one["mean"] == row["mean"]["balanced_accuracy"]
    assert one["low"] < one["mean"] < one["high"]
    assert one["std"] == row["std"]["balanced_accuracy"]
    assert known["per_class"]["recall"] == row["recall"]
    recalls = [lt.Run.load(place / "r" / r["folder"]).scores["per_class"]["recall"] for r in row["runs"]]
    assert known["per_class"]["std"] == pytest.approx(np.std(recalls, axis=0, ddof=1).tolist())
    assert (known["seeds"], known["rows"]) == (2, sum(summary["data"]["test_rows"]))
    # the same command reads the finished run, and says the same
    again = said(capsys, *train(place, "--all", "--comparison", place / "r", "--out", place / "m"))
    assert "trained on all 180 rows, none left to score it on; what to expect: balanced accuracy" in again
    assert f"{100 * one['mean']:.1f} % (95 % interval {100 * one['low']:.1f} to" in again


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--epochs", "3"], "is of other recipe: epochs is 8 there, 3 was asked; give the options"),
        (["--method", "ldam"], "has no method 'ldam', its methods are "),
        (["--select", "val", "--val", "0.2"], "counts the last epoch, got select (--select) val: the best epoch on"),
        (["--drop", "kind"], "is of other data: facts.drop_columns is None there, ['kind'] was asked"),
    ],
)
def test_an_estimate_of_something_else_is_refused(
    place: Path, tmp_path: Path, options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = train(place, "--all", "--comparison", place / "r", "--out", tmp_path / "x", *options)
    assert why in refused(capsys, *arguments)
    assert not (tmp_path / "x").exists()


def test_an_estimate_by_another_rule_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, summary = tmp_path / "r", json.loads((place / "r" / "comparison.json").read_text())
    shutil.copytree(place / "r", asked)
    folder = ["--all", "--comparison", asked, "--out", tmp_path / "x"]
    line = refused(capsys, *train(place, *folder, "--cost", "missed=10,false=1"))
    assert "last decided for: each method's own rule, the model decides for: least expected cost: 'yes' where" in line
    costs = {"decided_for": "least expected cost: 'yes' where p >= 0.09091", "cost": [[0, 1], [10, 0]]}
    by_cost = summary | {"metric": "cost", "question": summary["question"] | costs}
    by_cost["rows"] = [row | {"metrics": row["metrics"] | {"cost": {"mean": 0.25, "low": 0.125, "high": 0.5}}}
                       for row in summary["rows"]]  # fmt: skip
    (asked / "comparison.json").write_text(json.dumps(by_cost))
    assert "where p >= 0.09091, the model decides for: its own rule" in refused(capsys, *train(place, *folder))
    assert "what to expect: cost per row 0.25" in said(capsys, *train(place, *folder, "--cost", "missed=10,false=1"))
    prior = summary | {"question": summary["question"] | {"target_prior": "uniform"}}
    (asked / "comparison.json").write_text(json.dumps(prior))
    assert "under the prior uniform, the model decides under" in refused(capsys, *train(place, *folder))


def test_a_comparison_of_other_rows_is_refused(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = claims(0)
    table.loc[3, "amount"] += 0.01
    table.to_csv(tmp_path / "claims.csv", index=False)
    line = refused(capsys, "train", tmp_path / "claims.csv", "--label", "fraud", "--epochs", 8, "--all",
                   "--comparison", place / "r", "--out", tmp_path / "x")  # fmt: skip
    assert "is of other data: values or rows of the data; name these data" in line
    assert "add --all or leave it out" in refused(capsys, *train(place, "--comparison", place / "r"))
    assert "holds no comparison" in refused(capsys, *train(place, "--all", "--comparison", place / "m"))


def test_new_data_are_scored_against_the_estimate(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "scores.json"
    text = said(capsys, "evaluate", place / "m", place / "new.csv", "--out", out)
    result = json.loads(out.read_text())
    model, table = lt.load(place / "m"), claims(1)
    predicted = model.predict(table)
    recalls = [np.mean([p == c for p, t in zip(predicted, table.fraud, strict=True) if t == c]) for c in ("no", "yes")]
    assert result["values"]["balanced_accuracy"]["mean"] == pytest.approx(np.mean(recalls))
    assert [row["new"]["mean"] for row in result["classes"]] == pytest.approx(recalls)
    assert result["estimate"]["kind"] == "a comparison"
    assert (
        result["differences"]["accuracy"]["expected"]["mean"]
        == expected.read(place / "m")["metrics"]["accuracy"]["mean"]
    )  # type: ignore[index]
    assert text.startswith(f"balanced accuracy on 180 new rows: {100 * np.mean(recalls):.1f} % (")
    assert f"the comparison in {place}/r" in text
    assert "Class shares: no difference from training shown." in text
    assert model.evaluate(table.drop(columns="fraud"), table.fraud)["values"] == result["values"]


def test_a_model_with_test_rows_is_compared_with_them(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = next(iter((place / "r").glob("logit-adjusted-*/seed-0")))
    worse = claims(2, shift=-6.0)
    worse.to_csv(place / "worse.csv", index=False)
    result = json.loads(said(capsys, "evaluate", own, place / "worse.csv", "--json", "--positive", "yes"))
    scores = lt.Run.load(own).scores
    assert result["estimate"]["kind"] == "its own test rows"
    found = result["differences"]["balanced_accuracy"]
    assert found["expected"]["mean"] == pytest.approx(scores["balanced_accuracy"])
    assert (found["said"], result["classes"][1]["said"]) == ("lower", "lower")
    assert "lower than expected" in said(capsys, "evaluate", own, place / "worse.csv")
    assert result["positive"] == "yes"
    assert "positive_recall" in result["values"]
    at = said(capsys, "evaluate", own, place / "new.csv", "--metric", "precision@recall=0.8")
    assert at.startswith("precision at recall 0.8 of class yes on 180 new rows: ")


def test_labels_that_the_model_does_not_know(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = claims(1)
    table.loc[:4, "fraud"] = "maybe"
    table.loc[5:6, "fraud"] = ""
    table.to_csv(place / "odd.csv", index=False)
    line = refused(capsys, "evaluate", place / "m", place / "odd.csv")
    assert "must be classes of the model (no, yes), got 'maybe' (5), which it cannot predict" in line
    text = said(capsys, "evaluate", place / "m", place / "odd.csv", "--skip-unknown")
    assert "on 173 new rows" in text
    assert "5 rows of classes that the model does not know are left out" in text
    assert "2 of 180 rows have no label and are left out" in text
    assert "got none in 180 rows" in refused(
        capsys, "evaluate", place / "m", place / "new.csv", "--label", "kind", "--skip-unknown"
    )
    assert "must be a class of the model, got 'no one'" in refused(
        capsys, "evaluate", place / "m", place / "new.csv", "--positive", "no one"
    )
    assert "must be a metric" in refused(capsys, "evaluate", place / "m", place / "new.csv", "--metric", "x")
    assert "ends in .json" in refused(capsys, "evaluate", place / "m", place / "new.csv", "--out", "x.csv")
    assert "give cost (--cost)" in refused(capsys, "evaluate", place / "m", place / "new.csv", "--metric", "cost")


def test_costs_of_errors_are_scored(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads(said(capsys, "evaluate", place / "m", place / "new.csv", "--cost", "missed=10,false=1",
                             "--metric", "cost", "--positive", "yes", "--json"))  # fmt: skip
    predicted, true = lt.load(place / "m").predict(claims(1)), claims(1).fraud
    costs = [0 if p == t else 10 if t == "yes" else 1 for p, t in zip(predicted, true, strict=True)]
    assert result["values"]["cost"]["mean"] == pytest.approx(np.mean(costs))


def test_other_class_shares_are_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = claims(1)
    more = pd.concat([table, *[table[table.fraud == "yes"]] * 3])
    more.to_csv(place / "more.csv", index=False)
    text = said(capsys, "evaluate", place / "m", place / "more.csv")
    assert "Class shares differ from training by 27.8 points in all: no 83.3 % -> 55.6 %, yes 16.7 % -> 44.4 %" in text


def test_runs_are_listed_and_cleaned_and_still_count(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    ours = tmp_path / "r" / "stages" / "notes.txt"
    ours.write_text("mine")
    unfinished = next(iter((tmp_path / "r").glob("ce-*/seed-1")))
    shutil.copytree(unfinished, tmp_path / "u" / "seed-1")
    (tmp_path / "u" / "seed-1" / "run.json").unlink()
    shutil.copytree(tmp_path / "m", tmp_path / "d")
    (tmp_path / "d" / "metrics.jsonl").write_text("")
    listed = json.loads(said(capsys, "runs", tmp_path, "--json"))["runs"]
    states: dict[str, Any] = {str(Path(one["folder"]).relative_to(tmp_path)): one for one in listed}
    assert {name: one["state"] for name, one in states.items()} == {
        **{str(p.relative_to(tmp_path)): "finished" for p in (tmp_path / "r").glob("*/seed-*")},
        "r/stages": "finished", "m": "finished", "u/seed-1": "unfinished", "d": "damaged",
    }  # fmt: skip
    assert (states["m"]["every_row"], states["m"]["scores"]) == (True, None)
    assert states["d"]["reason"].endswith("was changed since the run was finished (its checksum is off)")
    table = said(capsys, "runs", tmp_path)
    assert "logit-adjusted   claims" in table
    assert "8 runs" not in table
    assert "7 runs" in table

    before = {path: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    shown = said(capsys, "runs", tmp_path, "--clean")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(before)
    assert "--clean --yes removes it" in shown
    said(capsys, "runs", tmp_path, "--clean", "--yes")
    gone = set(before) - {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in gone} == {"state.safetensors", "stage.safetensors"}
    assert not any({"u", "d"} & set(path.relative_to(tmp_path).parts) for path in gone)
    assert sum(before[path] for path in gone) == sum(one["freed"] for one in listed)
    assert ours.read_text() == "mine"
    assert not (tmp_path / "m" / "checkpoint").exists()
    assert not (tmp_path / "m" / "stages").exists()
    assert said(capsys, "runs", tmp_path / "r", "--clean").startswith("0 bytes could be freed; every run is finished")

    # the same commands find the runs finished, and the models predict
    common = [tmp_path / "claims.csv", "--label", "fraud", "--epochs", 8]
    summary = json.loads(said(capsys, "compare", *common, "--methods", "ce,logit-adjusted", "--seeds", 2, "--jobs", 1,
                              "--out", tmp_path / "r", "--json"))  # fmt: skip
    assert summary["rows"] == json.loads((place / "r" / "comparison.json").read_text())["rows"]
    assert not list((tmp_path / "r").glob("*/seed-*/checkpoint"))
    assert said(capsys, "predict", tmp_path / "m", tmp_path / "new.csv") == said(
        capsys, "predict", place / "m", place / "new.csv"
    )


def test_stages_of_an_unfinished_comparison_and_runs_in_use_stay(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from longtail.engine.lock import exclusive

    shutil.copytree(place / "r", tmp_path / "r")
    shutil.copytree(place / "m", tmp_path / "m")
    next(iter((tmp_path / "r").glob("ce-*/seed-1/run.json"))).unlink()
    (entry,) = [one for one in entries(tmp_path / "r") if one.method is None]
    assert (entry.state, entry.files) == ("unfinished", ())
    with exclusive(tmp_path / "m"):
        capsys.readouterr()
        assert run(["runs", str(tmp_path / "m"), "--clean", "--yes"]) == 1
        assert "is in use by process" in capsys.readouterr().err
    assert (tmp_path / "m" / "checkpoint" / "state.safetensors").exists()
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "m" / "checkpoint", tmp_path / "elsewhere" / "checkpoint")
    (tmp_path / "m" / "checkpoint").symlink_to(tmp_path / "elsewhere" / "checkpoint")
    said(capsys, "runs", tmp_path / "m", "--clean", "--yes")
    assert (tmp_path / "elsewhere" / "checkpoint" / "state.safetensors").exists()


def test_runs_refuses_what_is_no_folder(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a folder; name one that holds runs" in refused(capsys, "runs", place / "claims.csv")
    assert "--yes removes what --clean shows" in refused(capsys, "runs", place, "--yes")
    assert said(capsys, "runs", tmp_path) == f"no runs below {tmp_path}\n"


@pytest.mark.slow
def test_export_names_what_is_not_in_the_file(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    text = said(capsys, "export", place / "m", "--out", tmp_path / "m.pt2")
    assert "Not in the file: reading a table's columns" in text
    sidecar = json.loads((tmp_path / "m.pt2.json").read_text())
    assert sidecar["classes"] == ["no", "yes"]
    assert [column["name"] for column in sidecar["preparation"]["columns"]] == ["amount", "kind"]
    model = lt.load(place / "m")
    rows = model.prepared(claims(1))
    found = torch.export.load(tmp_path / "m.pt2").module()(rows)[0]
    assert torch.allclose(found.double(), model.predict_proba(claims(1)), atol=1e-5)
    assert "ends in .onnx or .pt2" in refused(capsys, "export", place / "m", "--out", tmp_path / "m.bin")
    assert "holds no finished model" in refused(capsys, "export", tmp_path, "--out", tmp_path / "x.pt2")
