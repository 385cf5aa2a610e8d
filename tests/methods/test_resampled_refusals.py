"""What resampled and balanced classifiers refuse, in one line each."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from tests.methods.resampled_rows import OWN, RESAMPLED, SIZES, TABLE, fitted, learner, rows

from longtail.data import Examples
from longtail.engine import Recipe
from longtail.methods import method, methods

imblearn = pytest.importorskip("imblearn")


class TestRefusals:
    def test_a_class_of_one_row_cannot_be_interpolated(self) -> None:
        alone = rows((40, 9, 1))
        message = (
            r"method '(logistic|trees)-.*smote.*' needs two training rows or more of every class that it raises, to "
            r"interpolate between, got 1 of class 'c'; leave it out, add rows or drop the class, or take "
            r"(logistic|trees)-over, which repeats rows"
        )
        for key in RESAMPLED:
            if "smote" in key:
                with pytest.raises(ValueError, match=message):
                    methods(key, data=alone)
                with pytest.raises(ValueError, match="got 1 of class 'c'"):
                    learner(key, alone)
            else:
                assert method(key).refuses(alone) is None
        assert method("logistic-smote(ratio=0.025)").refuses(alone) is None  # a class that is not raised

    def test_ensembles_take_a_class_of_one_row(self) -> None:
        train = rows((40, 9, 1))
        for key in ("balanced-forest(n_estimators=3)", "easy-ensemble(n_estimators=2)", "self-paced(n_estimators=3)"):
            assert method(key).refuses(train) is None
            assert fitted(key, train).predict(train.inputs).isfinite().all()

    def test_a_boosting_that_cannot_begin_says_so(self) -> None:
        g = torch.Generator().manual_seed(1)
        noise = Examples(torch.randn(300, 2, generator=g), torch.arange(300) % 3, tuple("abc"))
        noise = replace(noise, targets=torch.where(torch.arange(300) < 8, 2, torch.arange(300) % 2))
        failing = [seed for seed in range(12) if self.error("rusboost", noise, seed)]
        assert failing
        message = self.error("rusboost", noise, failing[0])
        assert message is not None
        assert message == (
            "the fit of RUSBoostClassifier failed (BaseClassifier in AdaBoostClassifier ensemble is worse than random, "
            "ensemble can not be fit); leave the method out, or take another"
        )

    @staticmethod
    def error(key: str, train: Examples, seed: int) -> str | None:
        try:
            fitted(key, train, seed=seed)
        except ValueError as error:
            return str(error)
        return None

    def test_presets_leave_it_out_with_the_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        found = [m.key for m in methods("practice", data=rows((40, 9, 1)), task="supervised")]
        assert "logistic-smote" not in found
        assert "balanced-forest" in found
        assert "got 1 of class 'c'; leave it out" in caplog.text

    def test_small_classes_are_noted(self) -> None:
        (note,) = method("trees-smote(k_neighbors=7)").notes
        said = note(rows((40, 9, 7, 2)))
        assert said == (
            "SMOTE with k_neighbors=7 interpolates classes of fewer than 8 training rows between all rows that they "
            "have: c (7), d (2)"
        )
        assert note(rows((40, 9, 8))) is None

    def test_weighted_rows(self) -> None:
        weighted = replace(rows(), sample_weight=torch.ones(sum(SIZES)))
        for key in OWN:
            with pytest.raises(ValueError, match=rf"method '{key}' cannot weigh rows, got sample weights; leave out"):
                methods(key, data=weighted)

    def test_borderline_smote_of_categories(self) -> None:
        for one in ("logistic", "trees"):
            why = method(f"{one}-borderline-smote").refuses_recipe(TABLE, rows(codes=True))
            assert why == (
                f"method '{one}-borderline-smote': borderline SMOTE has no form for columns of categories, got 2; take "
                f"{one}-smote, which has"
            )
            assert method(f"{one}-smote").refuses_recipe(TABLE, rows(codes=True)) is None

    def test_more_values_than_memory_holds(self) -> None:
        wide = Examples(torch.zeros(1, 1000).expand(60_200, 1000), torch.arange(60_200) // 60_001, ("a", "b"))
        wide = replace(wide, classes=tuple("abcdef"), targets=torch.cat([wide.targets[:-4], torch.arange(2, 6)]))
        for key in ("logistic-over", "trees-over"):
            why = method(key).refuses(wide)
            assert why is not None
            assert "makes at most 250,000,000 values by resampling, got 360,006,000; leave it out, or take" in why
        assert method("logistic-under").refuses(wide) is None

    def test_categories_of_which_distances_do_not_fit(self) -> None:
        many = Examples(torch.zeros(1, 2).expand(40_000, 2), torch.arange(40_000) // 25_000, ("a", "b"))
        recipe = Recipe(epochs=1, model="tabular", model_args={"numeric": 0, "categories": [4, 3]})
        why = method("logistic-smote").refuses_recipe(recipe, many)
        assert why is not None
        assert (
            "SMOTE takes at most 10,000 rows of a class that it raises where all columns are categories, got 15,000"
            in why
        )
        recipe = Recipe(epochs=1, model="tabular", model_args={"numeric": 1, "categories": [9000]})
        why = method("logistic-smote").refuses_recipe(recipe, many)
        assert why is not None
        assert "SMOTE of categories takes at most 250,000,000 values of neighbours" in why

    def test_without_imbalanced_learn_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "imblearn", None)
        for key in OWN:
            why = method(key).refuses(rows())
            if key == "self-paced":
                assert why is None
            else:
                assert why == f"method '{key}' needs imbalanced-learn, which is not installed; install longtail[data]"

    @pytest.mark.parametrize(
        ("spec", "message"),
        {
            "logistic-smote(ratio=0)": r"ratio must be in \(0, 1\], got 0",
            "trees-smote(k_neighbors=0)": r"k_neighbors must be an integer in \[1, 100\], got 0",
            "logistic-borderline-smote(kind='svm')": 'kind must be "borderline-1" or "borderline-2", got',
            "logistic-smote-under(under=2)": r"under must be in \(0, 1\], got 2",
            "rusboost(learning_rate=0)": "learning_rate must be > 0, got 0",
            "self-paced(bins=0)": r"bins must be an integer in \[1, 1000\], got 0",
            "balanced-forest(n_estimators=0)": r"n_estimators must be an integer in \[1, 10000\], got 0",
        }.items(),
    )
    def test_knobs_out_of_range(self, spec: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            method(spec)
