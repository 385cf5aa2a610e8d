"""A row with a chosen threshold is tuned for the metric of its comparison, unless its spec says what for."""

from tests.cases import cases

from longtail.catalogue.aims import aimed, with_own_objective
from longtail.methods import method
from longtail.posthoc.decisions.objectives import objective_of

THRESHOLDS = ("ce-threshold", "logit-adjusted-threshold", "trees-threshold", "logistic-threshold")


def specs(asked, metric, **about):
    found, note = aimed([method(spec) for spec in asked], metric, own=with_own_objective(asked), **about)
    return [one.spec for one in found], note


@cases("key", THRESHOLDS)
def test_every_threshold_is_tuned_for_the_metric(key):
    assert specs([key, "ce"], "macro_f1") == ([f"{key}(objective='macro_f1')", "ce"], None)
    assert specs([key], "balanced_accuracy") == ([key], None)
    assert specs([key], "precision@recall=0.9", positive="b") == (
        [f"{key}(objective='recall>=0.9', positive='b')"],
        None,
    )
    cost = "missed=5,false=1"
    assert specs([key], "cost", cost=cost, positive="b") == (
        [f"{key}(cost='{cost}', objective='cost', positive='b')"], None,
    )  # fmt: skip


def test_its_knobs_stay_and_an_objective_of_its_own_too():
    assert specs(["trees-threshold(max_iter=7)"], "mcc") == (["trees-threshold(max_iter=7, objective='mcc')"], None)
    own = ["ce-threshold(objective='balanced_accuracy')", "trees-threshold(cost='missed=2')"]
    assert specs(own, "macro_f1") == (["ce-threshold", "trees-threshold(cost='missed=2')"], None)
    twice = [method("ce-threshold"), method("ce-threshold(objective='g_mean')")]
    assert [one.spec for one in aimed(twice, "g_mean")[0]] == ["ce-threshold(objective='g_mean')"]


def test_a_metric_of_rankings_has_no_threshold_and_a_note_says_so():
    found, note = specs(["ce", "ce-threshold"], "average_precision")
    assert found == ["ce", "ce-threshold"]
    assert note == "ce-threshold: no threshold is best for average_precision; chosen for balanced accuracy"
    assert specs(["ce-threshold"], "cost")[1] is not None
    assert specs(["ce"], "roc_auc")[1] is None


@cases(
    ("metric", "expected"),
    [
        ("macro_f1", "macro_f1"), ("positive_f1", "f1"), ("recall@precision=0.5", "precision>=0.5"),
        ("precision@recall=0.9", "recall>=0.9"), ("roc_auc", None), ("positive_recall", None),
        ("precision@recall=7", None), ("recall@recall=0.5", None),
    ],
)  # fmt: skip
def test_which_objective_is_best_for_a_metric(metric, expected):
    assert objective_of(metric) == expected
