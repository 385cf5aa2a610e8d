"""The numbers of the estimator are those of `longtail train` on the same rows and seed, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.cases import cases
from tests.classifier.classifier_data import arrays, frame

import longtail as lt
from longtail.cli import run as command
from longtail.data import load
from longtail.data.every_row import load_every_row
from longtail.engine.default_recipe import default_recipe
from longtail.runs import model_decision
from longtail.runs.train import train

X, Y = arrays()
NEW, _ = arrays(40, seed=5)
TABLE, OUTCOME = frame()


@cases(
    ("method", "options"),
    [
        ("logit-adjusted", {}),
        ("ldam-drw(scale=20)", {"seed": 3}),
        ("ce-threshold", {"val": 0.3}),
        ("crt", {"seed": 2}),
        ("trees-posthoc(max_iter=5)", {}),
    ],
)
def test_a_training_with_a_test_part_has_its_scores(tmp_path: Path, method: str, options: dict[str, Any]) -> None:
    val, seed = options.get("val"), options.get("seed", 0)
    splits = load(X, Y, val=val)
    folder = tmp_path / method.split("(")[0]
    run = train(method, splits, folder=folder, seed=seed, recipe=default_recipe(splits, epochs=4, batch_size=16))
    trained_on = torch.ones(len(X), dtype=torch.bool)
    trained_on[splits.test_rows] = False
    clf = lt.LongTailClassifier(method, epochs=4, batch_size=16, val=val, random_state=seed)
    clf.fit(X[trained_on.numpy()], Y[trained_on.numpy()])
    tested = X[splits.test_rows.numpy()]
    predicted = run.predictions()
    assert clf.predictor_.scores(clf.predictor_.prepared(tested)).equal(predicted["scores"])
    decided = predicted.get("adjusted_scores", predicted["scores"]).argmax(1).numpy()
    assert clf.predict(tested).tolist() == np.array(splits.classes)[decided].tolist()
    assert clf.predict_proba(tested).tolist() == run.predictor.predict_proba(tested).tolist()
    assert clf.method_ == run.config["method"]


def test_a_frame_is_prepared_as_the_file_is_by_the_command(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    TABLE.assign(outcome=OUTCOME).to_csv(path, index=False)
    told = ["train", path, "--label", "outcome", "--all", "--epochs", 3, "--seed", 4, "--out", tmp_path / "run"]
    assert command(list(map(str, told))) == 0
    clf = lt.LongTailClassifier(epochs=3, random_state=4).fit(TABLE, OUTCOME)
    model = lt.load(tmp_path / "run")
    assert clf.predictor_.preparation.to_json() == model.preparation.to_json()  # type: ignore[union-attr]
    assert clf.predict_proba(TABLE).tolist() == model.predict_proba(TABLE).tolist()
    assert clf.predict(TABLE).tolist() == model.predict(TABLE)


def test_weights_calibration_decision_and_sets_are_those_of_a_run(tmp_path: Path) -> None:
    x, y = arrays(200)
    weight = np.random.default_rng(2).integers(1, 4, 200).astype(float)
    splits = load_every_row(x, y, val=0.4, sample_weight=weight)
    run = train("ce", splits, folder=tmp_path, recipe=default_recipe(splits, epochs=2), calibrate="vector")
    goal = model_decision.asked(splits.classes, splits.class_counts, goal="fbeta(2)", positive="rare")
    model = model_decision.attach(run, goal).predictor
    options: dict[str, Any] = {"epochs": 2, "val": 0.4, "objective": "fbeta(2)", "positive": "rare"}
    clf = lt.LongTailClassifier("ce", calibrate="vector", **options).fit(x, y, sample_weight=weight)
    assert clf.predict_proba(NEW).tolist() == model.predict_proba(NEW).tolist()
    assert str(clf.predictor_.decision) == str(model.decision)
    assert clf.predictor_.decision.found is not None
    assert clf.predict(NEW).tolist() == model.predict(NEW)
    assert clf.predictor_.predictions(NEW, sets=0.8).sets == model.predictions(NEW, sets=0.8).sets
    unweighted = lt.LongTailClassifier("ce", epochs=2, val=0.4, calibrate="vector").fit(x, y)
    assert unweighted.predict_proba(NEW).tolist() != model.predict_proba(NEW).tolist()


def test_what_a_search_chose_is_trained_and_calibrated() -> None:
    spec = "ce-tuned(weight_decay=(0.02, 0.5), dropout=(0.5,), smoothing=(0.2,))"
    clf = lt.LongTailClassifier(spec, epochs=2, val=0.4, calibrate="temperature").fit(X, Y)
    assert clf.predictor_.calibration is not None
    assert clf.predictor_.sets is None  # its validation rows chose the training


def test_images_of_bytes_stay_what_they_are() -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(40) % 5 // 3
    images = (draw.integers(0, 100, (40, 8, 8, 3)) + 100 * labels[:, None, None, None]).astype(np.uint8)
    clf = lt.LongTailClassifier("ce", epochs=5, model="linear").fit(images, labels)
    assert clf.predictor_.preparation.to_json() == {"kind": "features", "shape": [3, 8, 8], "dtype": "uint8"}
    assert clf.score(images, labels) > 0.9
    with pytest.raises(ValueError, match="X has 9 features, but LongTailClassifier is expecting 8"):
        clf.predict(np.zeros((2, 9, 9, 3), dtype=np.uint8))


def test_a_saved_model_is_what_predict_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clf = lt.LongTailClassifier("logistic-posthoc").fit(TABLE, OUTCOME)
    folder = clf.save(tmp_path / "model")
    TABLE.to_csv(tmp_path / "new.csv", index=False)
    assert command(["predict", str(folder), str(tmp_path / "new.csv"), "--out", str(tmp_path / "out.csv")]) == 0
    written = pd.read_csv(tmp_path / "out.csv")
    assert written["prediction"].tolist() == clf.predict(TABLE).tolist()
    assert np.array_equal(written[[f"p({c})" for c in clf.classes_]].to_numpy(), clf.predict_proba(TABLE))
    assert lt.load(folder).label == "outcome"
    monkeypatch.setattr(clf.predictor_.network, "unsaved", "not trusted", raising=False)
    with pytest.raises(ValueError, match=r"model of method .* cannot be saved \(not trusted\); pickle the estimator"):
        clf.save(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    (folder / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"folder must not be that of a run, got .*; name another"):
        clf.save(folder)
