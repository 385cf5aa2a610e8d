"""The optimum of every calibration is that of plain loops and of another optimiser, and that of scikit-learn."""

from math import exp, log

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from longtail.posthoc import IsotonicCalibration, TemperatureScaling, VectorScaling
from longtail.posthoc.calibration.isotonic import rising


def rows(n, sharpness=2.0, seed=0, shares=(0.6, 0.3, 0.1)):
    """Log-probabilities that are `sharpness` times too confident, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, len(shares))) * 1.5 + np.log(shares)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    return sharpness * logits - np.log(np.exp(sharpness * logits).sum(1, keepdims=True)), y


def softmax(z):
    top = max(z)
    e = [exp(value - top) for value in z]
    return [value / sum(e) for value in e]


def mean_loss(z, y, w, change):
    """Mean log loss of softmax(change(row)), by plain loops."""
    total = sum(wi * -log(softmax(change(row))[yi]) for row, yi, wi in zip(z.tolist(), y, w, strict=True))
    return total / sum(w)


def test_the_temperature_has_the_smallest_loss_and_the_uniform_part_is_one_of_n_plus_one():
    z, y = rows(60)
    w = np.random.default_rng(1).random(60).tolist()
    fitted = TemperatureScaling(3).fit(z, y, sample_weight=np.array(w))
    best = minimize_scalar(
        lambda u: mean_loss(z, y, w, lambda row: [exp(u) * v for v in row]), bounds=(-5, 5), options={"xatol": 1e-10},
        method="bounded",
    )  # fmt: skip
    b = float(fitted.inverse_temperature)
    assert log(b) == pytest.approx(best.x, abs=1e-6)
    share = 1 / (sum(w) + 1)
    for row, ours in zip(z.tolist(), np.exp(fitted(z)).tolist(), strict=True):
        assert ours == pytest.approx([(1 - share) * p + share / 3 for p in softmax([b * v for v in row])], rel=1e-12)


@pytest.mark.filterwarnings("ignore:Since FrozenEstimator does not appear to accept sample_weight:UserWarning")
def test_the_temperature_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    x = rng.normal(size=(400, 2)) + 0.7 * np.eye(3)[y][:, :2]
    w = rng.integers(1, 4, 200).astype(float)
    model = LogisticRegression(C=1e4).fit(x[:40], y[:40])
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(x[200:], y[200:], sample_weight=w)
    beta = theirs.calibrated_classifiers_[0].calibrators[0].beta_
    ours = TemperatureScaling(3).fit(model.decision_function(x[200:]), y[200:], sample_weight=w)
    assert float(ours.inverse_temperature) == pytest.approx(beta, rel=1e-5)


@pytest.mark.parametrize("sharpness", [0.01, 0.5, 1.0, 3.0, 40.0])
def test_a_sharpened_model_gets_its_temperature_back(sharpness):
    z, y = rows(4000, sharpness)
    assert TemperatureScaling(3).fit(z, y).temperature == pytest.approx(sharpness, rel=0.05)


def test_rows_without_an_error_and_rows_without_information_end():
    y = torch.tensor([0, 1, 2, 0])
    z = 2 * torch.eye(3, dtype=torch.float64)[y]
    perfect = TemperatureScaling(3).fit(z, y)
    assert perfect(z).exp()[0].tolist() == pytest.approx([0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3])  # w = 1 / 5
    flat = TemperatureScaling(3).fit(torch.zeros(4, 3), y)
    assert flat.temperature == 1.0
    wrong = TemperatureScaling(3).fit(z, (y + 1) % 3)
    assert wrong(z).exp().min() == pytest.approx(1 / 3, abs=1e-6)


def vector_objective(z, y, w, ridge):
    """-> theta (2C) -> the objective of `VectorScaling`, by plain loops."""

    def value(theta):
        v, b = theta[: len(ridge)], theta[len(ridge) :]
        loss = mean_loss(z, y, w, lambda row: [(1 + vc) * zc + bc for vc, zc, bc in zip(v, row, b, strict=True)])
        return loss + sum(r * (vc**2 + bc**2) for r, vc, bc in zip(ridge, v, b, strict=True))

    return value


def test_the_vector_is_the_smallest_of_its_objective_with_few_rows_shrunk_more():
    z, y = rows(120)
    prior = [0.2, 0.5, 0.3]
    fitted = VectorScaling(3).fit(z, y, prior=prior)
    counts = [int((y == c).sum()) for c in range(3)]
    assert min(counts) < 50 < max(counts)
    r = [prior[c] / (counts[c] / 120) for c in y]
    size = sum(r) ** 2 / sum(v * v for v in r)
    assert float(fitted.size) == pytest.approx(size)
    after = TemperatureScaling(3).fit(z, y, prior=prior)(z)
    ridge = [3 / size * max(1, 50 / n) for n in counts]
    objective = vector_objective(after, y, r, ridge)
    best = minimize(objective, np.zeros(6), method="BFGS", options={"gtol": 1e-7})
    ours = [*fitted.factors.tolist(), *fitted.offsets.tolist()]
    assert ours == pytest.approx(best.x.tolist(), abs=2e-5)
    assert objective(ours) <= best.fun + 1e-12
    moved = [
        softmax([(1 + fitted.factors[c].item()) * row[c] + fitted.offsets[c].item() for c in range(3)]) for row in after
    ]
    np.testing.assert_allclose(np.exp(fitted(z)), moved, rtol=1e-10)


def test_a_class_without_rows_is_frozen_at_the_temperature():
    z, y = rows(300, shares=(0.5, 0.3, 0.1, 0.1))
    kept = y != 2
    vector = VectorScaling(4).fit(z[kept], y[kept])
    temperature = TemperatureScaling(4).fit(z[kept], y[kept])
    assert (vector.factors[2], vector.offsets[2]) == (0, 0)
    assert vector.factors[[0, 1, 3]].all()
    np.testing.assert_allclose(vector(z)[:, 2], temperature(z)[:, 2], rtol=1e-12)
    assert np.abs(vector(z)[:, 0] - temperature(z)[:, 0]).max() > 1e-3
    np.testing.assert_allclose(np.exp(vector(z)).sum(1), 1)
    assert "1 class without rows as the temperature leaves it" in vector.words.replace("them", "it")
    alone = VectorScaling(4).fit(z[y == 0], y[y == 0])
    assert not alone.factors.any()


def test_rising_is_the_regression_of_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 40, 200) / 40
    y = (rng.random(200) < x**2).astype(float)
    w = rng.integers(1, 4, 200).astype(float)
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x, y, sample_weight=w)
    knots, levels = rising(torch.tensor(x), torch.tensor(y), torch.tensor(w))
    np.testing.assert_allclose(knots, theirs.X_thresholds_)
    np.testing.assert_allclose(levels, theirs.y_thresholds_, atol=1e-14)


def test_isotonic_is_one_curve_for_each_class_with_enough_rows_and_a_temperature_for_the_others():
    z, y = rows(1500, shares=(0.7, 0.25, 0.05))
    assert (y == 2).sum() > 100
    y[np.flatnonzero(y == 2)[99:]] = 0  # 99 rows are too few
    fitted = IsotonicCalibration(3).fit(z, y)
    share, p, t = 1 / 1501, np.exp(z), np.exp(TemperatureScaling(3).fit(z, y)(z))
    expected = t.copy()
    for c in (0, 1):
        curve = IsotonicRegression(out_of_bounds="clip").fit(p[:, c], y == c).predict(p[:, c])
        expected[:, c] = (1 - share) * curve + share * t[:, c]
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(fitted(z)), expected, rtol=1e-9)
    assert (fitted.sizes > 0).tolist() == [True, True, False]
    assert np.isfinite(fitted(np.array([[0.0, -900.0, -900.0], [-900.0, -900.0, 0.0]]))).all()
    assert fitted.words.startswith("isotonic calibration of 2 of 3 classes, fitted on 1500 validation rows; 1 with too")
    few = IsotonicCalibration(3).fit(z[:999], y[:999])
    np.testing.assert_allclose(few(z), TemperatureScaling(3).fit(z[:999], y[:999])(z), atol=1e-12)
