"""Resampled and balanced classifiers: imbalanced-learn's answers, from training rows alone, under their own prior."""

from __future__ import annotations

import sys
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
from torch import Tensor

from longtail.data import Examples, Splits, TrainingSet
from longtail.engine import Recipe
from longtail.engine.randomness import seeded
from longtail.learners.estimator import EstimatorLearner
from longtail.methods import method, methods
from longtail.methods.entries import CATALOG
from longtail.methods.presets import CLASSICAL

imblearn = pytest.importorskip("imblearn")
from imblearn.ensemble import (  # noqa: E402
    BalancedRandomForestClassifier,
    EasyEnsembleClassifier,
    RUSBoostClassifier,
)
from imblearn.over_sampling import SMOTE, SMOTENC, BorderlineSMOTE, RandomOverSampler  # noqa: E402
from imblearn.pipeline import make_pipeline  # noqa: E402
from imblearn.under_sampling import RandomUnderSampler  # noqa: E402

SIZES = (60, 30, 12)
FEATURES = Recipe(epochs=1, model="mlp")
TABLE = Recipe(epochs=1, model="tabular", model_args={"numeric": 3, "categories": [4, 3]})
RESAMPLED = tuple(
    f"{one}-{how}"
    for one in ("logistic", "trees")
    for how in ("smote", "borderline-smote", "over", "under", "smote-under")
)
ENSEMBLES = ("balanced-forest", "easy-ensemble", "rusboost", "self-paced")
OWN = (*RESAMPLED, *ENSEMBLES)


def rows(sizes: tuple[int, ...] = SIZES, codes: bool = False, seed: int = 0) -> Examples:
    """Gaussian classes; with codes, two columns of 4 and 3 categories, of which the first follows the class."""
    g = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = g.normal(size=(len(y), 3)) * [1, 10, 0.1] + y[:, None] * [1.5, 5, 0]
    if codes:
        x = np.c_[x, np.minimum(y + g.integers(0, 2, len(y)), 3), g.integers(0, 3, len(y))]
    return Examples(torch.from_numpy(x).float(), torch.from_numpy(y), tuple("abcdefgh"[: len(sizes)]))


def learner(key: str, train: Examples, recipe: Recipe = FEATURES) -> EstimatorLearner:
    (stage,) = method(key).stages(recipe)
    found: Any = stage.build(TrainingSet(train), None).learner
    return found


def fitted(key: str, train: Examples, recipe: Recipe = FEATURES, seed: int = 0) -> EstimatorLearner:
    """Fitted as a run fits it, and not saved."""
    found = learner(key, train, recipe)
    with seeded(seed, 0, 0):
        found.start_epoch(train, 0.0)
    return found


def seed_of(seed: int = 0) -> int:
    with seeded(seed, 0, 0):
        return torch.initial_seed() % 2**32


def by_hand(pipeline: Any, train: Examples, inputs: Tensor) -> Any:
    pipeline.fit(train.inputs.double().numpy(), train.targets.numpy())
    return pipeline.predict_proba(inputs.double().numpy())


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
    "balanced-forest(n_estimators=7)": lambda: make_pipeline(
        StandardScaler(), BalancedRandomForestClassifier(n_estimators=7, random_state=S)
    ),
    "easy-ensemble(n_estimators=2)": lambda: make_pipeline(
        StandardScaler(), EasyEnsembleClassifier(n_estimators=2, random_state=S)
    ),
    "rusboost": lambda: make_pipeline(StandardScaler(), RUSBoostClassifier(random_state=S)),
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


