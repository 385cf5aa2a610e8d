"""Explanations of trained models: of the user's columns, in the file of predictions, refused for other models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import load
from longtail.engine.default_recipe import default_recipe
from longtail.runs import explained
from longtail.runs.predictor import Predictor
from longtail.runs.train import train

pytest.importorskip("skops.io")
pd = pytest.importorskip("pandas")


def frame(classes: int) -> Any:
    """The label follows age and kind; a tenth of the ages are missing, and a name of a column is a formula."""
    draw = np.random.default_rng(0)
    age, kind = draw.integers(18, 80, 300).astype(float), draw.choice(["car", "=cmd", "home"], 300)
    label = np.digitize(age / 20 + 2 * (kind == "home") + draw.normal(size=300), [3.5, 5.0][: classes - 1])
    age[draw.random(300) < 0.1] = np.nan
    table = {"age": age, "@kind": kind, "noise": draw.normal(size=300).round(3)}
    return pd.DataFrame({**table, "label": np.array(["ok", "bad", "worst"])[label]})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for name, classes in {"logistic": 3, "trees-posthoc(max_iter=5)": 3, "logistic-cw": 2}.items():
        splits = load(frame(classes), label="label")
        train(name, splits, folder=folder / name.partition("(")[0], recipe=default_recipe(splits))
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["logistic", "trees-posthoc", "logistic-cw"])
def test_contributions_are_to_the_scores_whose_softmax_is_predicted(models: dict[str, Path], name: str) -> None:
    model = Predictor.load(models[name])
    rows = frame(len(model.classes)).drop(columns="label")[:40]
    one, two = (model.explain(rows, of=c) for c in model.classes[:2])
    assert one.names == ("age", "noise", "@kind")
    assert one.contributions.shape == (40, 3)
    total = one.contributions.sum(1) + one.base[0]
    torch.testing.assert_close(total, one.scores, rtol=0, atol=1e-10)
    logs = model.scores(model.prepared(rows)).double()
    odds = one.scores - two.scores if len(model.classes) > 2 else one.scores
    torch.testing.assert_close(odds, logs[:, 0] - logs[:, 1], rtol=0, atol=1e-5)
    if len(model.classes) == 2:
        torch.testing.assert_close(two.contributions, -one.contributions)
        torch.testing.assert_close(two.base, torch.stack([-one.base[1], one.base[1]]))
    predicted = model.explain(rows)
    assert list(predicted.of) == model.predict(rows)
    mixed = model.explain(rows, of=[model.classes[i % 2] for i in range(40)])
    torch.testing.assert_close(mixed.contributions[::2], one.contributions[::2])
    torch.testing.assert_close(mixed.contributions[1::2], two.contributions[1::2])


def test_the_table_names_the_columns_that_moved_a_row_most(models: dict[str, Path]) -> None:
    model = Predictor.load(models["trees-posthoc"])
    rows = frame(3).drop(columns="label")[:60]
    rows.index = rows.index[::-1]  # rows are counted, whatever their index
    made = explained.beside(model.predictions(rows), model, rows, top=2)
    found, table = made.explained, made.frame()
    assert found is not None
    assert list(table.columns)[-8:] == [
        "score",
        "mean score",
        "feature 1",
        "value 1",
        "contribution 1",
        "feature 2",
        "value 2",
        "contribution 2",
    ]
    for i in range(60):
        order = sorted(range(3), key=lambda d: -abs(float(found.contributions[i, d])))
        assert table["feature 1"][i] == found.names[order[0]]
        assert table["feature 2"][i] == found.names[order[1]]
        assert table["contribution 2"][i] == float(found.contributions[i, order[1]])
        cell = rows[found.names[order[0]]].iloc[i]
        missing = isinstance(cell, float) and math.isnan(cell)
        assert (
            (table["value 1"][i] is None or table["value 1"][i] != table["value 1"][i])
            if missing
            else str(cell) == table["value 1"][i]
        )
    assert "before any rule, calibration or prior" in made.notes[-1]
    text = made.csv()
    assert ",'@kind," in text
    assert ",'=cmd," in text
    assert ",@kind," not in text
    assert ",=cmd," not in text


def test_features_are_called_by_their_place(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(80, 3)).astype(np.float32)
    splits = load(x, (x[:, 1] > 0).astype(int))
    train("logistic", splits, folder=tmp_path / "m", recipe=default_recipe(splits))
    np.save(tmp_path / "new.npy", x[:4])
    found = Predictor.load(tmp_path / "m").explain(str(tmp_path / "new.npy"))
    assert found.names == ("feature 0", "feature 1", "feature 2")
    assert found.columns(1)["feature 1"].count("feature 1") >= 3
    assert float(found.columns(1)["value 1"][0]) in x[0].astype(float)


def test_what_cannot_be_explained_is_refused(models: dict[str, Path]) -> None:
    network = Predictor(torch.nn.Linear(2, 2), ("a", "b"), torch.tensor([1, 1]))
    with pytest.raises(ValueError, match=r"logistic\*, trees\*.*compare --importance"):
        network.explain(torch.zeros(1, 2))
    model, rows = Predictor.load(models["logistic"]), frame(3)[:2]
    with pytest.raises(ValueError, match="of must name classes of the model, got 'none'"):
        model.explain(rows, of="none")
    with pytest.raises(ValueError, match="one for each of 2 rows, got 3"):
        model.explain(rows, of=["ok"] * 3)
    model.preparation = None
    with pytest.raises(ValueError, match="images or bare tensors"):
        model.explain(torch.zeros(1, 4))
