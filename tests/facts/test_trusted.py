"""Fitted scikit-learn objects as bytes: read back equal, and nothing of a forged archive is ever executed."""

from __future__ import annotations

import builtins
import io
import operator
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from longtail.facts import trusted
from rewritten_archive import rewritten

skops = pytest.importorskip("skops.io")

GENERATOR = np.random.default_rng(0)
X = np.c_[GENERATOR.normal(size=(200, 2)), GENERATOR.integers(0, 5, (200, 2))]
Y = (X[:, 0] + X[:, 2] + GENERATOR.normal(size=200) > 2).astype(int) + (X[:, 3] == 1)
HOLES = np.where(GENERATOR.random(X.shape) < 0.1, np.nan, X)


def logistic() -> Any:
    encoder = ColumnTransformer([("n", "passthrough", [0, 1]), ("c", OneHotEncoder(handle_unknown="ignore"), [2, 3])])
    return make_pipeline(encoder, LogisticRegression(max_iter=500)).fit(X, Y)


def trees(targets: Any = Y, **options: Any) -> Any:
    options = {"max_iter": 4, "categorical_features": [2, 3], "random_state": 0, **options}
    return HistGradientBoostingClassifier(**options).fit(X, targets)


def table() -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    return ColumnTransformer([("numbers", numbers, [0, 1]), ("codes", codes, [2, 3])]).fit(HOLES)


FITTED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "logistic": (logistic, lambda e: e.predict_proba(X)),
    "trees": (trees, lambda e: e.predict_proba(X)),
    "trees of two classes": (lambda: trees(Y > 0), lambda e: e.predict_proba(X)),
    "trees that stop early": (lambda: trees(early_stopping=True), lambda e: e.predict_proba(X)),
    "trees of numbers": (lambda: trees(categorical_features=None), lambda e: e.predict_proba(X)),
    "table": (table, lambda e: e.transform(HOLES)),
}
each = pytest.mark.parametrize(("make", "use"), FITTED.values(), ids=FITTED.keys())


@each
def test_read_back_it_answers_the_same(make: Any, use: Any) -> None:
    fitted = make()
    again = trusted.loads(trusted.dumps(fitted), "the model")
    assert type(again) is type(fitted)
    assert use(again).tobytes() == use(fitted).tobytes()


@each
def test_one_fit_has_one_text_and_saving_changes_nothing(make: Any, use: Any) -> None:
    fitted = make()
    before = use(fitted)
    data = trusted.dumps(fitted)
    assert trusted.dumps(fitted) == data == trusted.dumps(make())
    assert use(fitted).tobytes() == before.tobytes()


