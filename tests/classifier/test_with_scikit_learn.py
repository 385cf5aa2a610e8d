"""Inside of scikit-learn: clones, grids, pipelines, calibration, importance, pickles, processes, generators."""

from __future__ import annotations

import io
import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.cases import cases
from tests.classifier.classifier_data import arrays, frame

import longtail as lt

X, Y = arrays()
TABLE, OUTCOME = frame()
FAST: dict[str, Any] = {"epochs": 2}


def classifier(method: str = "logit-adjusted", **options: Any) -> lt.LongTailClassifier:
    return lt.LongTailClassifier(method, **{**FAST, **options})


class TestKnobs:
    def test_a_clone_has_the_parameters_and_is_not_fitted(self) -> None:
        clf = classifier(knobs={"tau": 2.0}).fit(X, Y)
        copy = clone(clf)
        assert copy.get_params() == clf.get_params()
        assert not hasattr(copy, "predictor_")
        assert copy.knobs is not clf.knobs

    def test_a_knob_is_a_parameter_and_stands_in_place_of_that_of_the_spec(self) -> None:
        clf = classifier("vs(gamma=0.2, tau=3)", knobs={"tau": 2})
        assert clf.get_params()["knobs__tau"] == 2
        assert "knobs__tau" not in clf.get_params(deep=False)
        given = clf.knobs
        clf.set_params(knobs__tau=np.float64(1.5), epochs=3)
        assert given == {"tau": 2}  # the dict of the caller is as it was
        assert clf.fit(X, Y).method_ == "vs(gamma=0.2, tau=1.5)"
        assert clf.set_params(knobs=None).fit(X, Y).method_ == "vs(gamma=0.2, tau=3.0)"

    def test_a_grid_goes_over_methods_and_over_knobs(self) -> None:
        grids = [{"method": ["logit-adjusted(tau=0)", "ce"]}, {"knobs__tau": [0.0, 2.0], "epochs": [2]}]
        found = GridSearchCV(classifier(), grids, scoring="balanced_accuracy", cv=2).fit(X, Y)
        scores = found.cv_results_["mean_test_score"]
        assert scores[0] == scores[1] == scores[2] != scores[3]  # at tau 0 it is ce

    @pytest.mark.slow  # starts processes
    def test_processes_find_the_same_numbers(self) -> None:
        pipeline = make_pipeline(StandardScaler(), classifier("ce-threshold"))
        grid = {"longtailclassifier__knobs": [None, {"objective": "macro_f1"}]}
        one, two = (GridSearchCV(pipeline, grid, cv=2, n_jobs=jobs, refit=False).fit(X, Y) for jobs in (1, 2))
        for split in range(2):
            name = f"split{split}_test_score"
            assert one.cv_results_[name].tolist() == two.cv_results_[name].tolist()
        two_jobs = cross_val_score(classifier("trees(max_iter=3)"), TABLE, OUTCOME, cv=2, n_jobs=2)
        assert two_jobs.tolist() == cross_val_score(classifier("trees(max_iter=3)"), TABLE, OUTCOME, cv=2).tolist()


class TestDeterminism:
    def test_one_seed_has_one_result_and_the_callers_generators_are_as_they_were(self) -> None:
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        before = np.random.get_state()[1].copy(), torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002
        first, again, other = (classifier(random_state=s).fit(X, Y).predict_proba(X).tolist() for s in (0, 0, 1))
        assert first == again != other
        assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before[1])
        assert torch.get_num_threads() == before[2]

    def test_a_random_state_draws_a_seed_at_every_fit(self) -> None:
        clf = classifier("logistic", random_state=np.random.RandomState(3))
        seeds = [clf.fit(X, Y).seed_ for _ in range(2)]
        assert seeds[0] != seeds[1]
        assert clone(clf).set_params(random_state=np.random.RandomState(3)).fit(X, Y).seed_ == seeds[0]
        assert classifier("logistic", random_state=np.int64(5)).fit(X, Y).seed_ == 5
        drawn = {classifier("logistic", random_state=None).fit(X, Y).seed_ for _ in range(2)}
        assert len(drawn) == 2

    def test_threads_train_one_after_another(self) -> None:
        alone = classifier().fit(X, Y).predict_proba(X).tolist()
        with joblib.parallel_config("threading", n_jobs=4):
            found = joblib.Parallel()(joblib.delayed(classifier().fit)(X, Y) for _ in range(4))
        assert [clf.predict_proba(X).tolist() for clf in found] == [alone] * 4


