"""Calibrations as modules: weights are copies, priors weigh, state survives, "auto" chooses, bad input is refused."""

import json
import math

import numpy as np
import pytest
import torch
from tests.cases import cases

from longtail import posthoc
from longtail.posthoc import IsotonicCalibration, TemperatureScaling, VectorScaling, correct_prior, fit_calibration
from longtail.posthoc.calibration import KINDS, cross_calibrated

ALL = (TemperatureScaling, VectorScaling, IsotonicCalibration)


def rows(n, sharpness=2.0, seed=0, shares=(0.6, 0.3, 0.1), offsets=0.0):
    """Log-probabilities that are too confident and off by `offsets`, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, len(shares))) * 1.5 + np.log(shares)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    return sharpness * logits + offsets, y


def log_loss(logs, y):
    return -np.asarray(logs)[np.arange(len(y)), y].mean()


@cases("kind", [*KINDS, "auto"])
def test_a_row_of_weight_k_is_k_rows(kind):
    z, y = rows(800)
    k = np.random.default_rng(1).integers(0, 5, 800)
    for prior in (None, [0.3, 0.3, 0.4]):
        weighed = fit_calibration(kind, z, y, num_classes=3, sample_weight=k, prior=prior)
        copied = fit_calibration(kind, np.repeat(z, k, 0), np.repeat(y, k), num_classes=3, prior=prior)
        assert type(weighed.calibration) is type(copied.calibration)
        assert weighed.log_loss == pytest.approx(copied.log_loss)
        assert weighed.words == copied.words
        np.testing.assert_allclose(weighed.calibration(z), copied.calibration(z), rtol=1e-8)


@cases("kind", KINDS)
def test_a_prior_weighs_the_rows_of_a_class_by_its_share_here_and_there(kind):
    z, y = rows(1500)
    prior = np.array([0.2, 0.2, 0.6])
    by_prior = KINDS[kind](3).fit(z, y, prior=prior)
    ratio = prior / (np.bincount(y) / 1500)
    size = (ratio[y].sum()) ** 2 / (ratio[y] ** 2).sum()
    assert float(by_prior.size) == pytest.approx(size)
    assert by_prior.counts.tolist() == np.bincount(y).tolist()
    as_it_is = KINDS[kind](3).fit(z, y, prior=np.bincount(y) / 1500)
    np.testing.assert_allclose(as_it_is(z), KINDS[kind](3).fit(z, y)(z), rtol=1e-9)
    without = TemperatureScaling(3).fit(z, y, prior=[0.5, 0.5, 0.0])  # a class that is not used there
    only = TemperatureScaling(3).fit(z[y < 2], y[y < 2], prior=[0.5, 0.5, 0.0])
    assert without.temperature == pytest.approx(only.temperature)
    assert without.counts[2] == 0


@cases("make", ALL)
def test_the_state_is_in_buffers_and_the_arguments_are_json(make):
    z, y = rows(1200)
    fitted = make(num_classes=3)
    assert not fitted.fitted
    with pytest.raises(
        ValueError, match=r"must be fitted before use; call fit\(log_probs, targets\) on validation data"
    ):
        fitted(z)
    assert fitted.fit(z, y) is fitted
    again = make(**json.loads(json.dumps(fitted.arguments)))
    again.load_state_dict(fitted.half().state_dict())
    assert again.fitted
    assert torch.equal(again(torch.tensor(z)), fitted(torch.tensor(z)))
    assert again.words == fitted.words
    assert all(t.dtype in (torch.float64, torch.int64) for t in fitted.state_dict().values())
    assert not make(3).load_state_dict(make(3).state_dict()).missing_keys
    assert not make(3).fitted


@cases("make", ALL)
def test_tensors_and_arrays_logits_and_log_probabilities(make):
    z, y = rows(1200)
    fitted = make(3).fit(z, y)
    logs = torch.tensor(z).log_softmax(1)
    for result in (fitted(z), fitted(logs).numpy(), make(3).fit(logs + 7, torch.tensor(y))(z)):
        np.testing.assert_allclose(result, fitted(logs.numpy()), rtol=1e-9)
    np.testing.assert_allclose(np.exp(fitted(z)).sum(1), 1)
    assert fitted(logs.half()).dtype == torch.float32
    assert fitted(logs[:0]).shape == (0, 3)


def test_calibration_helps_on_other_rows_and_auto_takes_what_helps():
    sharp, y = rows(600)
    assert fit_calibration("auto", sharp, y, num_classes=3).calibration.name == "temperature"
    off = np.array([0.0, 0.0, 2.5])
    z, y = rows(600, 1.0, offsets=off)
    found = fit_calibration("auto", z, y, num_classes=3)
    assert found.calibration.name == "vector"
    assert set(found.log_loss) == {"temperature", "vector"}
    assert found.log_loss["vector"] < found.log_loss["temperature"] - 0.05
    assert "chosen by cross-validated log loss" in found.words
    other, truth = rows(4000, 1.0, seed=9, offsets=off)
    best = log_loss(torch.tensor(other - off).log_softmax(1), truth)
    assert (
        log_loss(found.calibration(other), truth)
        < best + 0.02
        < log_loss(TemperatureScaling(3).fit(z, y)(other), truth)
    )
    # a curve that no factor and offset can mend: probabilities cubed where they are high
    z, y = rows(4000, 1.0, shares=(0.5, 0.5))
    bent = np.log(np.clip(1 / (1 + np.exp(-np.diff(z)[:, 0])), 1e-9, 1)).repeat(2).reshape(-1, 2)
    bent[:, 0] = np.log1p(-(np.exp(bent[:, 1]) ** 6))
    bent[:, 1] *= 6
    assert fit_calibration("auto", bent, y, num_classes=2).calibration.name in ("isotonic", "vector")
    few = fit_calibration("auto", sharp[:40], rows(600)[1][:40], num_classes=3)
    assert few.log_loss == {}
    assert few.words.endswith("chosen because there are too few rows for another")


MEANS = np.array([[-1.0, 0.0], [1.0, 0.5], [0.5, -1.5]])
TRUE = np.array([0.9, 0.08, 0.02])


def drawn(n, prior, seed):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=prior)
    return rng.normal(size=(n, 2)) + MEANS[y], y


def posterior(x, prior):
    logs = np.log(prior) - ((x[:, None] - MEANS) ** 2).sum(2) / 2
    p = np.exp(logs - logs.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


@cases("rate", [0.2, 1, 3, 10, 45, 1000])
def test_corrected_and_calibrated_probabilities_are_the_true_posterior_at_any_resampling_rate(rate):
    """Rare classes are drawn `rate` times as often; the model learns that world, and is twice too sharp."""
    old = TRUE * [1, rate, rate]
    old /= old.sum()
    x, y = drawn(3000, old, 1)
    design = torch.tensor(np.column_stack([x, np.ones(len(x))]))
    weights = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(design @ weights, torch.tensor(y))
        loss.backward()
        return loss

    optimiser.step(closure)

    def scores(at):
        return 2 * np.column_stack([at, np.ones(len(at))]) @ weights.detach().numpy()  # twice too confident

    test, _ = drawn(4000, TRUE, 2)
    truth = posterior(test, TRUE)
    fit_x, fit_y = drawn(6000, old, 3)
    calibration = VectorScaling(3).fit(scores(fit_x), fit_y)
    found = correct_prior(np.exp(calibration(scores(test))), old, TRUE)
    assert np.abs(found - truth).mean() < 0.012
    temperature = TemperatureScaling(3).fit(scores(fit_x), fit_y)
    assert np.abs(correct_prior(np.exp(temperature(scores(test))), old, TRUE) - truth).mean() < 0.012
    # or fitted under the prior of use, with weights: of rate 1000 these leave too few effective rows
    shifted = posthoc.shift_prior(scores(fit_x), old, TRUE)
    weighted = VectorScaling(3).fit(shifted, fit_y, prior=TRUE)
    there = np.exp(weighted(posthoc.shift_prior(scores(test), old, TRUE)))
    assert rate == 1000 or np.abs(there - truth).mean() < 0.02
    raw = np.exp(torch.tensor(scores(test)).log_softmax(1).numpy())
    if rate != 1:
        assert np.abs(np.exp(calibration(scores(test))) - truth).mean() > 0.02  # without the correction
    assert np.abs(correct_prior(raw, old, TRUE) - truth).mean() > 0.014  # without the calibration


Z = -torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2])


@cases(
    ("make", "line"),
    [
        (lambda: TemperatureScaling(1), "num_classes must be an integer >= 2, got 1"),
        (lambda: TemperatureScaling(4).fit(Z, Y), r"log_probs must be floating-point of shape \(N, 4, ...\)"),
        (
            lambda: VectorScaling(3).fit(Z, Y[:5]),
            "targets must be one class index per row of log_probs .* validation part",
        ),
        (lambda: VectorScaling(3).fit(Z[:0], Y[:0]), "targets must be one class index per row of log_probs"),
        (lambda: VectorScaling(3).fit(Z, Y + 1), r"targets must be in \[0, 3\), got 3; drop what has no label"),
        (lambda: VectorScaling(3).fit(Z.softmax(1), Y), "log_probs must be logarithms, got rows that are >= 0"),
        (lambda: VectorScaling(3).fit(Z / 0, Y), "log_probs must be finite, got NaN or infinity in row 0"),
        (lambda: VectorScaling(3).fit(Z, Y)(Z * torch.nan), "log_probs must be finite"),
        (lambda: VectorScaling(3).fit(Z, Y)(Z[None]), r"log_probs must be floating-point of shape \(N, 3, ...\)"),
        (lambda: VectorScaling(3).fit(Z, Y)(Z[:, :, None]), r"log_probs must be \(N, 3\), got shape"),
        (
            lambda: VectorScaling(3).fit(Z, Y, sample_weight=-torch.ones(6)),
            "sample_weight must be >= 0 .* -1.0 at row 0",
        ),
        (lambda: VectorScaling(3).fit(Z, Y, sample_weight=torch.zeros(6)), "sample_weight must be > 0 for some row"),
        (lambda: VectorScaling(3).fit(Z, Y, sample_weight=torch.ones(5)), r"sample_weight must have shape \(6,\)"),
        (lambda: VectorScaling(3).fit(Z, Y, prior=[0.5, 0.5]), "prior must have 3 shares, one for every class, got 2"),
        (lambda: VectorScaling(3).fit(Z, Y, prior=[5, 3, 2]), "prior must sum to 1, got 10"),
        (
            lambda: VectorScaling(3).fit(Z[:1], Y[:1], prior=[0, 0.5, 0.5]),
            "prior must give a share to a class that has",
        ),
        (
            lambda: fit_calibration("platt", Z, Y, num_classes=3),
            r"calibrate \(--calibrate\) must be one of temperature, vector, isotonic, auto, got 'platt'; auto chooses",
        ),
    ],
)
def test_bad_input_is_refused(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)


def test_nothing_becomes_zero_and_the_loss_is_finite_wherever_the_truth_is():
    z, y = rows(1500, 30.0)
    for make in ALL:
        logs = make(3).fit(z, y)(np.array([[0.0, -5000.0, -900.0], [-5000.0, 0.0, 0.0]]))
        assert np.isfinite(logs).all()
        assert logs.min() > math.log(1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_calibrated_by_the_rows_of_the_other_folds(kind):
    chance = np.random.default_rng(3)
    y = np.repeat([0, 1], [140, 60])
    z = chance.normal(size=(200, 2)) + 1.2 * np.eye(2)[y]
    logs = z - np.logaddexp.reduce(z, 1, keepdims=True)
    weight = chance.integers(1, 4, 200).astype(float)
    found = cross_calibrated(kind, logs, y, num_classes=2, sample_weight=weight)
    order = sorted(range(200), key=lambda i: (*logs[i], y[i]))
    fold, dealt = {}, [0, 0]
    for i in order:  # those of a class in turn, each class from another fold on
        fold[i] = (dealt[y[i]] + int(y[i])) % 5
        dealt[y[i]] += 1
    for k in range(5):
        own = np.array([fold[i] == k for i in range(200)])
        one = KINDS[kind](2).fit(logs[~own], y[~own], sample_weight=weight[~own])
        assert np.allclose(found[own], one(logs[own]), atol=1e-9)
    copies = np.repeat(np.arange(200), weight.astype(int))
    again = cross_calibrated(kind, logs[copies], y[copies], num_classes=2)
    assert np.allclose(again, found[copies], atol=1e-7)
    whole = KINDS[kind](2).fit(logs, y, sample_weight=weight)(logs)
    loss = [-np.average(np.asarray(p)[np.arange(200), y], weights=weight) for p in (whole, found)]
    assert loss[0] < loss[1]  # rows that were fitted on look better
    weight[7] = 0
    with pytest.raises(ValueError, match="sample_weight must be > 0 where rows are held out, got 0"):
        cross_calibrated(kind, logs, y, num_classes=2, sample_weight=weight)
