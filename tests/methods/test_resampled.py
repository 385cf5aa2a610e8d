"""Resampled and balanced classifiers: imbalanced-learn's answers, from training rows alone, under their own prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.methods.resampled_rows import ENSEMBLES, RESAMPLED, TABLE, by_hand, fitted, learner, rows, seed_of

from longtail.methods import method

imblearn = pytest.importorskip("imblearn")
from imblearn.ensemble import (  # noqa: E402
    BalancedRandomForestClassifier,
    EasyEnsembleClassifier,
    RUSBoostClassifier,
)
from imblearn.over_sampling import SMOTE, SMOTENC, BorderlineSMOTE, RandomOverSampler  # noqa: E402
from imblearn.pipeline import make_pipeline  # noqa: E402
from imblearn.under_sampling import RandomUnderSampler  # noqa: E402

S = seed_of()
LOGISTIC = LogisticRegression(max_iter=1000, random_state=S)


def trees(stop: Any = False, codes: Any = None) -> Any:
    return HistGradientBoostingClassifier(max_iter=5, categorical_features=codes, early_stopping=stop, random_state=S)


FEW = "(max_iter=5)"
PIPELINES: dict[str, Callable[[], Any]] = {
    "logistic-smote": lambda: make_pipeline(StandardScaler(), SMOTE(random_state=S), LOGISTIC),
    "logistic-borderline-smote": lambda: make_pipeline(StandardScaler(), BorderlineSMOTE(random_state=S), LOGISTIC),
    "logistic-over": lambda: make_pipeline(StandardScaler(), RandomOverSampler(random_state=S), LOGISTIC),
    "logistic-under": lambda: make_pipeline(
        StandardScaler(), RandomUnderSampler(sampling_strategy={0: 12, 1: 12}, random_state=S), LOGISTIC
    ),
    "logistic-smote-under(over=0.5)": lambda: make_pipeline(
        StandardScaler(),
        SMOTE(sampling_strategy={2: 30}, random_state=S),
        RandomUnderSampler(sampling_strategy={0: 60, 1: 30, 2: 30}, random_state=S),
        LOGISTIC,
    ),
    "logistic-smote-under(over=0.5,under=1)": lambda: make_pipeline(
        StandardScaler(),
        SMOTE(sampling_strategy={2: 30}, random_state=S),
        RandomUnderSampler(sampling_strategy={0: 30}, random_state=S),
        LOGISTIC,
    ),
    f"trees-smote{FEW}": lambda: make_pipeline(StandardScaler(), SMOTE(random_state=S), trees()),
    f"trees-over{FEW}": lambda: make_pipeline(RandomOverSampler(random_state=S), trees()),
    "trees-under(ratio=0.5,max_iter=5)": lambda: make_pipeline(
        RandomUnderSampler(sampling_strategy={0: 24, 1: 24}, random_state=S), trees("auto")
    ),
    "balanced-forest(n_estimators=7)": lambda: BalancedRandomForestClassifier(n_estimators=7, random_state=S),
    "easy-ensemble(n_estimators=2)": lambda: EasyEnsembleClassifier(n_estimators=2, random_state=S),
    "rusboost": lambda: RUSBoostClassifier(random_state=S),
}


@pytest.mark.parametrize(("key", "own"), PIPELINES.items(), ids=PIPELINES.keys())
def test_it_is_imbalanced_learns_pipeline_on_the_training_rows(key: str, own: Any) -> None:
    train, test = rows(), rows(seed=1)
    found = fitted(key, train)
    scores = found.predict(test.inputs)
    expected = by_hand(own(), train, test.inputs)
    np.testing.assert_allclose(scores.exp().numpy(), expected, atol=2e-6)
    other = fitted(key.partition("-")[0] if key.partition("(")[0] in RESAMPLED else "logistic", train)
    assert not other.predict(test.inputs).allclose(scores, atol=1e-2)
    assert "imblearn" not in modules(found.network._estimator)


def modules(thing: Any) -> str:
    """The modules of an estimator, its steps and its members."""
    found = [type(thing).__module__]
    for _, step in getattr(thing, "steps", []):
        found.append(modules(step))
    found.extend(modules(member) for member in getattr(thing, "estimators_", []))
    return " ".join(found)


def test_on_a_table_codes_are_taken_as_categories_before_they_are_one_hot() -> None:
    train, test = rows(codes=True), rows(codes=True, seed=1)
    one_hot = ColumnTransformer(
        [("n", "passthrough", [0, 1, 2]), ("c", OneHotEncoder(handle_unknown="ignore"), [3, 4])]
    )
    smote = SMOTENC(categorical_features=[3, 4], random_state=S)
    found = fitted("logistic-smote", train, TABLE).predict(test.inputs).exp().numpy()
    np.testing.assert_allclose(found, by_hand(make_pipeline(smote, one_hot, LOGISTIC), train, test.inputs), atol=2e-5)
    found = fitted(f"trees-smote{FEW}", train, TABLE).predict(test.inputs).exp().numpy()
    np.testing.assert_allclose(found, by_hand(make_pipeline(smote, trees(codes=[3, 4])), train, test.inputs), atol=2e-6)
    forest = BalancedRandomForestClassifier(n_estimators=7, random_state=S)
    found = fitted("balanced-forest(n_estimators=7)", train, TABLE).predict(test.inputs).exp().numpy()
    np.testing.assert_allclose(found, by_hand(make_pipeline(one_hot, forest), train, test.inputs), atol=2e-6)


class TestPrior:
    def prior(self, key: str, counts: tuple[int, ...] = (100, 40, 2, 0)) -> list[float]:
        found = method(key).prior
        assert found is not None
        return [float(n) for n in found(torch.tensor(counts))]

    def test_probabilities_refer_to_the_classes_as_resampled(self) -> None:
        for key in ("logistic-over", "trees-smote", "logistic-borderline-smote"):
            assert self.prior(key) == [100, 100, 100, 0]
        assert self.prior("trees-over(ratio=0.5)") == [100, 50, 50, 0]
        assert self.prior("logistic-under") == [2, 2, 2, 0]
        assert self.prior("trees-under(ratio=0.1)") == [20, 20, 2, 0]
        assert self.prior("logistic-smote-under") == [20, 20, 10, 0]
        assert self.prior("trees-smote-under(over=0.3,under=1)") == [30, 30, 30, 0]
        assert {tuple(self.prior(key)) for key in ENSEMBLES} == {(1, 1, 1, 1)}

    def test_the_log_loss_that_tells_a_diverged_fit_has_the_same_shares(self) -> None:
        for key in ("trees-smote-under", "trees-over(ratio=0.5)", "trees-under"):
            after = learner(key, rows()).resample
            assert after is not None
            assert after(np.array([100.0, 40, 2, 0])).tolist() == self.prior(key), key

    @pytest.mark.parametrize("key", [*(f"logistic-{how}" for how in ("smote", "over", "smote-under", "under"))])
    def test_they_are_the_shares_that_the_classifier_sees(self, key: str) -> None:
        """On inputs that say nothing of the class, probabilities are the class shares of the rows fitted to."""
        train = replace(
            rows((120, 50, 20)), inputs=torch.randn(190, 1, generator=torch.Generator().manual_seed(0)) * 1e-3
        )
        shares = torch.tensor(self.prior(key, (120, 50, 20)))
        found = fitted(f"{key}(C=1e-06)", train).predict(train.inputs).exp().mean(0)
        torch.testing.assert_close(found, shares / shares.sum(), atol=2e-3, rtol=0)
