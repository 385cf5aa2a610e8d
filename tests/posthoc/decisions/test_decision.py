"""The decision object: its rules by hand, brute force over all thresholds, the Bayes cost, copies, refusals."""

import json
from math import exp, inf, log, pi, sqrt

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    fbeta_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
)
from tests.cases import cases

import longtail as lt
from longtail.posthoc import Decision, move_threshold
from longtail.posthoc.decisions import objective

NAMES = ("ok", "fraud", "error")


def simulated(shares, n, seed=0, means=None, copies=False):
    """Rows of unit Gaussians on a line, and their exact log posteriors."""
    chance = np.random.default_rng(seed)
    means = np.arange(len(shares)) * 1.5 if means is None else np.array(means)
    y = chance.choice(len(shares), n, p=shares)
    x = chance.normal(means[y])
    if copies:
        x = np.round(x, 1)
    joint = np.log(shares) - (x[:, None] - means) ** 2 / 2
    return x, joint - np.logaddexp.reduce(joint, 1, keepdims=True), y


def decided(decision, log_probs):
    return decision(log_probs).argmax(1)


# ---- costs


def bayes_cost(shares, means, cost):
    """The expected cost of the best decision by summation over a fine grid."""
    total, step = 0.0, 1e-3
    for i in range(int(18 / step)):
        x = -6 + i * step
        joint = [s * exp(-((x - m) ** 2) / 2) / sqrt(2 * pi) for s, m in zip(shares, means, strict=True)]
        total += min(sum(joint[k] * cost[k][j] for k in range(len(shares))) for j in range(len(shares))) * step
    return total


COSTS = {
    "missed": [[0, 1, 1], [20, 0, 20], [1, 1, 0]],
    "graded": [[0, 1, 4], [9, 0, 2], [30, 6, 0]],
    "right costs": [[0.5, 3, 1], [8, 1, 2], [40, 0.2, 0.1]],
}


@cases("name", list(COSTS))
def test_the_bayes_cost_is_reached_on_gaussians(name):
    shares, means, cost = [0.9, 0.08, 0.02], [0, 1.5, 3.0], COSTS[name]
    best = bayes_cost(shares, means, cost)
    x, exact, y = simulated(shares, 200_000)
    decision = Decision(NAMES, cost=cost)
    spent = np.array(cost)[y, decided(decision, exact)]
    assert spent.mean() == pytest.approx(best, abs=4 * spent.std() / sqrt(len(y)))
    assert spent.mean() < np.array(cost)[y, exact.argmax(1)].mean()
    # and by probabilities that a model learns, whose form is right
    few = slice(0, 20_000)
    model = LogisticRegression(C=1e4).fit(x[few, None], y[few])
    learnt = np.array(cost)[y, decided(decision, model.predict_log_proba(x[:, None]))]
    assert learnt.mean() == pytest.approx(best, abs=4 * spent.std() / sqrt(len(y)) + 0.01 * best)


def test_expected_costs_are_summed_over_true_classes():
    _, p, _ = simulated([0.5, 0.3, 0.2], 40)
    scores = Decision(3, cost=COSTS["graded"])(torch.from_numpy(p))
    for row, ours in zip(p, scores.tolist(), strict=True):
        by_hand = [-sum(exp(row[i]) * COSTS["graded"][i][j] for i in range(3)) for j in range(3)]
        assert ours == pytest.approx(by_hand, rel=1e-9)


def test_two_classes_are_a_threshold_of_one_eleventh():
    decision = Decision(["no", "yes"], cost=lt.decisions.read_cost("missed=10,false=1", ["no", "yes"], "yes"))
    p = np.array([1 / 11 - 1e-6, 1 / 11 + 1e-6])
    assert decided(decision, np.log(np.stack([1 - p, p], 1))).tolist() == [0, 1]
    assert decision.words == "least expected cost: 'yes' where p >= 0.09091"


def test_classes_that_cost_the_same_go_to_the_more_probable():
    cost = lt.decisions.read_cost("missed=10,false=1,other=0", NAMES, "fraud")
    assert decided(Decision(NAMES, cost=cost), np.log([[0.3, 0.05, 0.65], [0.65, 0.05, 0.3]])).tolist() == [2, 0]