@pytest.mark.slow
def test_another_process_writes_the_same_bytes_and_reads_them(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(trusted.dumps(trees()))
    code = (
        "import sys, pathlib, test_trusted as t; from longtail import trusted;"
        "data = pathlib.Path(sys.argv[1]).read_bytes(); assert trusted.dumps(t.trees()) == data;"
        "sys.stdout.buffer.write(trusted.loads(data, 'x').predict_proba(t.X).tobytes())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert found.stdout == trees().predict_proba(X).tobytes()


@pytest.mark.slow
def test_a_thousand_trees_are_a_small_file() -> None:
    fitted = trees(max_iter=350)
    assert len(fitted._predictors) * len(fitted._predictors[0]) > 1000
    data = trusted.dumps(fitted)
    assert len(data) < len(skops.dumps(fitted)) / 5
    assert len(zipfile.ZipFile(io.BytesIO(data)).namelist()) < 50


CALLED: list[str] = []


def called(*arguments: Any) -> Any:
    """What a forged archive would like to run."""
    CALLED.append("called")
    return arguments


class Foreign:
    """A class of somebody else's; building or restoring it leaves a trace."""

    def __setstate__(self, state: Any) -> None:
        CALLED.append("restored")


FORGED = {
    "a function": (FunctionTransformer(called), r"test_trusted.called \(FunctionNode\)"),
    "os.system": (FunctionTransformer(os.system), r"posix.system \(|nt.system \("),
    "eval in a partial": (partial(builtins.eval, "1"), r"builtins.eval \("),
    "a method caller": (operator.methodcaller("unlink"), r"operator.methodcaller \(OperatorFuncNode\)"),
    "a bound method": (FunctionTransformer(StandardScaler().fit), r"\(MethodNode\)"),
    "a class of its own": (Foreign(), r"test_trusted.Foreign \(ObjectNode\)"),
    "a forest": (IsolationForest(n_estimators=2).fit(X), r"IsolationForest \(ObjectNode\)"),
    "a generator": (np.random.default_rng(0), r"Generator \(RandomGeneratorNode\)"),
    "a type": ({"a": subprocess.Popen}, r"subprocess.Popen \(TypeNode\)"),
}


@pytest.mark.parametrize(("thing", "named"), FORGED.values(), ids=FORGED.keys())
def test_what_is_not_on_the_list_is_neither_written_nor_read(thing: Any, named: str) -> None:
    CALLED.clear()
    with pytest.raises(ValueError, match=f"a saved estimator must be made of trusted types, got .*({named})"):
        trusted.dumps(thing)
    with pytest.raises(ValueError, match=f"the model must be made of trusted types, got .*({named})") as found:
        trusted.loads(skops.dumps(thing), "the model")
    assert "\n" not in str(found.value)
    assert not CALLED


def first(schema: Any, loader: str) -> Any:
    """The first node that is read in this way."""
    if isinstance(schema, dict):
        if schema.get("__loader__") == loader:
            return schema
        schema = list(schema.values())
    if isinstance(schema, list):
        return next((found for value in schema if (found := first(value, loader)) is not None), None)
    return None


CHANGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "os.system for check_array": (
        "FunctionNode", {"__module__": "os", "__class__": "system"}, r"trusted types, got os.system \(FunctionNode\)",
    ),
    "a class read as a function": (
        "ObjectNode", {"__loader__": "FunctionNode"}, r"trusted types, got sklearn.* \(FunctionNode\)",
    ),
    "a list that is a call": (
        "ListNode", {"__module__": "subprocess", "__class__": "Popen"}, r"got subprocess.Popen \(ListNode\)",
    ),
    "an operator": ("TupleNode", {"__loader__": "OperatorFuncNode"}, r"got builtins.tuple \(OperatorFuncNode\)"),
    "no loader": ("TupleNode", {"__loader__": None}, r"got builtins.tuple \(None\)"),
    "a loader that is no word": ("TupleNode", {"__loader__": ["TupleNode"]}, r"got builtins.tuple"),
}  # fmt: skip


@pytest.mark.parametrize(("loader", "change", "named"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_description_is_refused(loader: str, change: dict[str, Any], named: str) -> None:
    data = trusted.dumps(trees())
    assert trusted.loads(rewritten(data, lambda schema: None), "the model").n_iter_ == 4
    with pytest.raises(ValueError, match=named):
        trusted.loads(rewritten(data, lambda schema: first(schema, loader).update(change)), "the model")


@pytest.mark.parametrize("protocol", [0, 1, 3, True, "2", None])
def test_an_archive_of_another_protocol_is_refused(protocol: Any) -> None:
    forged = rewritten(trusted.dumps(table()), lambda schema: schema.update(protocol=protocol))
    with pytest.raises(ValueError, match="the model must be of skops protocol 2, got"):
        trusted.loads(forged, "the model")


class Bomb:
    def __reduce__(self) -> Any:
        return called, ()


def test_a_pickle_is_never_opened() -> None:
    CALLED.clear()
    with pytest.raises(ValueError, match="the model is damaged"):
        trusted.loads(pickle.dumps(Bomb()), "the model")
    data = trusted.dumps(logistic())
    array = next(name for name in zipfile.ZipFile(io.BytesIO(data)).namelist() if name.endswith(".npy"))
    with pytest.raises(ValueError, match="the model is damaged"):
        trusted.loads(rewritten(data, lambda schema: None, {array: pickle.dumps(Bomb())}), "the model")
    objects = io.BytesIO()
    np.save(objects, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="the model is damaged"):
        trusted.loads(rewritten(data, lambda schema: None, {array: objects.getvalue()}), "the model")
    assert not CALLED


def test_damaged_bytes_are_one_line() -> None:
    data = trusted.dumps(logistic())
    for cut in (0, 1, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match=r"the model is damaged \(.+\); train it again") as found:
            trusted.loads(data[:cut], "the model")
        assert "\n" not in str(found.value)
    deep = "[" * 100_000 + "]" * 100_000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", deep)
    with pytest.raises(ValueError, match="the model is damaged"):
        trusted.loads(buffer.getvalue(), "the model")


def test_an_archive_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail.facts.trusted.archive.LARGEST", 1000)
    with pytest.raises(ValueError, match="the model must unpack to at most 1000 bytes, got"):
        trusted.loads(trusted.dumps(trees()), "the model")


def forged_trees(change: Callable[[Any], None]) -> bytes:
    """Archive of trees whose arrays were changed by somebody."""
    fitted = trees()
    from longtail.facts.trusted import forest

    packed = forest.packed(fitted)
    packed._predictors = {k: v.copy() if hasattr(v, "copy") else v for k, v in packed._predictors.items()}
    change(packed)
    return skops.dumps(packed)


def inner(packed: Any) -> Any:
    return np.flatnonzero(packed._predictors["nodes"]["is_leaf"] == 0)


def by_category(packed: Any) -> Any:
    """Nodes that split by categories; scikit-learn puts these columns first."""
    return np.flatnonzero(packed._predictors["nodes"]["is_categorical"] != 0)


def put(field: str, value: Any, where: Callable[[Any], Any] = inner) -> Callable[[Any], None]:
    def change(packed: Any) -> None:
        packed._predictors["nodes"][field][where(packed)[0]] = value

    return change


def part(name: str, value: Any) -> Callable[[Any], None]:
    return lambda packed: packed._predictors.update({name: value})


TREES = {
    "a child far away": (put("left", 4_000_000), "points outside of its tree"),
    "a child in the next tree": (put("right", 400), "points outside of its tree"),
    "a walk without end": (put("left", 0), "points outside of its tree"),
    "a column that is not there": (put("feature_idx", 4), "a column that does not exist"),
    "a column before the first": (put("feature_idx", -1), "a column that does not exist"),
    "a set that is not there": (put("bitset_idx", 10**6, by_category), "categories that do not exist"),
    "categories of numbers": (put("feature_idx", 3, by_category), "categories that do not exist"),
    "nodes of other fields": (part("nodes", np.zeros(7)), "other fields"),
    "sets of other words": (part("sets", np.zeros((3, 4), dtype=np.uint32)), "other fields"),
    "sizes that do not add up": (part("sizes", np.array([1, 2])), "do not add up"),
    "negative sizes": (part("set_sizes", np.array([-1, 1])), "do not add up"),
    "no trees": (lambda packed: setattr(packed, "_predictors", []), "its trees are missing"),
    "a width of none": (part("width", 0), "do not add up"),
    "more columns": (lambda packed: setattr(packed, "n_features_in_", 5), "another number of columns"),
    "no preparation": (lambda packed: setattr(packed._bin_mapper, "is_categorical_", None), "columns have no kinds"),
}


@pytest.mark.parametrize(("change", "named"), TREES.values(), ids=TREES.keys())
def test_trees_that_point_outside_of_memory_are_refused(change: Any, named: str) -> None:
    assert trusted.loads(forged_trees(lambda packed: None), "the model").n_iter_ == 4
    with pytest.raises(ValueError, match=rf"the model is damaged \(.*{named}\); train it again"):
        trusted.loads(forged_trees(change), "the model")


def test_trees_behind_a_preparation_of_other_columns_are_refused() -> None:
    def narrower(packed: Any) -> None:
        packed._preprocessor = ColumnTransformer([("n", "passthrough", [0])]).fit(X)

    with pytest.raises(ValueError, match="its columns are prepared for other trees"):
        trusted.loads(forged_trees(narrower), "the model")


def test_without_skops_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = trusted.dumps(logistic())
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for use in (lambda: trusted.dumps(StandardScaler()), lambda: trusted.loads(data, "the model")):
        with pytest.raises(ModuleNotFoundError, match=r"needs skops; install longtail\[data\]"):
            use()