@cases("method", ["ce-threshold", "trees-posthoc(max_iter=3)"])
def test_a_fitted_classifier_is_pickled(method: str) -> None:
    clf = classifier(method).fit(TABLE, OUTCOME)
    file = io.BytesIO()
    joblib.dump(clf, file)
    file.seek(0)
    for copy in (pickle.loads(pickle.dumps(clf)), joblib.load(file)):
        assert copy.predict_proba(TABLE).tolist() == clf.predict_proba(TABLE).tolist()
        assert copy.predict(TABLE).tolist() == clf.predict(TABLE).tolist()


class TestFrames:
    def test_columns_are_checked_by_name(self) -> None:
        clf = classifier("logistic").fit(TABLE, OUTCOME)
        assert clf.feature_names_in_.tolist() == list(TABLE.columns)
        assert clf.n_features_in_ == 5
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(TABLE.drop(columns="age"))
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            assert clf.predict(TABLE.to_numpy()).tolist() == clf.predict(TABLE).tolist()
        with (
            pytest.warns(UserWarning, match="X does not have valid feature names"),
            pytest.raises(ValueError, match="X has 4 features, but LongTailClassifier is expecting 5"),
        ):
            clf.predict(TABLE.to_numpy()[:, :4])

    def test_a_frame_of_numbered_columns_is_a_table_too(self) -> None:
        numbered = pd.DataFrame(X)
        clf = classifier("logistic").fit(numbered, Y)
        assert not hasattr(clf, "feature_names_in_")
        assert clf.predict(X).tolist() == clf.predict(numbered).tolist()

    def test_weights_of_a_frame_count_in_class_sizes(self) -> None:
        weight = np.arange(len(TABLE)) % 3 + 1.0
        clf = classifier("logistic").fit(TABLE, OUTCOME, sample_weight=weight)
        by_hand = [sum(w for w, name in zip(weight, OUTCOME, strict=True) if name == c) for c in clf.classes_]
        assert clf.predictor_.class_counts.tolist() == by_hand
        assert (
            clf.predict_proba(TABLE).tolist()
            != classifier("logistic").fit(TABLE, OUTCOME).predict_proba(TABLE).tolist()
        )

    def test_it_is_the_last_step_of_a_pipeline(self) -> None:
        columns = make_column_transformer((OneHotEncoder(), ["kind"]), (StandardScaler(), ["age"]))
        scores = [make_pipeline(columns, classifier(m)).fit(TABLE, OUTCOME).score(TABLE, OUTCOME) for m in METHODS]
        assert min(scores) > 0.5

    def test_importance_and_calibration(self) -> None:
        clf = classifier("trees(max_iter=5)").fit(TABLE, OUTCOME)
        found = permutation_importance(clf, TABLE, OUTCOME, n_repeats=1, random_state=0).importances_mean
        assert found[TABLE.columns.get_loc("amount")] > 0
        assert found[TABLE.columns.get_loc("kind")] < found.max()
        calibrated = CalibratedClassifierCV(FrozenEstimator(clf)).fit(TABLE, OUTCOME)
        assert np.allclose(calibrated.predict_proba(TABLE).sum(1), 1)
        folds = CalibratedClassifierCV(classifier(), cv=2).fit(X, Y)
        assert folds.classes_.tolist() == clf.classes_.tolist()
        assert folds.score(X, Y) > 0.5


METHODS = ("ce", "logistic")
