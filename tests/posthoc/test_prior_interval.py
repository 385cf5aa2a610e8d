"""The interval of an estimated prior: plain loops, the source has no shift, a shift is covered, few rows say little."""

import numpy as np
import pytest
import torch
from tests.cases import cases

from longtail.facts.intervals import wilson
from longtail.posthoc import TemperatureScaling, estimate_prior, estimate_prior_interval

OLD, NEW = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]
MEANS = np.array([-2.5, 0.0, 3.0])


def draw(prior, n, seed=0, sharpness=1.0):
    """Scores of a model of OLD, `sharpness` times too confident, on data whose classes have another prior."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=prior)
    x = rng.normal(size=n) + MEANS[y]
    return sharpness * (-((x[:, None] - MEANS) ** 2) / 2 + np.log(OLD)), y


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def loop(p, m, weight, pseudo=0.0, steps=3000):
    """Expectation maximisation as in the paper, by plain loops over classes; then prior_k = old_k q_k / m_k."""
    q = np.array(OLD)
    for _ in range(steps):
        r = p * (q / m)
        q = (weight @ (r / r.sum(1, keepdims=True)) + pseudo * np.array(OLD)) / (weight.sum() + pseudo)
    prior = np.array(OLD) * q / m
    return prior / prior.sum()


def test_the_estimate_is_that_of_estimate_prior_and_of_plain_loops():
    z, _ = draw(NEW, 150)
    found = estimate_prior_interval(z, OLD, resamples=20)
    assert found.prior.tolist() == pytest.approx(estimate_prior(z, OLD).prior.tolist(), abs=1e-6)
    assert (found.rows, found.validation_rows, found.converged) == (150, 0, True)
    weight = np.random.default_rng(0).integers(0, 4, 150)
    pseudo = estimate_prior_interval(z, OLD, sample_weight=weight, pseudo_rows=30, resamples=20)
    assert pseudo.prior.tolist() == pytest.approx(loop(softmax(z), np.array(OLD), weight, 30).tolist(), abs=1e-7)
    copied = estimate_prior_interval(np.repeat(z, weight, 0), OLD, pseudo_rows=30, resamples=20)
    assert copied.prior.tolist() == pytest.approx(pseudo.prior.tolist(), abs=1e-9)
    assert copied.rows == pseudo.rows == weight.sum()


def test_validation_rows_give_the_mean_prediction_and_the_calibration():
    z, _ = draw(NEW, 150, sharpness=3.0)
    v, y = draw(OLD, 200, 1, sharpness=3.0)
    k = np.random.default_rng(0).integers(0, 3, 200)
    shares = np.bincount(y, k) / k.sum()
    w = k * (np.array(OLD) / shares)[y]
    found = estimate_prior_interval(z, OLD, validation=(v, y, k), resamples=20)
    m = (w / w.sum()) @ softmax(v)
    assert found.prior.tolist() == pytest.approx(loop(softmax(z), m, np.ones(150)).tolist(), abs=1e-6)
    assert found.validation_rows == k.sum()
    mended = TemperatureScaling(3).fit(v, y, sample_weight=k, prior=OLD)
    m = (w / w.sum()) @ np.exp(mended(v))
    calibrated = estimate_prior_interval(z, OLD, validation=(v, y, k), calibrate="temperature", resamples=20)
    assert calibrated.prior.tolist() == pytest.approx(loop(np.exp(mended(z)), m, np.ones(150)).tolist(), abs=1e-6)


def test_data_like_the_training_give_the_training_prior_back_however_wrong_the_probabilities_are():
    v, y = draw(OLD, 300, 1, sharpness=0.3)
    weight = np.array(OLD)[y] / (np.bincount(y) / 300)[y]
    exact = estimate_prior_interval(v, OLD, sample_weight=weight, validation=(v, y), resamples=20)
    assert exact.prior.tolist() == pytest.approx(OLD, abs=1e-6)
    biased = estimate_prior(v, OLD).prior
    assert np.abs(biased - OLD).max() > 0.15
    fresh = estimate_prior_interval(draw(OLD, 200, 2, sharpness=0.3)[0], OLD, validation=(v, y))
    assert (fresh.low <= OLD).all()
    assert (fresh.high >= OLD).all()
    shifted = estimate_prior_interval(draw(NEW, 200, 2)[0], OLD, validation=draw(OLD, 300, 1))
    assert shifted.high[0] < OLD[0]
    assert shifted.low[2] > OLD[2]


def test_a_shift_is_covered_about_as_often_as_promised():
    hits = []
    for seed in range(60):
        validation = draw(OLD, 120, 1000 + seed)
        z, _ = draw(NEW, 100, seed)
        found = estimate_prior_interval(z, OLD, validation=validation, level=0.9, resamples=60, seed=seed)
        hits.append((found.low <= NEW) & (found.high >= NEW))
    covered = np.mean(hits)
    assert 0.85 <= covered <= 0.98  # 180 class intervals, three of each draw


def test_validation_rows_widen_the_interval_and_few_rows_never_narrow_it_below_wilson():
    z, _ = draw(NEW, 2000)
    alone = estimate_prior_interval(z, OLD)
    few = estimate_prior_interval(z, OLD, validation=draw(OLD, 60, 1), calibrate="temperature", resamples=60)
    assert (few.high - few.low > 1.2 * (alone.high - alone.low)).all()
    sure = np.array([[20.0, -20.0, -20.0]] * 30)  # no row of two classes
    none = estimate_prior_interval(sure, OLD, resamples=20)
    assert none.high[1] == pytest.approx(wilson(0, 30)[1], abs=1e-6)
    assert none.low[1] == pytest.approx(0, abs=1e-6)
    held = estimate_prior_interval(sure, OLD, pseudo_rows=30, resamples=20)
    assert held.prior.tolist() == pytest.approx([0.85, 0.1, 0.05], abs=1e-6)
    again = estimate_prior_interval(torch.tensor(z), OLD)
    assert torch.equal(again.low, torch.tensor(alone.low))
    assert not np.array_equal(estimate_prior_interval(z, OLD, seed=1).low, alone.low)


def test_a_class_without_validation_rows_is_taken_as_predicted_rightly():
    v, y = draw(OLD, 200, 1)
    kept = y != 2
    m = 0.9 * ((np.array([0.7, 0.2]) / 0.9 / np.bincount(y[kept]))[y[kept]] @ softmax(v[kept])) + [0, 0, 0.1]
    z, _ = draw(NEW, 150)
    found = estimate_prior_interval(z, OLD, validation=(v[kept], y[kept]), resamples=20)
    assert found.prior.tolist() == pytest.approx(loop(softmax(z), m, np.ones(150)).tolist(), abs=1e-6)


Z = draw(NEW, 20)[0]


@cases(
    ("make", "line"),
    [
        (lambda: estimate_prior_interval(Z, OLD, level=1.0), r"level must be in \(0, 1\), got 1.0"),
        (lambda: estimate_prior_interval(Z, OLD, resamples=5), "resamples must be an integer >= 20, got 5"),
        (lambda: estimate_prior_interval(Z, OLD, pseudo_rows=-1), "pseudo_rows must be >= 0, got -1"),
        (lambda: estimate_prior_interval(Z, [0.5, 0.5, 0.0]), "old must be > 0 for every class, got 0.0 for class 2"),
        (lambda: estimate_prior_interval(Z[:0], OLD), "scores must hold at least one row, got none"),
        (lambda: estimate_prior_interval(Z * np.nan, OLD), "scores must be finite"),
        (lambda: estimate_prior_interval(softmax(Z), OLD), "scores must be logarithms, got rows that are >= 0"),
        (lambda: estimate_prior_interval(Z, OLD, sample_weight=[1.0]), r"sample_weight must have shape \(20,\)"),
        (lambda: estimate_prior_interval(Z, OLD, calibrate="vector"), "calibrate='vector' needs validation rows, got"),
        (
            lambda: estimate_prior_interval(Z, OLD, validation=draw(OLD, 9), calibrate="auto"),
            "must be one of temperature, vector, isotonic, got 'auto'",
        ),
        (lambda: estimate_prior_interval(Z, OLD, validation=(Z,)), "validation must be .* got 1 entries; leave it out"),
        (lambda: estimate_prior_interval(Z, OLD, validation=(Z, [3] * 20)), r"targets must be in \[0, 3\), got 3"),
    ],
)
def test_bad_input_is_refused(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)
