"""What holds for every method of the catalogue: it trains, repeats, resumes, saves, and says what it is.

Data come from a method's task, expected epochs from its own stages: a new leaf of any task is picked up.
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.methods import task_data
from tests.methods.task_data import by_task

from longtail.catalogue.compose import BaseMethod
from longtail.data import Splits
from longtail.engine import Recipe
from longtail.facts import knobs
from longtail.facts.schedules import Schedule
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.methods.presets import CLASSICAL, ESTIMATOR_THRESHOLDS
from longtail.methods.presets import ESTIMATORS as PLAIN_ESTIMATORS
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

pytestmark = pytest.mark.slow  # it trains every method
RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})  # deferred methods switch at 4
GROUPS = by_task(CATALOG)
ESTIMATORS = (*PLAIN_ESTIMATORS, *ESTIMATOR_THRESHOLDS, *CLASSICAL)
BY_CHANCE = tuple(
    key for key in CLASSICAL if re.match(r"forest|.*-(over|under|smote|cog)|balanced-|easy-|rusboost|self-paced", key)
)
"""Classifiers whose fit draws random numbers."""
TOO_FEW_ROWS = ("trees-under", "trees-smote-under")
"""They draw rows, too few here for a split, so that every draw gives the class shares."""
FEWER = {
    **dict.fromkeys(("forest", "forest-cw", "forest-posthoc", "forest-threshold", "balanced-forest"), "n_estimators=9"),
    **dict.fromkeys(("rusboost", "self-paced"), "n_estimators=9"),
    "easy-ensemble": "n_estimators=2",
    **dict.fromkeys((key for key in ESTIMATORS if re.match(r"trees(-|$)", key)), "max_iter=12"),
}
"""Ensembles of fewer members, for the trainings here."""
OF_THE_RULE = ("tau", "objective", "cost", "positive")
"""Knobs of a post-hoc rule."""


@cache
def data(key: str) -> Splits:
    return task_data.splits_for(method(key), apart=2.0, val=0.2)


def spec(key: str) -> str:
    return f"{key}({FEWER[key]})" if key in FEWER else key


def recipe(key: str) -> Recipe:
    """Longer where a method would be refused: TS takes two epochs for each of its cycles."""
    return method(key).long_enough(RECIPE)


def epochs(key: str) -> list[tuple[str, int]]:
    """Each stage and epoch of a method, in order."""
    return [(stage.name, epoch) for stage in method(key).stages(recipe(key)) for epoch in range(1, stage.epochs + 1)]


def told(run: Run) -> list[tuple[str, int]]:
    return [(record["stage"], record["epoch"]) for record in run.records]


def gone_on_after_every_epoch(key: str, folder: Path) -> Run:
    """Left alone after each epoch, the last included, and asked for again; of a search, after the first ones."""
    found: list[tuple[str, int]] = []
    for _ in epochs(key):
        begun = Fit(spec(key), data(key), folder=folder, recipe=recipe(key))
        record = next(begun)
        found.append((record["stage"], record["epoch"]))
        del begun
        assert not (folder / "run.json").exists()
    assert len(set(found)) == len(found)  # none was trained again
    return train(spec(key), data(key), folder=folder, recipe=recipe(key))


def predictions(folder: Path) -> bytes:
    return (folder / "predictions.safetensors").read_bytes()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One run of every method, made when it is first asked for."""
    root = tmp_path_factory.mktemp("runs")

    class Runs(dict[str, Run]):
        def __missing__(self, key: str) -> Run:
            self[key] = train(spec(key), data(key), folder=root / key, recipe=recipe(key))
            return self[key]

    return Runs()