class TestNothingResamplesBeforeTheSplit:
    """Rows that are tested or validated have 1 in a column where others have 0: a copy keeps it, and a new row between
    one of them and another has more than 0."""

    MARK = 3

    def marked(self, resample: Callable[[Any, Any], Any] | None = None) -> Splits:
        """A split with marks; `resample` is applied to all rows before it, as nobody should."""
        whole = rows((60, 30, 16))
        held_out = torch.arange(len(whole)) % 4 == 0
        x = torch.cat([whole.inputs, held_out.float().unsqueeze(1)], dim=1)
        # a tested row of the rarest class is a copy of one that is trained on, but for the mark
        x[-2, : self.MARK] = x[-3, : self.MARK] = x[-4, : self.MARK]
        if resample is None:
            train, test = (self.part(whole, x[r], whole.targets[r]) for r in (~held_out, held_out))
        else:
            found, targets = (torch.from_numpy(np.asarray(one)) for one in resample(x.numpy(), whole.targets.numpy()))
            apart = torch.arange(len(found)) % 4 == 0
            train, test = (self.part(whole, found[r].float(), targets[r]) for r in (~apart, apart))
        return Splits("marked", train, test)

    @staticmethod
    def part(like: Examples, inputs: Tensor, targets: Tensor) -> Examples:
        return replace(like, inputs=inputs, targets=targets)

    @staticmethod
    def received(key: str, splits: Splits, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Every table that a sampler, a tree, a boosting or a regression is fitted to on the way."""
        from imblearn.base import SamplerMixin
        from sklearn.tree import BaseDecisionTree

        from longtail.classical.smote import SmallClassSMOTE

        found: list[Any] = []

        def spied(plain: Any) -> Any:
            def call(self: Any, X: Any, *arguments: Any, **options: Any) -> Any:
                found.append(np.asarray(X.todense() if hasattr(X, "todense") else X))
                return plain(self, X, *arguments, **options)

            return call

        places = (
            (SamplerMixin, "fit_resample"), (SmallClassSMOTE, "fit_resample"), (BaseDecisionTree, "_fit"),
            (HistGradientBoostingClassifier, "fit"), (LogisticRegression, "fit"),
        )  # fmt: skip
        with monkeypatch.context() as patch:
            for kind, name in places:
                patch.setattr(kind, name, spied(getattr(kind, name)))
            fitted(key, splits.train)
        return found

    @pytest.mark.parametrize("key", sorted({key for key in (*CLASSICAL, "logistic", "trees") if key in CATALOG}))
    def test_in_any_wrapper(self, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        splits = self.marked()
        assert splits.test.inputs[:, self.MARK].min() == 1
        small = {"easy-ensemble": "easy-ensemble(n_estimators=2)", "self-paced": "self-paced(n_estimators=4)"}
        found = self.received(small.get(key, key), splits, monkeypatch)
        if key in OWN or key in ("logistic", "trees"):
            assert found
        assert all((table[:, self.MARK] == 0).all() for table in found if table.shape[1] > self.MARK)
        if key in RESAMPLED:  # the sampler comes first and gets the training rows, each once
            assert len(found[0]) == len(splits.train)
            values = np.unique(found[0].round(6), axis=0)
            assert len(values) == len(np.unique(splits.train.inputs.numpy().round(6), axis=0))

    @pytest.mark.parametrize(
        "sampler", [SMOTE(random_state=0), RandomOverSampler(random_state=0), BorderlineSMOTE(random_state=0)]
    )
    def test_resampling_before_the_split_would_be_seen(self, sampler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        leaky = self.marked(sampler.fit_resample)
        found = self.received("logistic-smote", leaky, monkeypatch)
        assert any((table[:, self.MARK] > 0).any() for table in found)

    def test_no_held_out_rows_of_boosting_are_copies(self) -> None:
        """Beyond 10,000 rows boosting holds out a tenth to stop early; copies would be in both parts."""
        train = rows((9_000, 1_500))
        for key, stops in (("trees-over", False), ("trees-smote", False), ("trees-under(ratio=0.17)", True)):
            made = learner(key, train)
            estimator = made.make(0, train.targets.numpy())
            last = estimator.steps[-1][1]
            assert last.early_stopping == ("auto" if stops else False), key


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

    @pytest.mark.parametrize("key", [*(f"logistic-{how}" for how in ("smote", "over", "smote-under", "under"))])
    def test_they_are_the_shares_that_the_classifier_sees(self, key: str) -> None:
        """On inputs that say nothing of the class, probabilities are the class shares of the rows fitted to."""
        train = replace(
            rows((120, 50, 20)), inputs=torch.randn(190, 1, generator=torch.Generator().manual_seed(0)) * 1e-3
        )
        shares = torch.tensor(self.prior(key, (120, 50, 20)))
        found = fitted(f"{key}(C=1e-06)", train).predict(train.inputs).exp().mean(0)
        torch.testing.assert_close(found, shares / shares.sum(), atol=2e-3, rtol=0)


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
