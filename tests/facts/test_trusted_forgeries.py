"""Forged arrays of fitted classifiers never reach compiled code, at any depth."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from longtail.facts import trusted
from longtail.facts.trusted import depth
from longtail.facts.trusted.types import OBJECTS
from rewritten_archive import rewritten

skops = pytest.importorskip("skops.io")
pytest.importorskip("imblearn")

from trusted_models import X, fitted, trees  # noqa: E402


def forged(name: str, change: Callable[[Any], Any]) -> bytes:
    """Archive of a model that somebody changed after it was packed."""
    packed = deepcopy(depth.packed(fitted(name)))
    change(packed)
    return skops.dumps(packed)


def table(name: str, value: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Change one array of the trees."""
    return lambda packed: packed["trees"].update({name: value(packed["trees"][name])})


def first(value: Any) -> Callable[[Any], Any]:
    return lambda array: np.concatenate([np.array([value], dtype=array.dtype), array[1:]])


def field(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def put(packed: Any) -> None:
        model = packed["model"] if isinstance(packed, dict) else packed
        setattr(model, name, change(getattr(model, name, None)))

    return put


def inner(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Change the support vectors inside of a calibrated pipeline."""
    return lambda packed: field(name, change)(packed.calibrated_classifiers_[1].estimator.steps[1][1])


def hot(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Change the one-hot codes inside of a pipeline."""
    return lambda packed: field(name, change)(packed.steps[0][1].transformers_[1][1])


def narrow(packed: Any) -> None:
    """One tree and its own statement of its columns are for more columns than the forest's."""
    packed["trees"]["columns"][1] = packed["model"].estimators_[1].n_features_in_ = 400


FORGED: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "a child far away": ("forest", table("left", first(4_000_000)), "points outside of its tree"),
    "a child before": ("forest", table("left", first(-1)), "points outside of its tree"),
    "a child in the next tree": ("forest", table("right", first(300)), "points outside of its tree"),
    "a child of two": ("forest", table("right", first(0)), "other than one parent"),
    "a column that is not there": ("forest", table("column", first(4)), "a column that does not exist"),
    "a column before the first": ("forest", table("column", first(-1)), "a column that does not exist"),
    "more columns": ("forest", table("columns", lambda a: a + 1), "another number of columns"),
    "one tree of more columns": ("forest", narrow, "another number of columns"),
    "fewer columns": ("forest", field("n_features_in_", lambda n: 3), "another number of columns"),
    "no number of columns": ("tree", field("n_features_in_", lambda n: None), "another number of columns"),
    "more classes": ("forest", table("classes", lambda a: a * 1000), "do not add up"),
    "classes of 64 bits": ("forest", table("classes", first(2**62)), "too large"),
    "no classes": ("forest", table("classes", first(0)), "do not add up"),
    "longer trees": ("forest", table("sizes", first(2**30)), "do not add up"),
    "trees of 64 bits": ("forest", table("sizes", first(2**63 - 1)), "too large"),
    "too few values": ("forest", table("values", lambda a: a[1:]), "do not add up"),
    "too few bits": ("forest", table("filled", lambda a: a[:-1]), "do not add up"),
    "nothing but inner nodes": ("forest", table("inner", lambda a: a | 255), "do not add up"),
    "fewer thresholds": ("forest", table("threshold", lambda a: a[1:]), "do not add up"),
    "other numbers": ("forest", table("left", lambda a: a.astype(np.int64)), "other fields"),
    "no table": ("forest", lambda packed: packed.update(trees={}), "its trees are missing"),
    "a tree that is not there": ("tree", field("tree_", lambda t: {"tree": 1}), "its trees are missing"),
    "a tree from the end": ("tree", field("tree_", lambda t: {"tree": -1}), "its trees are missing"),
    "a tree of another kind": ("tree", field("tree_", lambda t: trees()), "its trees are missing"),
    "no trees": ("forest", field("estimators_", lambda e: []), "its trees are missing"),
    "other trees": ("forest", field("estimators_", lambda e: [GaussianNB()]), "another number of columns"),
    "wider boosting": ("gradient boosting", table("classes", lambda a: a * 2), "do not add up"),
    "boosting of two columns": (
        "boosting from zero", field("n_trees_per_iteration_", lambda k: 1), "another number of classes",
    ),
    "boosting of a line": ("gradient boosting", field("estimators_", lambda e: e.ravel()), "its trees are missing"),
    "boosting of narrow trees": ("gradient boosting", field("n_features_in_", lambda n: 3), "number of columns"),
    "boosted trees in bags": (
        "bagging of boosted trees",
        lambda packed: packed.estimators_[1]._predictors["nodes"]["left"].fill(10**6), "points outside of its tree",
    ),
    "more vectors of a class": ("support vectors", inner("_n_support", first(10**6)), "do not add up"),
    "fewer than none": ("support vectors", inner("_n_support", lambda n: n + np.int32([-200, 100, 100])), "do not add"),
    "more classes of vectors": ("support vectors", inner("_n_support", lambda n: np.r_[n, n[:1] * 0]), "do not add up"),
    "fewer coefficients": ("support vectors", inner("_dual_coef_", lambda a: a[:1]), "do not add up"),
    "fewer intercepts": ("support vectors", inner("_intercept_", lambda a: a[:1]), "do not add up"),
    "narrower vectors": (
        "support vectors", inner("support_vectors_", lambda a: np.ascontiguousarray(a[:, :1])), "do not add up",
    ),
    "fewer vectors": ("support vectors", inner("support_vectors_", lambda a: a[:1]), "do not add up"),
    "more rows": ("support vectors", inner("support_", lambda a: np.r_[a, a]), "do not add up"),
    "one slope": ("support vectors", inner("_probA", lambda a: np.ones(1)), "do not add up"),
    "a kernel of rows": ("support vectors", inner("kernel", lambda k: "precomputed"), "of another kind"),
    "another machine": ("support vectors", inner("_impl", lambda i: "one_class"), "of another kind"),
    "no vectors": ("support vectors", inner("_dual_coef_", lambda a: None), "are missing"),
    "a class that is not there": ("neighbours", field("_y", first(10**6)), "its rows do not add up"),
    "a class before the first": ("neighbours", field("_y", first(-1)), "its rows do not add up"),
    "fewer rows": ("neighbours", field("_fit_X", lambda a: a[:50]), "its rows do not add up"),
    "more neighbours than rows": ("neighbours", field("n_neighbors", lambda k: 10**6), "its rows do not add up"),
    "a measured distance": ("neighbours", field("metric", lambda m: "mahalanobis"), "of another kind"),
    "a weighted distance": (
        "neighbours", field("effective_metric_params_", lambda p: {"w": np.ones(1)}), "of another kind",
    ),
    "another search": ("neighbours", field("_fit_method", lambda m: "tree"), "in another way"),
    "fewer codes": ("neighbours one by one", hot("_n_features_outs", lambda w: [1]), "do not add up"),
    "categories without order": ("neighbours one by one", hot("categories_", lambda c: [c[0][::-1]]), "not in order"),
    "a dropped category": (
        "neighbours one by one", hot("_drop_idx_after_grouping", lambda d: np.array([-9], dtype=object)), "add up",
    ),
    "joined categories": ("neighbours one by one", hot("_infrequent_enabled", lambda i: True), "joins rare"),
    "a field for a method": ("normal", field("_check_X", lambda m: float), "stands in the place of a method"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change", "named"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_model_is_refused(name: str, change: Any, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^the model is damaged \(.*{named}.*\); train it again"):
        trusted.loads(forged(name, change), "the model")


@pytest.mark.parametrize("name", ["forest", "gradient boosting", "tree, best first"])
def test_any_number_of_trees_is_refused_or_walks_to_an_end(name: str) -> None:
    drawn, read = np.random.default_rng(1), 0
    for _ in range(40):

        def change(packed: Any) -> None:
            for _ in range(drawn.integers(1, 3)):
                array = packed["trees"][drawn.choice([*packed["trees"]])]
                place = drawn.integers(len(array))
                array[place] = drawn.choice([0, 1, 2, 3, int(array[place]) ^ 1, 127])

        with suppress(ValueError):
            model = trusted.loads(forged(name, change), "the model")
            read += 1
            model.apply(X)
            (model.estimators_.flat[0] if name == "gradient boosting" else model).decision_path(X.astype(np.float32))
    assert 0 < read < 40


def test_an_archive_that_repeats_one_object_or_one_file_without_end_is_refused_soon() -> None:
    bomb: list[Any] = [1.0]
    for _ in range(40):
        bomb = [bomb, bomb]
    depth.unpacked(bomb)

    def repeat(schema: Any) -> None:
        schema["content"] = schema["content"] * 2000

    data = rewritten(skops.dumps([np.zeros(300_000)]), repeat)
    with pytest.raises(ValueError, match=r"the model must unpack to at most \d+ bytes, got"):
        trusted.loads(data, "the model")


def test_whatever_walks_arrays_in_compiled_code_is_checked() -> None:
    checked = {*depth.CHECKS, *depth.BUILT, *depth.TREES}
    guarded = {"LinearSVC", "BaggingClassifier", "VotingClassifier", "AdaBoostClassifier", "_BinMapper"}
    for name in OBJECTS:
        module, _, own = name.rpartition(".")
        if module.split(".")[1] in ("svm", "tree", "neighbors") or module.startswith("sklearn.ensemble"):
            assert own in checked | guarded, f"{own} needs a check in longtail.facts.trusted.native, or NumPy's"