@pytest.mark.parametrize(
    "key", [pytest.param(key, id=f"{task}-{key}") for task, keys in GROUPS.items() for key in keys]
)
class TestEveryMethod:
    def test_trains_and_stays_finite(self, runs: dict[str, Run], key: str) -> None:
        run = runs[key]
        assert told(run) == epochs(key)
        assert all(np.isfinite(r["loss"]) for r in run.records)
        arrays = run.predictions()
        test = data(key).test
        assert arrays["scores"].shape == (len(test), len(test.classes))
        assert arrays["scores"].dtype == torch.float32
        assert arrays["scores"].isfinite().all()
        assert arrays["targets"].equal(test.targets)
        assert arrays["index"].equal(data(key).test_rows)
        assert ("adjusted_scores" in arrays) == (run.predictor.posthoc is not None)
        assert (run.predictor.posthoc is not None) >= (method(key).posthoc is not None)
        assert 0 <= run.scores["balanced_accuracy"] <= 1  # 0: mixmatch's weight of 75 in so few steps

    def test_another_seed_does_not_give_the_same_bytes(self, runs: dict[str, Run], key: str, tmp_path: Path) -> None:
        train(spec(key), data(key), folder=tmp_path / "other", recipe=recipe(key), seed=1)
        # a classifier that draws nothing takes chance only where it stops early (tests/methods/test_estimators.py)
        same = predictions(tmp_path / "other") == predictions(runs[key].folder)
        assert same == (key in ESTIMATORS and (key not in BY_CHANCE or key in TOO_FEW_ROWS))

    def test_interrupted_after_every_epoch_it_ends_the_same(
        self, runs: dict[str, Run], key: str, tmp_path: Path
    ) -> None:
        whole = runs[key]
        torch.rand(3)  # the global generator stands elsewhere now: the same seed gives the same bytes
        run = gone_on_after_every_epoch(key, tmp_path)
        assert predictions(run.folder) == predictions(whole.folder)
        assert told(run) == told(whole)
        assert run.scores == whole.scores

    def test_what_it_saved_predicts_the_same(self, runs: dict[str, Run], key: str) -> None:
        loaded = Run.load(runs[key].folder)
        arrays = load_file(runs[key].folder / "predictions.safetensors")
        scores = loaded.predictor.scores(data(key).test.inputs)
        assert scores.equal(arrays["scores"])
        decided = loaded.predictor.adjusted(scores)
        assert decided.equal(arrays.get("adjusted_scores", arrays["scores"]))
        names = loaded.predict(data(key).test.inputs)
        assert names == [data(key).classes[j] for j in decided.argmax(1)]

    def test_says_what_it_is_with_an_equation_and_where_it_comes_from(self, runs: dict[str, Run], key: str) -> None:
        text = inspect.getdoc(CATALOG[key]) or ""
        assert re.search(r"^(loss = |predict argmax |P\(.*\) = )", text, re.MULTILINE), text
        assert len(text.splitlines()[0]) <= 110
        reference = method(key).reference
        assert re.fullmatch(r"[a-z]+\d{4}[a-z]*", reference.key)
        assert reference.authors
        assert reference.title
        assert reference.venue
        assert 1950 < reference.year < 2030

    def test_every_knob_has_a_range_or_a_type(self, runs: dict[str, Run], key: str) -> None:
        for name, knob in knobs.declared(CATALOG[key]).items():
            assert not knob.required, name
            assert knob.rule is not None or isinstance(knob.default, bool), name
            if isinstance(knob.rule, knobs.Range) and knob.default is not None:
                knob.rule.check(name, knob.default)

    def test_takes_no_positional_argument_and_states_its_text_anew(self, runs: dict[str, Run], key: str) -> None:
        kinds = {p.kind for p in inspect.signature(CATALOG[key]).parameters.values()}
        assert kinds <= {inspect.Parameter.KEYWORD_ONLY}
        assert method(key).spec == key

    def test_every_knob_moves_the_text_of_its_training_or_its_rule(self, runs: dict[str, Run], key: str) -> None:
        # two methods that train differently must never share a stored stage
        plain = method(key)
        for name, knob in knobs.declared(CATALOG[key]).items():
            other = method(f"{key}({name}={changed(knob)!r})")
            assert other.spec != plain.spec
            same = [s.spec for s in other.stages(RECIPE)] == [s.spec for s in plain.stages(RECIPE)]
            # a knob is the rule's own, or the training's; networks' rules come with their base's training as it is
            of_the_rule = (
                plain.posthoc is not None and (name in OF_THE_RULE or key not in ESTIMATORS) and name != "base"
            )
            assert same == of_the_rule, name


