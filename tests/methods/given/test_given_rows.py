"""Classifiers of the user's as rows: their scores are those of the classifier fitted by hand."""

from __future__ import annotations

import logging
import math
import random
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from longtail.data import Examples, Splits, load
from longtail.data.split.folds import Folds
from longtail.engine.default_recipe import default_recipe
from longtail.engine.randomness import derived
from longtail.methods import method, methods
from longtail.methods.given.fitting import fixed_seeds, other_weights, seeded_copy
from longtail.runs.cross_validation import fold_folder, train_folds
from longtail.runs.run import Run
from longtail.runs.train import train

pytest.importorskip("skops.io")


def rows(size: int = 240, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    g = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [size * 6 // 10, size * 3 // 10, size // 10])
    return g.normal(size=(len(y), 4)) + y[:, None] * 0.7, y


SPLITS = load(*rows(), val=0.2)


def arrays(part: Any) -> tuple[Any, Any]:
    return part.inputs.flatten(1).double().numpy(), part.targets.numpy()


def seed_of(seed: int) -> int:
    return derived(seed, 0, 0, "global") % 2**32


def floored(probs: Any) -> Any:
    return np.log(np.maximum(probs, 1e-12)).astype(np.float32)


def scores(run: Run, name: str = "scores") -> Any:
    return run.predictions()[name].numpy()


def weighted() -> Splits:
    weight = (torch.arange(len(SPLITS.train)) % 3).float()
    return replace(SPLITS, train=replace(SPLITS.train, sample_weight=weight))


class Drawing(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Draws from the global generators, prints, warns, and takes no labels with gaps."""

    def fit(self, x: Any, y: Any) -> Drawing:
        self.classes_ = np.unique(y)
        if len(self.classes_) != self.classes_[-1] + 1:
            raise ValueError("labels must have no gaps")
        print("fitting")
        warnings.warn("features have no names", UserWarning, stacklevel=2)
        self.shares_ = np.random.rand(len(self.classes_)) + random.random()  # noqa: NPY002
        self.shares_ /= self.shares_.sum()
        return self

    def predict_proba(self, x: Any) -> Any:
        warnings.warn("features still have no names", UserWarning, stacklevel=2)
        return np.tile(self.shares_, (len(x), 1))


class TestByHand:
    def test_the_plain_row_is_the_classifier_seeded_as_the_run(self, tmp_path: Path) -> None:
        given = ("tree", DecisionTreeClassifier(max_features=1, max_depth=4))
        own = DecisionTreeClassifier(max_features=1, max_depth=4, random_state=seed_of(5)).fit(*arrays(SPLITS.train))
        expected = floored(own.predict_proba(arrays(SPLITS.test)[0]))
        found = scores(train(given, SPLITS, folder=tmp_path / "a", seed=5))
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(found, scores(train(given, SPLITS, folder=tmp_path / "b", seed=6)))

    def test_posthoc_takes_the_log_prior_off_and_threshold_chooses_how_much(self, tmp_path: Path) -> None:
        own = GaussianNB().fit(*arrays(SPLITS.train))
        counts = [int(n) for n in SPLITS.class_counts]
        test, val = (floored(own.predict_proba(arrays(part)[0])) for part in (SPLITS.test, SPLITS.val))
        plain, posthoc, threshold = methods([("nb", GaussianNB())], val=True)
        assert [one.spec for one in (plain, posthoc, threshold)] == ["nb", "nb-posthoc", "nb-threshold"]
        np.testing.assert_array_equal(scores(train(plain, SPLITS, folder=tmp_path / "0")), test)

        def moved(logs: Any, tau: float) -> list[int]:
            return [
                max(range(3), key=lambda k: float(row[k]) - tau * math.log(counts[k] / sum(counts))) for row in logs
            ]

        run = train(posthoc, SPLITS, folder=tmp_path / "1")
        np.testing.assert_array_equal(scores(run), test)
        assert scores(run, "adjusted_scores").argmax(1).tolist() == moved(test, 1.0)
        run = train(threshold, SPLITS, folder=tmp_path / "2")
        tau = float(run.predictor.posthoc.tau)  # type: ignore[union-attr,arg-type]

        def balanced(strength: float) -> Any:
            hits, truth = moved(val, strength), arrays(SPLITS.val)[1]
            return sum(
                sum(h == k for h, t in zip(hits, truth, strict=True) if t == k) / sum(truth == k) for k in range(3)
            )

        assert scores(run, "adjusted_scores").argmax(1).tolist() == moved(test, tau)
        assert balanced(tau) == pytest.approx(max(balanced(t / 20) for t in range(61)), abs=1e-9)

    def test_fold_by_fold(self, tmp_path: Path) -> None:
        x, y = rows(60)
        folds = load_folds(x, y)
        run = train_folds(
            ("nb", GaussianNB(var_smoothing=1e-3)), folds, folder=tmp_path, recipe=default_recipe(folds.splits(0, 0))
        )
        for j in range(3):
            part = folds.splits(0, j)
            own = GaussianNB(var_smoothing=1e-3).fit(*arrays(part.train))
            found = Run.load(fold_folder(tmp_path, j))
            np.testing.assert_array_equal(scores(found), floored(own.predict_proba(arrays(part.test)[0])))
        assert len(run.predictions()["index"]) == 60

    def test_sample_weights_reach_a_classifier_and_the_steps_of_a_pipeline(self, tmp_path: Path) -> None:
        splits = weighted()
        (x, y), w = arrays(splits.train), torch.as_tensor(splits.train.sample_weight).double().numpy()
        kept = w > 0
        own = LogisticRegression(max_iter=500)
        scale = StandardScaler().fit(x[kept], sample_weight=w[kept])
        own.fit(scale.transform(x[kept]), y[kept], sample_weight=w[kept])
        given = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        run = train(("lr", given), splits, folder=tmp_path)
        np.testing.assert_array_equal(scores(run), floored(own.predict_proba(scale.transform(arrays(SPLITS.test)[0]))))
        with pytest.raises(ValueError, match=r"method 'knn-2' cannot weigh rows .*no sample_weight"):
            train(("knn-2", KNeighborsClassifier()), splits, folder=tmp_path / "knn")

    def test_balanced_weights_take_the_prior_off_so_that_there_is_no_posthoc_row(self, tmp_path: Path) -> None:
        given = ("lr", LogisticRegression(class_weight="balanced"))
        assert [one.spec for one in methods([given], val=True)] == ["lr", "lr-threshold"]
        run = train(given, SPLITS, folder=tmp_path)
        assert run.result["prior"] == pytest.approx([1 / 3] * 3)
        assert methods([given], val=True)[1].posthoc(torch.tensor([6, 3, 1])).trained == 1.0  # type: ignore[misc]

    def test_other_weights_are_said_since_the_prior_of_the_probabilities_is_not_known(self) -> None:
        weighed = LogisticRegression(class_weight={0: 1, 1: 2, 2: 9})
        (plain, *_) = methods([("lr", make_pipeline(StandardScaler(), weighed))], val=True)
        assert [note(SPLITS.train) for note in plain.notes] == [
            "lr: class_weight={0: 1, 1: 2, 2: 9} was given, and its probabilities are read as those of the training "
            "shares all the same, so that a correction may take the prior off twice"
        ]
        unbalanced = pytest.importorskip("lightgbm").LGBMClassifier(is_unbalance=True)
        assert other_weights(unbalanced) == ["is_unbalance=True"]
        for usual in (LogisticRegression(class_weight="balanced"), LogisticRegression(), ExtraTreesClassifier()):
            assert other_weights(usual) == []

    def test_so_does_resampling_to_equal_classes(self) -> None:
        imblearn = pytest.importorskip("imblearn")
        from imblearn import ensemble, over_sampling, pipeline, under_sampling

        assert imblearn
        for value, equal in (
            (ensemble.BalancedRandomForestClassifier(), True),
            (ensemble.EasyEnsembleClassifier(), True),
            (ensemble.RUSBoostClassifier(sampling_strategy={0: 9}), False),
            (pipeline.make_pipeline(over_sampling.SMOTE(), GaussianNB()), True),
            (pipeline.make_pipeline(under_sampling.TomekLinks(), GaussianNB()), False),
        ):
            keys = [one.spec for one in methods([("nb", value)])]
            assert keys == (["nb"] if equal else ["nb", "nb-posthoc"]), value


def load_folds(x: Any, y: Any) -> Folds:
    from longtail.comparison.input_data import load_folds

    return load_folds(x, y, 3, {})


class TestCodeOfOthers:
    def test_what_it_prints_and_warns_of_stays_inside_and_its_draws_repeat(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        before = np.random.get_state()[1].tolist()  # type: ignore[index] # noqa: NPY002
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            runs = [train(("drawing", Drawing()), SPLITS, folder=tmp_path / name) for name in "ab"]
        np.testing.assert_array_equal(*map(scores, runs))
        assert np.random.get_state()[1].tolist() == before  # type: ignore[index] # noqa: NPY002
        assert capsys.readouterr().out == ""
        assert [r.getMessage() for r in caplog.records].count("the fit of Drawing: features have no names") == 2

    def test_labels_with_gaps_are_closed_for_a_classifier_that_needs_it(self, tmp_path: Path) -> None:
        x, y = rows(60)
        part = Examples(torch.from_numpy(x).float(), torch.from_numpy(y), ("a", "b", "c"))
        gap = part.take(torch.from_numpy(np.flatnonzero(y != 1)))
        run = train(("drawing", Drawing()), Splits("gap", gap, part), folder=tmp_path)
        shares = np.exp(scores(run)[0])
        assert shares[1] == pytest.approx(1e-12)
        assert shares[[0, 2]].sum() == pytest.approx(1)

    def test_open_seeds_and_threads_are_set_at_any_depth_and_given_ones_stay(self) -> None:
        inner = ExtraTreesClassifier(n_jobs=-1)
        made = seeded_copy(make_pipeline(StandardScaler(), CalibratedClassifierCV(inner, cv=KFold(3))), 7, threads=2)
        tree = made.steps[1][1].estimator
        assert (tree.random_state, tree.n_jobs, inner.random_state, inner.n_jobs) == (7, 2, None, -1)
        kept = seeded_copy(ExtraTreesClassifier(random_state=3, n_jobs=4), 7, threads=1)
        assert (kept.random_state, kept.n_jobs) == (3, 4)
        assert fixed_seeds(kept) == ["random_state=3"]

    def test_a_table_says_that_a_given_seed_makes_seeds_alike(self) -> None:
        one = method(("tree", DecisionTreeClassifier(random_state=0)))
        assert [note(SPLITS.train) for note in one.notes] == [
            "tree: random_state=0 was given, so that its seeds are alike but for the rows"
        ]

    def test_a_trial_that_fails_on_some_rows_is_made_on_all(self, caplog: pytest.LogCaptureFixture) -> None:
        from longtail.methods.given import checks

        x, y = np.random.default_rng(0).normal(size=(900, 3)), np.arange(900) % 3
        checks.trial(KNeighborsClassifier(n_neighbors=500), x, y, None)
        with pytest.raises(ValueError, match=r"cannot learn from these rows \(KNeighborsClassifier: .*n_neighbors"):
            checks.trial(KNeighborsClassifier(n_neighbors=901), x, y, None)
        caplog.set_level(logging.WARNING)
        checks.trial(Drawing(), x, y, None)
        assert not caplog.records
