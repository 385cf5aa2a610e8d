"""What holds for every method of the catalogue: it trains, repeats, resumes, saves, and says what it is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from longtail.data import Splits, load
from longtail.engine import Recipe
from longtail.facts import knobs
from longtail.facts.schedules import Schedule
from longtail.methods import method
from longtail.methods.menu import CATALOG, ESTIMATORS
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8,)})  # deferred methods switch at 4


def gaussians() -> Splits:
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(3), (40, 20, 8))
    return load(generator.normal(size=(len(y), 4)) + 2 * y[:, None], y, val=0.2)


SPLITS = gaussians()


SECOND = {"absgd-decoupled": [1, 2]}
"""The epochs of a second stage."""


def epochs(key: str) -> list[int]:
    """The epochs of a method: networks have the recipe's, a scikit-learn classifier is fitted in one."""
    return [1] if key in ESTIMATORS else [1, 2, 3, 4, 5, *SECOND.get(key, [])]


def predictions(folder: Path) -> bytes:
    return (folder / "predictions.safetensors").read_bytes()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One run of every method, made when it is first asked for."""
    root = tmp_path_factory.mktemp("runs")

    class Runs(dict[str, Run]):
        def __missing__(self, key: str) -> Run:
            self[key] = train(key, SPLITS, folder=root / key, recipe=RECIPE)
            return self[key]

    return Runs()


@pytest.mark.parametrize("key", CATALOG)
class TestEveryMethod:
    def test_trains_and_stays_finite(self, runs: dict[str, Run], key: str) -> None:
        run = runs[key]
        assert [r["epoch"] for r in run.records] == epochs(key)
        assert all(np.isfinite(r["loss"]) for r in run.records)
        arrays = run.predictions()
        size = len(SPLITS.test)
        assert arrays["scores"].shape == (size, 3)
        assert arrays["scores"].dtype == torch.float32
        assert arrays["scores"].isfinite().all()
        assert arrays["targets"].equal(SPLITS.test.targets)
        assert arrays["index"].equal(SPLITS.test_rows)
        assert ("adjusted_scores" in arrays) == (method(key).posthoc is not None)
        assert 0 < run.scores["balanced_accuracy"] <= 1

    def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
        self, runs: dict[str, Run], key: str, tmp_path: Path
    ) -> None:
        torch.rand(3)  # the global generator stands elsewhere now
        train(key, SPLITS, folder=tmp_path / "again", recipe=RECIPE)
        assert predictions(tmp_path / "again") == predictions(runs[key].folder)
        train(key, SPLITS, folder=tmp_path / "other", recipe=RECIPE, seed=1)
        # a scikit-learn classifier takes chance only where it stops early (tests/methods/test_estimators.py)
        same = predictions(tmp_path / "other") == predictions(runs[key].folder)
        assert same == (key in ESTIMATORS)

    @pytest.mark.parametrize("cut", [2, 4, 5])
    def test_interrupted_and_gone_on_it_ends_the_same(
        self, runs: dict[str, Run], key: str, tmp_path: Path, cut: int
    ) -> None:
        begun = Fit(key, SPLITS, folder=tmp_path, recipe=RECIPE)
        for _ in epochs(key)[:cut]:
            next(begun)
        del begun
        assert not (tmp_path / "run.json").exists()
        run = train(key, SPLITS, folder=tmp_path, recipe=RECIPE)
        assert predictions(tmp_path) == predictions(runs[key].folder)
        assert [r["epoch"] for r in run.records] == epochs(key)
        assert run.scores == runs[key].scores

    def test_what_it_saved_predicts_the_same(self, runs: dict[str, Run], key: str) -> None:
        loaded = Run.load(runs[key].folder)
        arrays = load_file(runs[key].folder / "predictions.safetensors")
        scores = loaded.predictor.scores(SPLITS.test.inputs)
        assert scores.equal(arrays["scores"])
        decided = loaded.predictor.adjusted(scores)
        assert decided.equal(arrays.get("adjusted_scores", arrays["scores"]))
        names = loaded.predict(SPLITS.test.inputs)
        assert names == [SPLITS.classes[j] for j in decided.argmax(1)]

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
            if isinstance(knob.rule, knobs.Range):
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
            # a knob is the rule's own, or the training's; the networks' rules come with plain training as it is
            of_the_rule = plain.posthoc is not None and (name == "tau" or key not in ESTIMATORS)
            assert same == of_the_rule, name


def changed(knob: knobs.Declared) -> Any:
    if isinstance(knob.default, bool):
        return not knob.default
    if isinstance(knob.rule, knobs.Choice):
        return next(word for word in knob.rule.words if word != knob.default)
    if isinstance(knob.default, Schedule):
        return 2.0
    return knob.default // 2 if isinstance(knob.default, int) else knob.default / 2 or 0.5


def test_methods_that_train_differently_have_different_texts() -> None:
    texts: dict[tuple[str, ...], list[str]] = {}
    for key in CATALOG:
        texts.setdefault(tuple(s.spec for s in method(key).stages(RECIPE)), []).append(key)
    shared = [sorted(keys) for keys in texts.values() if len(keys) > 1]
    assert sorted(shared) == [
        ["balanced-softmax", "logit-adjusted"],
        ["ce", "ce-threshold", "logit-adjusted-posthoc"],
        ["logistic", "logistic-posthoc"],
        ["trees", "trees-posthoc"],
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("logit-adjusted", "balanced-softmax"),
        ("balanced-softmax", "logit-adjusted(tau=1)"),
        ("ce", "logit-adjusted-posthoc"),
        ("ce", "logit-adjusted-posthoc(tau=2)"),
        ("ce", "ce-threshold"),
        ("logistic", "logistic-posthoc(tau=2)"),
        ("logistic(C=0.1)", "logistic-posthoc(C=0.1)"),
        ("trees", "trees-posthoc"),
        ("trees(max_iter=5)", "trees-posthoc(max_iter=5)"),
    ],
)
def test_one_training_serves_both(tmp_path: Path, first: str, second: str) -> None:
    options = {"recipe": RECIPE, "store": tmp_path / "stages"}
    one = train(first, SPLITS, folder=tmp_path / "one" / "seed-0", **options)
    other = train(second, SPLITS, folder=tmp_path / "other" / "seed-0", **options)
    assert one.result["reuses"] is None
    assert other.result["reuses"] == "one/seed-0"
    assert len(list((tmp_path / "stages").iterdir())) == 1
    assert other.records == one.records
    assert other.predictions()["scores"].equal(one.predictions()["scores"])


def test_one_training_interrupted_while_it_is_copied_leaves_every_record_once(tmp_path: Path) -> None:
    options = {"recipe": RECIPE, "store": tmp_path / "stages"}
    one = train("ce", SPLITS, folder=tmp_path / "one" / "seed-0", **options)
    begun = Fit("ce-threshold", SPLITS, folder=tmp_path / "other" / "seed-0", **options)
    assert [next(begun)["epoch"], next(begun)["epoch"]] == [1, 2]
    del begun
    other = train("ce-threshold", SPLITS, folder=tmp_path / "other" / "seed-0", **options)
    assert other.records == one.records
    assert other.result["reuses"] == "one/seed-0"


class TestFit:
    def test_iterates_over_records_and_keeps_the_learner(self) -> None:
        training = Fit("ldam-drw", SPLITS, recipe=RECIPE)
        with pytest.raises(RuntimeError, match="no epoch has run in this process; iterate"):
            _ = training.learner
        records = list(training)
        assert "scores" not in records[0]
        assert set(records[-1]["scores"]) == {"accuracy", "balanced_accuracy", "macro_f1"}
        assert training.learner.predict(SPLITS.test.inputs).shape == (len(SPLITS.test), 3)
        with pytest.raises(RuntimeError, match="has no folder; iterate to its end with folder="):
            _ = training.run

    def test_evaluates_when_asked(self) -> None:
        training = Fit("ce", SPLITS, recipe=RECIPE, evaluations=RECIPE.epochs)
        assert all(r["scores"]["accuracy"] >= 0 for r in training)

    def test_a_finished_folder_trains_nothing(self, tmp_path: Path) -> None:
        run = train("ce", SPLITS, folder=tmp_path, recipe=RECIPE)
        stamp = (tmp_path / "run.json").stat().st_mtime_ns
        again = Fit("ce", SPLITS, folder=tmp_path, recipe=RECIPE)
        assert list(again) == []
        assert again.run.result == run.result
        assert (tmp_path / "run.json").stat().st_mtime_ns == stamp

    def test_the_callers_thread_count_is_restored(self, tmp_path: Path) -> None:
        before = torch.get_num_threads()
        train("ce", SPLITS, folder=tmp_path, recipe=RECIPE, threads=before + 1)
        assert torch.get_num_threads() == before

    def test_a_missing_validation_part_is_one_line(self) -> None:
        with pytest.raises(ValueError, match="'ce-threshold' needs a validation part, got none; load the data with"):
            Fit("ce-threshold", load("digits"))

    def test_the_folder_of_another_configuration_is_refused(self, tmp_path: Path) -> None:
        train("ce", SPLITS, folder=tmp_path, recipe=RECIPE)
        with pytest.raises(ValueError, match="another configuration: seed is 0 there, 1 was asked"):
            train("ce", SPLITS, folder=tmp_path, recipe=RECIPE, seed=1)