def test_row_sums_are_threshold_moving():
    _, p, _ = simulated([0.9, 0.08, 0.02], 300)
    cost = [[0, 1, 4], [9, 0, 2], [30, 6, 0]]
    ours = Decision(3, cost=cost, rule="row-sums")(p)
    assert np.abs(ours - move_threshold(np.exp(p), np.array(cost, float))).max() < 1e-14
    bayes = decided(Decision(3, cost=cost), p)
    assert (bayes != ours.argmax(1)).any()


# ---- thresholds that are given


def test_given_thresholds_decide_where_they_say():
    p = np.array([[0.5, 0.2, 0.3], [0.5, 0.19, 0.31], [0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    with np.errstate(divide="ignore"):
        logs = np.log(p)
    for threshold, expected in (
        (0.2 - 1e-9, [1, 0, 1, 1, 0]),
        (0.5, [0, 0, 2, 1, 0]),
        (0, [1] * 5),
        (1, [0, 0, 2, 1, 0]),
    ):
        assert decided(Decision(NAMES, thresholds={"fraud": threshold}), logs).tolist() == expected
    ratios = Decision(NAMES, thresholds=[0.5, 0.1, 1])
    assert decided(ratios, logs).tolist() == [max(range(3), key=lambda j: r[j] / [0.5, 0.1, 1][j]) for r in p]
    always = Decision(NAMES, thresholds={"ok": 0.5, "fraud": 0, "error": 0.9})
    assert decided(always, logs[:4]).tolist() == [1, 1, 1, 1]
    two = Decision(["a", "b"], thresholds=[0.8, 0.2])  # those of both classes are that of one
    one = Decision(["a", "b"], thresholds={"b": 0.2})
    q = np.log([[1 - v, v] for v in (0.01, 0.19999, 0.20001, 0.5, 0.99)])
    assert decided(two, q).tolist() == decided(one, q).tolist() == [0, 0, 1, 1, 1]


# ---- thresholds that are chosen


def every_cut(p, y, w=None):
    """All distinct ways to call the rows from some probability on: the calls, highest threshold first."""
    return [np.zeros(len(p), int), *(np.where(p >= t, 1, 0) for t in np.unique(p)[::-1])]


TWO = {
    "fbeta(2)": lambda y, d, w: fbeta_score(y, d, beta=2, sample_weight=w, zero_division=0),
    "f1": lambda y, d, w: f1_score(y, d, sample_weight=w, zero_division=0),
    "balanced_accuracy": lambda y, d, w: balanced_accuracy_score(y, d, sample_weight=w),
    "accuracy": lambda y, d, w: accuracy_score(y, d, sample_weight=w),
    "macro_f1": lambda y, d, w: f1_score(y, d, average="macro", sample_weight=w, zero_division=0),
    "weighted_f1": lambda y, d, w: f1_score(y, d, average="weighted", sample_weight=w, zero_division=0),
    "mcc": lambda y, d, w: matthews_corrcoef(y, d, sample_weight=w),
    "g_mean": lambda y, d, w: sqrt(
        recall_score(y, d, pos_label=0, sample_weight=w) * recall_score(y, d, sample_weight=w)
    ),
}


@cases("name", list(TWO))
def test_the_best_threshold_is_that_of_brute_force(name):
    _, logs, y = simulated([0.8, 0.2], 50, copies=True)
    w = np.random.default_rng(1).integers(1, 4, 50).astype(float)
    decision = Decision(["no", "yes"], objective=name, positive="yes").fit(logs, y, sample_weight=w)
    best = max(TWO[name](y, d, w) for d in every_cut(np.exp(logs[:, 1]), y))
    assert TWO[name](y, decided(decision, logs), w) == pytest.approx(best, abs=1e-12)


def test_conditions_are_met_as_well_as_brute_force_meets_them():
    _, logs, y = simulated([0.8, 0.2], 150, copies=True)
    cuts = every_cut(np.exp(logs[:, 1]), y)
    recall = [recall_score(y, d) for d in cuts]
    precision = [precision_score(y, d, zero_division=0) for d in cuts]

    def calls(text):
        return decided(Decision(["no", "yes"], objective=text, positive=1).fit(logs, y), logs).tolist()

    assert calls("recall>=0.8") == next(d for d, r in zip(cuts, recall, strict=True) if r >= 0.8).tolist()
    met = [i for i in range(len(cuts)) if precision[i] >= 0.6]
    assert recall_score(y, calls("precision>=60%")) == max(recall[i] for i in met)
    assert precision_score(y, calls("precision>=60%")) >= 0.6
    few = [d for d in cuts if d.sum() <= 15]
    assert calls("alarms<=10%") == few[-1].tolist()


def test_alarms_are_the_most_probable_rows_of_those_decided_together():
    _, logs, y = simulated([0.7, 0.2, 0.1], 60)
    decision = Decision(NAMES, objective="alarms<=7", positive="fraud")
    assert decision.fitted
    calls = decided(decision, logs)
    best = sorted(range(60), key=lambda i: -logs[i, 1])[:7]
    others = np.where(np.arange(3) == 1, -inf, logs).argmax(1)
    assert [i for i in range(60) if calls[i] == 1] == sorted(best)
    assert all(calls[i] == others[i] for i in range(60) if i not in best)
    same = np.log(np.full((4, 2), 0.5))
    assert decided(Decision(2, objective="alarms<=2", positive=1), same).tolist() == [1, 1, 0, 0]
    found = decision.fit(logs, y).found
    assert found["condition"]["value"] == 7
    assert found["value"]["value"] == pytest.approx(sum(y[i] == 1 for i in best) / (y == 1).sum())


def recalls(m):
    return [m[k, k] / m[k].sum() for k in range(3)]


def f1s(m):
    return np.array([2 * m[k, k] / (m[k].sum() + m[:, k].sum()) for k in range(3)])


def correlation(m):
    n, t, p = m.sum(), m.sum(1), m.sum(0)
    return (np.trace(m) * n - t @ p) / sqrt((n * n - p @ p) * (n * n - t @ t))


MANY = {
    "balanced_accuracy": lambda m: np.mean(recalls(m)),
    "macro_f1": lambda m: f1s(m).mean(),
    "weighted_f1": lambda m: f1s(m) @ m.sum(1) / m.sum(),
    "mcc": correlation,
    "accuracy": lambda m: np.trace(m) / m.sum(),
    "g_mean": lambda m: np.prod(recalls(m)) ** (1 / 3),
    "cost": lambda m: -(m * np.array(COSTS["graded"])).sum() / m.sum(),
}


def test_offsets_gain_as_a_grid_of_all_of_them_does():
    shares, wrong = [0.8, 0.15, 0.05], np.array([0.0, -0.9, 0.7])
    _, logs, y = simulated(shares, 700, seed=3)
    _, new, true = simulated(shares, 3_000, seed=4)
    logs, new = logs * 0.6 + wrong, new * 0.6 + wrong  # not calibrated

    def confusion(d):
        return np.bincount(3 * true + d, minlength=9).reshape(3, 3)

    grid = np.arange(-4, 4.01, 0.4)
    all_of_them = [confusion((new + np.array([0, a, b])).argmax(1)) for a in grid for b in grid]
    for name, value in MANY.items():
        decision = Decision(NAMES, objective=name, cost=COSTS["graded"] if name == "cost" else None).fit(logs, y)
        best = max(value(m) for m in all_of_them)
        assert value(confusion(decided(decision, new))) >= best - 0.03 * abs(best), name
        assert decision.found["gain"]["high"] > 0


def test_what_it_is_worth_is_estimated_on_other_rows():
    _, logs, y = simulated([0.9, 0.1], 400, means=[0, 0])  # nothing to learn: noise in the scores
    logs = np.random.default_rng(0).normal(size=(400, 2))
    found = Decision(2, objective="balanced_accuracy").fit(logs, y).found
    fitted = Decision(2, objective="balanced_accuracy").fit(logs, y)
    inside = balanced_accuracy_score(y, decided(fitted, logs))
    assert inside > 0.5 + 0.01
    assert found["value"]["value"] < inside
    assert found["value"]["low"] < 0.5 < found["value"]["high"]
    assert found["gain"]["low"] < 0 < found["gain"]["high"]
    assert found["threshold"]["low"] <= found["threshold"]["value"] <= found["threshold"]["high"]
    assert found["folds"] == 5
    json.dumps(found, allow_nan=False)


def test_a_chosen_threshold_has_an_interval_that_holds_the_best_one():
    held, shares = 0, [0.7, 0.3]
    for seed in range(20):
        _, logs, y = simulated(shares, 300, seed=seed)
        threshold = Decision(2, objective="balanced_accuracy").fit(logs, y).found["threshold"]
        held += threshold["low"] <= 0.3 <= threshold["high"]  # the exact posterior's: the share of the class
    assert held >= 17


def test_a_class_without_rows_keeps_the_neutral_rule():
    _, logs, y = simulated([0.6, 0.3, 0.1], 400)
    keep = y != 2
    decision = Decision(NAMES, objective="macro_f1").fit(logs[keep], y[keep])
    assert decision.found["neutral"] == ["error"]
    assert decision.words.endswith("neutral for lack of validation rows: 'error'")
    mean = np.log(np.exp(logs[keep]).mean(0))
    tau = decision.found["tau"]
    assert float(decision.offsets[2]) == pytest.approx(-tau * mean[2], abs=1e-9)
    only = Decision(2, objective="macro_f1").fit(logs[y == 1][:, :2], y[y == 1])
    assert float(only.cut) == 0.0
    assert only.found["neutral"] == ["0"]


WEIGHED = [
    {"objective": "macro_f1"},
    {"objective": "mcc"},
    {"objective": "fbeta(2)", "positive": 1},
    {"objective": "recall>=0.8", "positive": 2},
    {"objective": "alarms<=9", "positive": 1},
    {"cost": COSTS["graded"]},
]


@cases("how", WEIGHED)
def test_a_weight_is_that_many_copies(how):
    _, logs, y = simulated([0.6, 0.3, 0.1], 80)
    times = np.random.default_rng(2).integers(0, 4, 80)
    weighed = Decision(3, **how).fit(logs, y, sample_weight=times)
    order = np.random.default_rng(3).permutation(int(times.sum()))
    copied = Decision(3, **how).fit(np.repeat(logs, times, 0)[order], np.repeat(y, times)[order])
    assert weighed.found == copied.found
    for name in ("cut", "offsets", "support"):
        assert torch.equal(getattr(weighed, name).nan_to_num(9.0), getattr(copied, name).nan_to_num(9.0))
    assert weighed.found != Decision(3, **how).fit(logs, y).found


def test_arguments_and_state_make_the_same_decision():
    _, logs, y = simulated([0.6, 0.3, 0.1], 200)
    for how in (
        {"objective": "macro_f1"},
        {"objective": "recall>=0.8", "positive": "error"},
        {"objective": "alarms<=9", "positive": "fraud"},
        {"thresholds": {"fraud": 0.1}},
        {"thresholds": [0.3, 0.2, 0.1]},
        {"cost": COSTS["graded"]},
        {"cost": [[0, 1, 1], [2, 0, 2], [3, 3, 0]], "rule": "row-sums"},
    ):
        one = Decision(NAMES, **how).fit(logs, y)
        again = Decision(**json.loads(json.dumps(one.arguments)))
        again.load_state_dict(one.half().state_dict())
        assert again.fitted
        assert again.words == one.words
        assert np.array_equal(again(logs), one(logs))
        assert torch.equal(again(torch.from_numpy(logs)), torch.from_numpy(one(logs)))


# ---- what is refused

ROWS = simulated([0.6, 0.3, 0.1], 30)[1:]


@cases(
    ("how", "message"),
    [
        ({}, "needs one of cost, objective"),
        ({"objective": "macro_f1", "thresholds": [0.1] * 3}, "got objective and thresholds"),
        ({"objective": "macro_f1", "cost": COSTS["graded"]}, "got cost and objective"),
        ({"objective": "cost"}, 'objective "cost" needs the costs'),
        ({"objective": "f1"}, "needs its name; pass positive, one of 'ok', 'fraud'"),
        ({"objective": "f1", "positive": "frad"}, "did you mean 'fraud'?"),
        ({"objective": "macro-f1"}, "unknown objective 'macro-f1'; did you mean 'macro_f1'?"),
        ({"objective": "__import__('os')"}, "unknown objective"),
        ({"objective": "fbeta(0)", "positive": 0}, "beta of objective 'fbeta(0)' must be in (0, 1000]"),
        ({"objective": "recall>=1.2", "positive": 0}, "must be in (0, 1]"),
        ({"objective": "precision>=0", "positive": 0}, "must be in (0, 1]"),
        ({"objective": "alarms<=0.5", "positive": 0}, "whole number >= 1 or a share"),
        ({"objective": "alarms<=200%", "positive": 0}, "whole number >= 1 or a share"),
        ({"thresholds": {"fraud": 1.2}}, "must be in [0, 1], got 1.2 for class 'fraud'"),
        ({"thresholds": [0.1, 0.2, float("nan")]}, "must be in [0, 1], got nan"),
        ({"thresholds": [0.1, 0.2]}, "or 3 numbers, one per class"),
        ({"thresholds": {"fraud": 0.1, "ok": 0.2}}, "of one class or of all 3, got 2"),
        ({"thresholds": {"fr\x1baud": 0.1}}, r"got 'fr\x1baud'"),
        ({"cost": [[0, 1], [1, 0]]}, "one row and one column for each of the 3"),
        ({"cost": COSTS["right costs"], "rule": "row-sums"}, "must be 0 on its diagonal"),
        ({"objective": "macro_f1", "rule": "row-sums"}, "is about cost alone"),
        ({"cost": COSTS["graded"], "rule": "rows"}, "rule must be"),
    ],
)
def test_what_cannot_be_a_decision_is_refused(how, message):
    with pytest.raises(ValueError) as caught:
        Decision(NAMES, **how)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_objective_that_cannot_be_met_says_what_can():
    logs, y = ROWS
    noise = np.log(np.full((30, 3), 1 / 3))
    with pytest.raises(
        ValueError, match=r"cannot be met .* precision of class 'fraud' is 0\.\d+ at best, with recall 1 "
    ):
        Decision(NAMES, objective="precision>=0.99", positive="fraud").fit(noise, y)
    for text in ("recall>=0.9", "f1", "alarms<=5"):
        with pytest.raises(ValueError, match=r"needs validation rows of class 'error', got none; .* the best"):
            Decision(NAMES, objective=text, positive="error").fit(logs[y != 2], y[y != 2])
    with pytest.raises(ValueError, match="must be fitted before use"):
        Decision(NAMES, objective="macro_f1")(logs)
    for wrong, message in (
        ((logs[:, :2], y), r"\(N, 3\)"),
        ((logs, y[:-1]), "one class index per row"),
        ((logs, y + 2), r"in \[0, 3\), got [34]"),
        ((np.full_like(logs, np.nan), y), "got NaN"),
        ((logs[:0], y[:0]), "at least one row"),
    ):
        with pytest.raises(ValueError, match=message):
            Decision(NAMES, objective="macro_f1").fit(*wrong)
    with pytest.raises(ValueError, match="sample_weight must be one finite number >= 0"):
        Decision(NAMES, objective="macro_f1").fit(logs, y, sample_weight=-np.ones(30))


def test_objectives_are_read_and_written_alike():
    for text in ("macro_f1", "f1", "fbeta(2)", "recall>=0.9", "precision>=0.8", "alarms<=100", "alarms<=1%", "cost"):
        assert str(objective(text)) == text
        assert objective(str(objective(text))) == objective(text)
    assert objective("fbeta( .5 )").bound == 0.5
    assert objective("recall >= 90%") == objective("recall>=0.9")
    assert log(objective("fbeta(1)").bound) == 0
