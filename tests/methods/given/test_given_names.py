"""How classifiers of the user's are named and asked for, and what is refused in one line before anything is trained."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from tests.cases import cases

from longtail.data import load
from longtail.methods import explained, given_classifiers, method, methods
from longtail.methods.given import identity
from longtail.methods.given.imported import class_of
from longtail.methods.given.reading import default_name
from longtail.methods.tuning.space import space

RF = "sklearn:sklearn.ensemble.RandomForestClassifier"


def specs(asked: Any, **options: Any) -> list[str]:
    return [one.spec for one in methods(asked, **options)]


def refusal(asked: Any) -> str:
    with pytest.raises((ValueError, TypeError)) as caught:
        methods(asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class NoProbabilities(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, x: Any, y: Any) -> NoProbabilities:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), len(self.classes_)), 0.7)


class Nothing(NoProbabilities):
    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), len(self.classes_)), np.nan)


class Unused(NoProbabilities):
    """Says what XGBoost says of an argument that it does not use."""

    def fit(self, x: Any, y: Any) -> Unused:
        warnings.warn('[00:20:59] WARNING: /a/b.cc:782: \nParameters: { "foo" } are not used.\n', stacklevel=1)
        return super().fit(x, y)  # type: ignore[return-value]


class Changing(LogisticRegression):  # type: ignore[misc]
    def __init__(self, C: float = 1.0) -> None:
        super().__init__(C=C * 2)


class TestNames:
    def test_every_classifier_gives_its_rows_beside_ours(self) -> None:
        asked = ["ce", GaussianNB(), ("mine", GaussianNB()), f"{RF}(n_estimators=3)"]
        assert specs(asked) == [
            "ce", "gaussian-nb", "gaussian-nb-posthoc", "mine", "mine-posthoc",
            "random-forest", "random-forest-posthoc",
        ]  # fmt: skip
        assert specs(asked[1:2], val=True) == ["gaussian-nb", "gaussian-nb-posthoc", "gaussian-nb-threshold"]
        assert specs(f"ce,rf={RF}(n_estimators=3, max_features=None)") == ["ce", "rf", "rf-posthoc"]
        assert specs(GaussianNB()) == ["gaussian-nb", "gaussian-nb-posthoc"]

    def test_a_name_with_an_ending_asks_for_that_row_alone(self) -> None:
        assert specs([("nb-posthoc", GaussianNB())]) == ["nb-posthoc"]
        assert method(f"rf-threshold={RF}()").spec == "rf-threshold"
        assert method(("nb-posthoc", GaussianNB())).twin == "nb"
        assert specs([("nb-posthoc", GaussianNB()), ("nb", GaussianNB())]) == ["nb-posthoc", "nb"]
        assert "needs a validation part" in refusal([("nb-threshold", GaussianNB())])

    @cases(
        "value, name",
        [
            (HistGradientBoostingClassifier(), "hist-gradient-boosting"),
            (SVC(), "svc"),
            (make_pipeline(StandardScaler(), LogisticRegression()), "logistic-regression"),
            (type("LGBMClassifier", (), {})(), "lgbm"),
            (type("XGBClassifier", (), {})(), "xgb"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_a_classifier_without_a_name_is_called_after_its_class(self, value: Any, name: str) -> None:
        assert default_name(value) == name

    def test_a_second_of_a_class_has_a_number(self) -> None:
        read = given_classifiers(
            [GaussianNB(), GaussianNB(var_smoothing=1e-3), ("gaussian-nb-3", GaussianNB()), GaussianNB()]
        )
        assert [one.name for one in read] == ["gaussian-nb", "gaussian-nb-2", "gaussian-nb-3", "gaussian-nb-4"]

    def test_a_spec_may_name_a_row_with_knobs(self) -> None:
        asked = f"rf={RF}(),rf-posthoc(tau=0.5)"
        assert specs(asked) == ["rf", "rf-posthoc", "rf-posthoc(tau=0.5)"]

    def test_what_is_given_is_copied_unfitted(self) -> None:
        value = GaussianNB().fit([[0.0], [1.0]], [0, 1])
        read = given_classifiers([("nb", value)])[0]
        value.var_smoothing = 1.0
        assert read.estimator.var_smoothing == 1e-9
        assert not hasattr(read.estimator, "classes_")

    def test_what_is_read_is_read_again_as_it_is(self) -> None:
        read = given_classifiers(["ce", GaussianNB()])
        assert given_classifiers(read) == read
        assert given_classifiers("practice") == "practice"


class TestRefused:
    @cases(
        "asked, words",
        [
            (
                [LinearSVC()],
                "method 'linear-svc': a classifier must have predict_proba, got LinearSVC.*CalibratedClassif",
            ),
            ([Ridge()], "must be a classifier, got Ridge, which is a regressor"),
            ([Ridge().fit([[0.0], [1.0]], [0, 1])], "must be a classifier, got Ridge, which is a regressor"),
            ([RandomForestClassifier], r"must be an instance, got the class RandomForestClassifier; write .*\(\)"),
            ([SGDClassifier(loss="foo")], "'loss' parameter of SGDClassifier must be a str among"),
            ([GridSearchCV(SVC(kernel="foo", probability=True), {"C": [1]})], "'kernel' parameter of SVC must be"),
            ([("ce", GaussianNB())], "must be its own, got 'ce', but ce is ours"),
            ([("quick", GaussianNB())], "but quick is ours"),
            ([("trees-posthoc", GaussianNB())], "but trees is ours"),
            ([("a b", GaussianNB())], "letters, digits, - and _, got 'a b'"),
            ([("a", GaussianNB()), ("a", GaussianNB(var_smoothing=1.0))], "got 'a' for two"),
            ([Changing()], "Changing cannot be copied .*constructor"),
            ([("a", 3)], "must have get_params and set_params"),
            ([("a", GaussianNB(), 1)], r'must be \("name", classifier\), got \(.a., GaussianNB\(\), 1\)'),
            ([(1, GaussianNB())], r'must be \("name", classifier\), got \(1, GaussianNB\(\)\)'),
            ([("a", "ce")], r'must be \("name", classifier\)'),
            ([("", GaussianNB())], "letters, digits, - and _, got ''"),
            (["practise"], "unknown method 'practise'; did you mean the preset practice"),
            ("quikc,ce", "unknown method 'quikc'; did you mean the preset quick"),
            (["rf=sklearn:Forest()"], "must be named as sklearn:package.module.Class"),
            ([f"{RF}2"], "no class RandomForestClassifier2; did you mean sklearn.ensemble.RandomForestClassifier"),
            (["sklearn:sklearn.RandomForestClassifier()"], "did you mean sklearn.ensemble.RandomForestClassifier"),
            (["sklearn:sklearn.ensembl.X()"], "has no module sklearn.ensembl; did you mean sklearn.ensemble"),
            (["sklearn:no_such_package.X()"], "package no_such_package is not installed"),
            (["sklearn:os.system(command='true')"], "os is part of Python"),
            (["sklearn:sklearn._config.X()"], "must be named as sklearn:package.module.Class"),
            ([f"{RF}(n_estimator=3)"], "no argument 'n_estimator'.*did you mean n_estimators"),
            ([f"{RF}(n_estimators=len('abc'))"], "is not a schedule"),
            ([f"{RF}(3)"], "must be named"),
            (["sklearn:sklearn.linear_model.Ridge()"], "must be a classifier, got Ridge"),
            (
                [make_pipeline(FunctionTransformer(lambda x: x), GaussianNB())],
                "parameter 'steps' must have a text.*<lambda>",
            ),
            ([RandomForestClassifier(random_state=np.random.RandomState(0))], "generator of random numbers"),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_in_one_line(self, asked: Any, words: str) -> None:
        assert re.search(words, refusal(asked)), refusal(asked)

    def test_a_preset_where_one_method_is_asked_for(self) -> None:
        for asked in (method, explained):
            with pytest.raises(ValueError, match=r"must be one method, got 'practice', a preset .* such as trees, "):
                asked("practice")

    def test_values_that_only_a_fit_refuses_are_found_on_the_rows(self) -> None:
        lightgbm = pytest.importorskip("lightgbm")
        x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
        rows = load(x, y).train
        for value, words in (
            (lightgbm.LGBMClassifier(boosting_type="foo"), "LGBMClassifier: Unknown boosting type foo"),
            (lightgbm.LGBMClassifier(n_estimators=2, fooo=1), "LGBMClassifier: its argument 'fooo' is not used"),
            (Unused(), r"Unused: its argument 'foo' is not used: unknown, or without effect here; leave it out\)"),
            (Nothing(), "in every row, got a least of nan and a sum of nan"),
            (NoProbabilities(), "must give probabilities >= 0 that sum to 1 in every row, got a least of 0.7"),
        ):
            with pytest.raises(ValueError, match=words):
                methods([("mine", value)], data=rows)
        assert "did you mean n_estimators" in refusal(["sklearn:lightgbm.LGBMClassifier(n_estimator=3)"])

    def test_a_module_of_the_current_folder_is_not_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("homemade", "imblearn"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "imblearn", raising=False)
        with pytest.raises(ValueError, match="homemade is a module of a folder, not an installed package"):
            class_of("homemade.X")
        with pytest.raises(ValueError, match="imblearn is not where it was installed"):
            class_of("imblearn.X")

    def test_nothing_but_a_table_tunes_it(self) -> None:
        for asked in (GaussianNB(), f"rf={RF}(n_estimators=[1, 2])"):
            with pytest.raises(ValueError, match="tune it by scikit-learn"):
                space(asked)


class TestIdentity:
    def test_class_and_all_parameters_at_any_depth(self) -> None:
        value = GridSearchCV(
            make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(C=2)),
            {"logisticregression__C": [1, np.float64(2)]},
            cv=StratifiedKFold(3),
        )
        found = identity.described(value)
        assert found["class"] == "sklearn.model_selection._search.GridSearchCV"
        assert "LogisticRegression(C=2, " in found["estimator"]
        assert "func=numpy.log1p" in found["estimator"]
        assert found["param_grid"] == "{'logisticregression__C': [1, 2.0]}"
        assert found["cv"].endswith("StratifiedKFold(n_splits=3, random_state=None, shuffle=False)")
        assert " at 0x" not in str(found)
        value.estimator.steps[1][1].C = 3
        assert identity.described(value) != found

    def test_arrays_stand_with_their_digest(self) -> None:
        one, same, other = (
            identity.described(GaussianNB(priors=np.array(p))) for p in ([0.5, 0.5], [0.5, 0.5], [0.4, 0.6])
        )
        assert one == same != other
        assert one["priors"].startswith("array(float64, (2,), sha256 ")

    def test_packages_of_all_parts(self) -> None:
        import sklearn

        pipe = make_pipeline(StandardScaler(), NoProbabilities())
        assert identity.packages(pipe)["scikit-learn"] == sklearn.__version__
