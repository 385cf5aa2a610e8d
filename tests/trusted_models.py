"""Classifiers of many kinds and depths, fitted once for the tests of saving."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from imblearn.ensemble import (
    BalancedRandomForestClassifier,
    EasyEnsembleClassifier,
    RUSBoostClassifier,
)
from imblearn.over_sampling import SMOTE, BorderlineSMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as resampled
from imblearn.under_sampling import RandomUnderSampler
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

DRAWN = np.random.default_rng(0)
X = np.c_[DRAWN.normal(size=(120, 3)), DRAWN.integers(0, 4, 120)]
Y = (X[:, 0] + X[:, 3] + DRAWN.normal(size=120) > 1.5).astype(int) + (X[:, 1] > 0.8)
SEED = 0


def trees(**options: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=2, categorical_features=[3], random_state=SEED, **options)


def codes() -> Any:
    return ColumnTransformer(
        [("n", StandardScaler(), [0, 1, 2]), ("c", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [3])]
    )


MODELS: dict[str, Callable[[], Any]] = {
    "forest": lambda: RandomForestClassifier(5, random_state=SEED),
    "forest with a generator": lambda: RandomForestClassifier(3, random_state=np.random.RandomState(3)),
    "extra trees": lambda: ExtraTreesClassifier(5, min_samples_leaf=3, random_state=SEED),
    "tree": lambda: DecisionTreeClassifier(random_state=SEED),
    "tree, best first": lambda: DecisionTreeClassifier(max_leaf_nodes=9, random_state=SEED),
    "tree of one leaf": lambda: DecisionTreeClassifier(min_samples_leaf=100),
    "extra tree": lambda: ExtraTreeClassifier(random_state=SEED),
    "gradient boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=SEED),
    "boosting from zero": lambda: GradientBoostingClassifier(n_estimators=3, init="zero", random_state=SEED),
    "adaboost": lambda: AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=4, random_state=SEED),
    "bagging": lambda: BaggingClassifier(n_estimators=3, max_features=0.5, random_state=SEED),
    "bagging of boosted trees": lambda: BaggingClassifier(trees(), n_estimators=2, random_state=SEED),
    "trees in a pipeline": lambda: make_pipeline(StandardScaler(), trees()),
    "calibrated trees": lambda: CalibratedClassifierCV(trees(), cv=2),
    "calibrated by steps": lambda: CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2),
    "calibrated margins": lambda: CalibratedClassifierCV(LinearSVC(random_state=SEED), cv=2),
    "neighbours": lambda: KNeighborsClassifier(5),
    "neighbours in balls": lambda: KNeighborsClassifier(5, algorithm="ball_tree", p=1, weights="distance"),
    "neighbours one by one": lambda: make_pipeline(codes(), KNeighborsClassifier(5, algorithm="brute")),
    "support vectors": lambda: CalibratedClassifierCV(make_pipeline(codes(), SVC()), cv=2),
    "support vectors alone": lambda: SVC(kernel="poly", random_state=SEED),
    "linear margins": lambda: LinearSVC(random_state=SEED),
    "kernels": lambda: make_pipeline(Nystroem(n_components=20, random_state=SEED), LogisticRegression()),
    "normal": GaussianNB,
    "linear discriminants": LinearDiscriminantAnalysis,
    "quadratic discriminants": lambda: QuadraticDiscriminantAnalysis(reg_param=0.1),
    "network": lambda: MLPClassifier((5,), max_iter=5, early_stopping=True, random_state=SEED),
    "ridge": RidgeClassifier,
    "a vote": lambda: VotingClassifier(
        [("a", trees()), ("b", DecisionTreeClassifier(random_state=SEED))], voting="soft"
    ),
    "over": lambda: resampled(codes(), RandomOverSampler(random_state=SEED), LogisticRegression()),
    "smote": lambda: resampled(SMOTE(random_state=SEED), trees()),
    "borderline smote": lambda: resampled(BorderlineSMOTE(random_state=SEED), LogisticRegression(max_iter=500)),
    "under": lambda: resampled(RandomUnderSampler(random_state=SEED), RandomForestClassifier(3, random_state=SEED)),
    "balanced forest": lambda: BalancedRandomForestClassifier(
        5, random_state=SEED, sampling_strategy="all", replacement=True, bootstrap=False
    ),
    "easy ensemble": lambda: EasyEnsembleClassifier(2, AdaBoostClassifier(n_estimators=3), random_state=SEED),
    "rusboost": lambda: RUSBoostClassifier(n_estimators=3, random_state=SEED),
}


@cache
def fitted(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS[name]().fit(X, Y)


def answers(model: Any, rows: Any = X) -> bytes:
    return (model.predict_proba if hasattr(model, "predict_proba") else model.decision_function)(rows).tobytes()
