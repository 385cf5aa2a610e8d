"""Thresholds by name: given costs are the paper's rule on plain training, chosen ones the best of the family."""

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, recall_score
from tests.cases import cases

from longtail.data import load
from longtail.engine import Recipe
from longtail.facts import knobs
from longtail.methods import method
from longtail.posthoc import ThresholdMoving, TunedLogitAdjustment
from longtail.posthoc.choice import best_tau
from longtail.runs.predictor import Predictor
from longtail.runs.train import train

RECIPE = Recipe(epochs=2, batch_size=16, model="linear")
NAMES = ("common", "seldom", "rare")
COUNTS = [60, 30, 10]


@pytest.fixture(scope="module")
def splits():
    chance = np.random.default_rng(0)
    y = np.repeat(NAMES, COUNTS)
    return load(chance.normal(size=(100, 4)) + np.repeat(np.arange(3), COUNTS)[:, None], y, test=0.3, val=0.3)


@pytest.fixture(scope="module")
def plain(splits, tmp_path_factory):
    return train("ce", splits, folder=tmp_path_factory.mktemp("ce") / "one", recipe=RECIPE)


def test_threshold_moving_weighs_plain_probabilities_by_row_sums(splits, plain, tmp_path):
    (tmp_path / "costs.csv").write_text(",rare,seldom,common\ncommon,1,2,0\nseldom,3,0,1\nrare,0,9,30\n")
    order = splits.classes
    costs = {"common": 3, "seldom": 4, "rare": 39}
    spec = f"threshold-moving(cost={str(tmp_path / 'costs.csv')!r})"
    for name, sums in {
        spec: [costs[c] for c in order],
        "threshold-moving": [20 if c == "rare" else 2 for c in order],
        "threshold-moving(positive='seldom', cost='missed=5,false=2')": [10 if c == "seldom" else 4 for c in order],
    }.items():
        run = train(name, splits, folder=tmp_path / str(len(name)), recipe=RECIPE)
        scores = run.predictions()["scores"]
        assert torch.equal(scores, plain.predictions()["scores"])  # the training of ce
        p = scores.double().softmax(1).tolist()
        moved = run.predictions()["adjusted_scores"].tolist()
        for row, ours in zip(p, moved, strict=True):
            products = [v * c for v, c in zip(row, sums, strict=True)]
            assert ours == pytest.approx([v / sum(products) for v in products], rel=1e-6)
        assert torch.equal(Predictor.load(run.folder).adjusted(scores), torch.tensor(moved, dtype=torch.float64))


@cases("text", ["macro_f1", "f1", "cost", "recall>=0.9"])
def test_tau_is_the_best_for_the_objective(text):
    chance = np.random.default_rng(1)
    y = chance.choice(3, 300, p=[0.6, 0.3, 0.1])
    z = chance.normal(size=(300, 3)) + 1.5 * np.eye(3)[y] + 2 * np.log(np.array(COUNTS) / 100)
    w = chance.integers(1, 4, 300).astype(float)
    cost = [[0, 1, 1], [1, 0, 1], [9, 9, 0]]

    def worth(tau):
        d = (z - tau * np.log(np.array(COUNTS) / 100)).argmax(1)
        if text == "macro_f1":
            return f1_score(y, d, average="macro", sample_weight=w)
        if text == "f1":
            return f1_score(y == 2, d == 2, sample_weight=w)
        if text == "cost":
            return -(w * np.array(cost)[y, d]).sum()
        met = recall_score(y == 2, d == 2, sample_weight=w) >= 0.9
        return met * (y == d)[d == 2].mean() if met else -1

    rule = TunedLogitAdjustment(COUNTS, metric=text, cost=cost if text == "cost" else None)
    rule.fit(z, y, sample_weight=w)
    if text == "recall>=0.9":
        assert worth(float(rule.tau)) >= 0  # the rarest class is recalled
        assert worth(0.0) == -1
    else:
        assert worth(float(rule.tau)) == pytest.approx(max(worth(t) for t in rule.taus), rel=1e-9)
    copies = np.repeat(np.arange(300), w.astype(int))
    again = TunedLogitAdjustment(COUNTS, **rule.arguments)
    assert float(again.fit(z[copies], y[copies]).tau) == float(rule.tau)
    json.dumps(rule.arguments)


