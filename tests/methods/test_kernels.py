"""Support vector machines, kernel logistic regression and the plug-in rule as methods: scikit-learn's, and as said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor

from longtail.classical import DealtFolds
from longtail.data import Examples, Splits, load
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.methods import method, methods
from longtail.methods.estimators import kernel_classifiers
from longtail.methods.estimators.classifiers import Columns
from longtail.runs.run import Run
from longtail.runs.train import train

pytest.importorskip("skops.io")

RECIPE = Recipe(epochs=1)
KEYS = [f"{one}{kind}" for one in ("svm", "kernel-logistic") for kind in ("", "-cw", "-posthoc", "-threshold")]


def splits(sizes: tuple[int, ...], seed: int = 0) -> Splits:
    g = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    return load(g.normal(size=(len(y), 3)) + 1.3 * y[:, None], y, val=None)


DATA = splits((90, 40, 16))
TWO = splits((90, 24))


def inputs(data: Splits) -> Tensor:
    assert isinstance(data.test, Examples)
    return data.test.inputs


def scaled(data: Splits) -> tuple[Any, Any, Any]:
    """Training rows and test rows as the classifier sees them, and the labels of the former."""
    train_rows = data.train
    assert isinstance(train_rows, Examples)
    scaler = StandardScaler().fit(train_rows.inputs.double().numpy())
    return (
        scaler.transform(train_rows.inputs.double().numpy()),
        scaler.transform(inputs(data).double().numpy()),
        train_rows.targets.numpy(),
    )


def scores(run: Run) -> Any:
    return run.predictions()["scores"].double().numpy()


def balanced(y: Any) -> Any:
    return (len(y) / len(np.unique(y)) / np.bincount(y))[y]


class TestSVM:
    @pytest.mark.parametrize("key", ["svm(C=2.0)", "svm-cw(C=2.0)"])
    @pytest.mark.parametrize("data", [DATA, TWO], ids=["three", "two"])
    def test_is_scikit_learns_with_platts_sigmoids(self, key: str, data: Splits, tmp_path: Path) -> None:
        x, new, y = scaled(data)
        weight = {"sample_weight": balanced(y)} if "cw" in key else {}
        run = train(key, data, folder=tmp_path, recipe=RECIPE)
        own = CalibratedClassifierCV(SVC(C=2.0), cv=DealtFolds(5), ensemble=False).fit(x, y, **weight)
        np.testing.assert_allclose(scores(run), np.log(own.predict_proba(new)), atol=1e-5)
        # the machine in it is SVC on all rows, and its probabilities are sigmoids of its decision values
        machine = SVC(C=2.0).fit(x, y, **weight)
        inner = own.calibrated_classifiers_[0]
        assert np.array_equal(machine.decision_function(new), inner.estimator.decision_function(new))
        values = machine.decision_function(new).reshape(len(new), -1)
        sigmoids = np.stack([expit(-(c.a_ * v + c.b_)) for c, v in zip(inner.calibrators, values.T, strict=True)], 1)
        expected = np.c_[1 - sigmoids, sigmoids] if data is TWO else sigmoids / sigmoids.sum(1, keepdims=True)
        np.testing.assert_allclose(np.exp(scores(run)), expected, atol=1e-5)

    def test_weights_move_both_the_machine_and_the_sigmoids(self, tmp_path: Path) -> None:
        plain, weighted = (train(k, TWO, folder=tmp_path / k, recipe=RECIPE) for k in ("svm", "svm-cw"))
        rare = [np.exp(scores(run))[:, 1].mean() for run in (plain, weighted)]
        assert rare[1] > rare[0] + 0.1
        found = weighted.predictor.prior
        assert found is not None
        assert found.tolist() == [0.5, 0.5]

    def test_decides_by_the_probabilities_where_scikit_learn_decides_by_its_sign(self, tmp_path: Path) -> None:
        run = train("svm", TWO, folder=tmp_path, recipe=RECIPE)
        x, new, y = scaled(TWO)
        sign = SVC().fit(x, y).predict(new)
        ours = np.array([TWO.classes.index(name) for name in run.predict(inputs(TWO))])
        assert ours.tolist() == scores(run).argmax(1).tolist()
        # of two classes it is a threshold on the decision value, another than 0
        values = SVC().fit(x, y).decision_function(new)
        assert values[ours == 1].min() > values[ours == 0].max()
        assert (values > 0).astype(int).tolist() == sign.tolist()

    @pytest.mark.parametrize("sizes", [(30, 8, 1), (30, 1), (30, 3, 1, 1)])
    def test_a_class_of_one_row_is_learnt(self, sizes: tuple[int, ...], tmp_path: Path) -> None:
        g = np.random.default_rng(0)
        y = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
        x = torch.from_numpy(g.normal(size=(len(y), 3)) + 3.0 * y.numpy()[:, None]).float()
        rows = Examples(x, y, tuple("abcd"[: len(sizes)]))
        run = train("svm-cw", Splits("few", rows, rows), folder=tmp_path, recipe=Recipe(epochs=1, model="mlp"))
        found = np.exp(scores(run))
        assert found.sum(1) == pytest.approx(1)
        assert found[-1].argmax() == len(sizes) - 1


class TestKernelLogistic:
    @pytest.mark.parametrize("key", ["kernel-logistic(C=3.0,gamma=0.4)", "kernel-logistic-cw(C=3.0,gamma=0.4)"])
    def test_is_logistic_regression_on_the_root_of_the_kernel(self, key: str, tmp_path: Path) -> None:
        x, new, y = scaled(DATA)
        values, vectors = np.linalg.eigh(rbf_kernel(x, gamma=0.4))
        values = np.maximum(values, 0)
        root = (vectors * np.sqrt(values)) @ vectors.T
        kept = values > 1e-10
        inverse = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
        weight = {"sample_weight": balanced(y)} if "cw" in key else {}
        own = LogisticRegression(C=3.0, max_iter=1000).fit(root, y, **weight)
        expected = own.predict_log_proba(rbf_kernel(new, x, gamma=0.4) @ inverse)
        run = train(key, DATA, folder=tmp_path, recipe=RECIPE)
        np.testing.assert_allclose(np.exp(scores(run)), np.exp(expected), atol=3e-3)  # as far as L-BFGS goes
        linear = LogisticRegression(C=3.0).fit(x, y, **weight).predict_log_proba(new)
        assert np.abs(np.exp(linear) - np.exp(expected)).max() > 0.1  # else the kernel changed nothing

    def test_weights_are_those_of_the_rows(self, tmp_path: Path) -> None:
        train_rows = TWO.train
        assert isinstance(train_rows, Examples)
        weighed = replace(TWO, train=replace(train_rows, sample_weight=1 + 9.0 * (train_rows.targets == 1).float()))
        for key in ("svm", "kernel-logistic"):
            plain, heavy = (
                np.exp(scores(train(key, data, folder=tmp_path / f"{key}{i}", recipe=RECIPE)))[:, 1].mean()
                for i, data in enumerate((TWO, weighed))
            )
            assert heavy > plain + 0.15, key


class TestPlugin:
    def test_is_kernel_logistic_with_its_log_prior_taken_off(self, tmp_path: Path) -> None:
        plugin, posthoc, plain = (
            train(key, DATA, folder=tmp_path / key, recipe=RECIPE)
            for key in ("plugin", "kernel-logistic-posthoc", "kernel-logistic")
        )
        one, other = plugin.predictions(), posthoc.predictions()
        assert one["adjusted_scores"].equal(other["adjusted_scores"])
        assert one["scores"].equal(plain.predictions()["scores"])
        counts = DATA.class_counts.tolist()
        ratios = [
            [p / (n / sum(counts)) for p, n in zip(row, counts, strict=True)] for row in np.exp(scores(plain)).tolist()
        ]
        decided = [DATA.classes[row.index(max(row))] for row in ratios]
        assert plugin.predict(inputs(DATA)) == decided
        assert decided != plain.predict(inputs(DATA))
        again = Run.load(plugin.folder)
        assert type(again.predictor.posthoc).__name__ == "PluginThreshold"
        assert again.predict(inputs(DATA)) == decided


class TestRefusals:
    def many(self, rows: int, classes: int = 3) -> Examples:
        names = tuple(f"{j:05}" for j in range(classes))
        return Examples(torch.zeros(1, 2).expand(rows, 2), torch.arange(rows) % classes, names)

    @pytest.mark.parametrize("key", KEYS)
    def test_too_many_rows(self, key: str) -> None:
        most, way = (20_000, "kernel-logistic") if key.startswith("svm") else (200_000, "logistic or trees")
        assert method(key).refuses(self.many(most)) is None
        message = rf"'{key}' takes at most {most:,} training rows \(.*\), got {most + 1:,}; leave it out, or take {way}"
        with pytest.raises(ValueError, match=message):
            methods(key, data=self.many(most + 1), val=True)

    def test_too_many_classes(self) -> None:
        message = r"'svm' takes at most 300 classes \(a machine for each pair\), got 301; leave it out, or take kernel"
        with pytest.raises(ValueError, match=message):
            methods("svm", data=self.many(600, 301))
        assert method("svm").refuses(self.many(600, 300)) is None

    def test_codes_that_would_fill_the_memory(self) -> None:
        targets = np.zeros(20_000, dtype=np.int64)
        message = r"kernels take at most 200,000,000 numbers .* got 20,000 x 20,002; leave out columns of many"
        for make in (kernel_classifiers.svm, kernel_classifiers.kernel_logistic):
            with pytest.raises(ValueError, match=message):
                make(Columns(2, [50_000], True), 0, targets, C=1.0, gamma="scale", kernel="rbf")
            make(Columns(2, [9_000], True), 0, targets, C=1.0, gamma="scale", kernel="rbf")

    @pytest.mark.parametrize(
        ("knobs", "message"),
        {
            "C=0": "C must be > 0, got 0",
            "gamma=0": "gamma must be > 0, got 0",
            'gamma="wide"': 'gamma must be "scale", "auto" or a number > 0, got \'wide\'; choose one of these',
            'kernel="cubic"': 'kernel must be "rbf" or "linear" or "poly", got \'cubic\'; choose one of these',
        }.items(),
    )
    def test_knobs_out_of_range(self, knobs: str, message: str) -> None:
        for key in ("svm", "kernel-logistic-cw", "plugin"):
            with pytest.raises(ValueError, match=re.escape(message)):
                method(f"{key}({knobs})")


def test_categories_are_columns_of_their_own_and_the_model_can_be_saved(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    from longtail.data.prepare.table import TablePreparation

    g = np.random.default_rng(0)
    code = g.integers(0, 12, 80)
    rows = pd.DataFrame({"a": g.normal(size=80), "c": np.array(list("abcdefghijkl"))[code]})
    y = torch.from_numpy((code % 3 == 0).astype(np.int64))
    preparation = TablePreparation.fit(rows)
    data = Splits("t", Examples(preparation(rows), y, ("n", "p")), Examples(preparation(rows), y, ("n", "p")))
    data = replace(data, preparation=preparation, facts={"rows": 80})
    for key in ("svm", "kernel-logistic", "logistic-cog"):
        run = train(key, data, folder=tmp_path / key, recipe=default_recipe(data))
        assert (scores(run).argmax(1) == y.numpy()).mean() > 0.95, key  # no order of the codes tells them