def changed(knob: knobs.Declared) -> Any:
    if isinstance(knob.default, bool):
        return not knob.default
    if isinstance(knob.rule, BaseMethod):
        return another_base(knob.rule, knob.default)
    if isinstance(knob.rule, knobs.Choice):
        return next((word for word in knob.rule.words if word != knob.default), 0.5)  # a word, or a number
    if isinstance(knob.rule, knobs.Numbers):
        return (3, 2, 1) if knob.rule.each.contains(3.0) else (0.3, 0.2, 0.1)
    if isinstance(knob.default, Schedule):
        return 0.5
    if knob.name == "dim":  # in fewer dimensions than its default there is no room for GH's classes
        return 2 * knob.default or 8
    if knob.default is None:
        return 0.5
    smaller = knob.default // 2 if isinstance(knob.default, int) else knob.default / 2 or 0.5
    inside = not isinstance(knob.rule, knobs.Range) or (smaller != knob.default and knob.rule.contains(float(smaller)))
    return smaller if inside else knob.default + 1


def another_base(rule: BaseMethod, default: str) -> str:
    """A method of the catalogue that the rule takes, or a correction over the default."""
    for spec in (*rule.words, *CATALOG, *(f"{key}(base={default!r})" for key in CATALOG)):
        try:
            rule.check("base", method(spec))
        except ValueError:
            continue
        if spec != default:
            return spec
    raise LookupError(f"no method but {default!r} fits {rule}; add one to the words of its rule")


class TestGroups:
    def test_every_method_stands_in_the_group_of_its_task(self) -> None:
        assert sorted(key for keys in GROUPS.values() for key in keys) == sorted(CATALOG)
        assert all(method(key).task == task for task, keys in GROUPS.items() for key in keys)

    @pytest.mark.parametrize("task", task_data.KNOWN)
    def test_every_task_has_data_of_its_kind(self, task: str) -> None:
        found = task_data.splits(task, val=0.2)
        assert (found.unlabeled is not None) == (task == "semi-supervised")
        assert (found.train.kind == "candidates") == (task == "partial")
        assert found.val is not None

    def test_a_method_of_a_task_without_data_fails_and_says_so(self) -> None:
        with pytest.raises(LookupError, match="no test data for task 'ordinal': say in KNOWN of"):
            task_data.splits("ordinal")


def test_methods_that_train_differently_have_different_texts() -> None:
    texts: dict[tuple[str, ...], list[str]] = {}
    for key in CATALOG:
        texts.setdefault(tuple(s.spec for s in method(key).stages(RECIPE)), []).append(key)
    shared = [sorted(keys) for keys in texts.values() if len(keys) > 1]
    assert sorted(shared) == [
        ["abc", "fixmatch-abc"],
        ["balanced-softmax", "logit-adjusted", "logit-adjusted-threshold"],
        ["ce", "ce-threshold", "logit-adjusted-posthoc", "tau-norm", "threshold-moving"],
        ["crest", "fixmatch-crest"],
        ["crest-plus", "fixmatch-crest-plus"],
        ["darp", "fixmatch-darp"],
        ["fixmatch-simpro", "simpro"],
        ["forest", "forest-posthoc", "forest-threshold"],
        ["gh", "simclr-gh"],
        ["kernel-logistic", "kernel-logistic-posthoc", "kernel-logistic-threshold", "plugin"],
        ["knn", "knn-posthoc", "knn-threshold"],
        ["logistic", "logistic-posthoc", "logistic-threshold"],
        ["proden-records", "records"],
        ["svm", "svm-posthoc", "svm-threshold"],
        ["trees", "trees-posthoc", "trees-threshold"],
    ]