def test_a_rule_that_was_saved_says_what_it_was_chosen_for(splits, tmp_path):
    run = train("ce-threshold(objective='macro_f1')", splits, folder=tmp_path / "one", recipe=RECIPE)
    loaded = Predictor.load(run.folder)
    assert "metric=macro_f1" in loaded.rule
    assert loaded.posthoc.fitted


def test_validation_rows_count_by_their_weights(splits, tmp_path):
    val = splits.val
    times = torch.arange(len(val)) % 4
    weighed = replace(val, sample_weight=times.float())
    assert splits.train.sample_weight is None
    z = torch.randn(len(val), 3, generator=torch.Generator().manual_seed(0))
    copies = torch.repeat_interleave(torch.arange(len(val)), times)
    options = (3, [t / 20 for t in range(60)], lambda s, t: s + t * torch.tensor([0.0, 0.3, 1.0]), "macro_f1")
    by_weight = best_tau(z, weighed.targets, *options, sample_weight=weighed.sample_weight)
    assert by_weight == best_tau(z[copies], val.targets[copies], *options)


@cases(
    ("spec", "message"),
    [
        ("threshold-moving(cost='mised=3')", "must name missed, false or other, got 'mised=3'"),
        ("threshold-moving(cost=3)", "cost must be costs as missed=10,false=1 or"),
        ("threshold-moving(positive=1.5)", "positive must be a class by its name or index, got 1.5"),
        ("threshold-moving(positive=-1)", "positive must be a class by its name or index, got -1"),
        ("ce-threshold(objective='roc_auc')", 'objective must be "balanced_accuracy" or'),
        ("trees-threshold(objective='fbeta(0)')", "beta of objective"),
        ("ce-threshold(objective='cost')", "give cost alone"),
        ("ce-threshold(objective='alarms<=9')", "must be a share of the rows where it limits alarms, got 'alarms<=9'"),
        ("ce-threshold(objective='mcc', cost='missed=2')", "give cost alone"),
    ],
)
def test_wrong_knobs_are_refused(spec, message):
    with pytest.raises(ValueError) as caught:
        method(spec)
    assert message in str(caught.value)


@cases(
    ("spec", "message"),
    [
        ("threshold-moving(cost='none.csv')", "must be a file of costs"),
        ("threshold-moving(positive='rar')", "did you mean 'rare'?"),
        ("ce-threshold(objective='f1', positive=3)", "positive must be a class, got 3"),
    ],
)
def test_what_the_data_do_not_have_is_refused_before_training(spec, message, splits, tmp_path):
    with pytest.raises(ValueError) as caught:
        train(spec, splits, folder=tmp_path / "run", recipe=RECIPE)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_cost_on_the_diagonal_is_refused_for_row_sums(splits, tmp_path):
    (tmp_path / "costs.csv").write_text(",rare,seldom,common\ncommon,1,2,1\nseldom,3,0,1\nrare,0,9,30\n")
    with pytest.raises(ValueError, match="must be 0 on its diagonal"):
        train(f"threshold-moving(cost={str(tmp_path / 'costs.csv')!r})", splits, folder=tmp_path / "run", recipe=RECIPE)
    with pytest.raises(ValueError, match="cost must be read by class names"):
        ThresholdMoving(COUNTS)(torch.zeros(1, 3))


def test_the_strength_is_a_number_of_the_family():
    rule = TunedLogitAdjustment([6, 3, 1]).fit(torch.eye(3) * 5, torch.arange(3))
    assert rule(torch.zeros(1, 3))[0].tolist() == pytest.approx([-float(rule.tau) * log(p) for p in (0.6, 0.3, 0.1)])
    assert knobs.declared(TunedLogitAdjustment)["metric"].default == "balanced_accuracy"
