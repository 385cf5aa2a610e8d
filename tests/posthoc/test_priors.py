"""Prior correction is Bayes' rule, and expectation maximisation finds a prior that nobody labelled."""

from itertools import pairwise
from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from tests.cases import cases

from longtail.posthoc import adjust_logits, correct_prior, estimate_prior, shift_prior

OLD, NEW = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]
MEANS = [-1.5, 0.0, 2.0]


def logits_of(shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(7, 3), (2, 3, 4), (2, 3, 2, 5)])
def test_correct_prior_is_its_formula_in_both_domains(shape):
    logits = logits_of(shape)
    probs = logits.softmax(1)
    corrected = correct_prior(probs, OLD, NEW)
    rows, results = (x.movedim(1, -1).reshape(-1, 3).tolist() for x in (probs, corrected))
    for p, ours in zip(rows, results, strict=True):
        weighed = [p[k] * NEW[k] / OLD[k] for k in range(3)]
        assert ours == pytest.approx([w / sum(weighed) for w in weighed], rel=1e-12)
    shifted = shift_prior(logits, OLD, NEW)
    for k in range(3):
        torch.testing.assert_close(shifted[:, k], logits[:, k] + log(NEW[k] / OLD[k]), rtol=0, atol=1e-14)
    torch.testing.assert_close(shifted.softmax(1), corrected)


def gaussian_posterior(xs, prior):
    """Plain Bayes: x ~ N(mean of the class, 1)."""
    rows = []
    for x in xs:
        joint = [p * exp(-((x - m) ** 2) / 2) for p, m in zip(prior, MEANS, strict=True)]
        rows.append([j / sum(joint) for j in joint])
    return rows


@pytest.mark.parametrize("new", [NEW, [1 / 3] * 3, [0.98, 0.01, 0.01]])
def test_the_corrected_posterior_is_the_posterior_under_the_new_prior(new):
    xs = [k / 4 for k in range(-16, 20)]
    corrected = correct_prior(np.array(gaussian_posterior(xs, OLD)), OLD, new)
    np.testing.assert_allclose(corrected, gaussian_posterior(xs, new), rtol=1e-9)


def test_there_and_back_again_is_where_one_was_and_uniform_is_logit_adjustment():
    logits = logits_of((20, 3))
    probs = logits.softmax(1)
    torch.testing.assert_close(correct_prior(correct_prior(probs, OLD, NEW), NEW, OLD), probs)
    torch.testing.assert_close(correct_prior(probs, OLD, OLD), probs)
    uniform = shift_prior(logits, OLD, [1 / 3] * 3)
    torch.testing.assert_close(uniform.softmax(1), adjust_logits(logits, [7, 2, 1]).softmax(1))


def test_arrays_give_arrays_and_a_class_that_is_gone_has_probability_zero():
    probs = logits_of((5, 3)).softmax(1)
    array = correct_prior(probs.numpy(), np.array(OLD), torch.tensor([0.5, 0.5, 0.0]))
    assert isinstance(array, np.ndarray)
    assert array[:, 2].tolist() == [0.0] * 5
    assert array.sum(1) == pytest.approx(np.ones(5))
    assert isinstance(shift_prior(probs.log().numpy(), OLD, NEW), np.ndarray)
    assert (shift_prior(probs.log(), OLD, [0.5, 0.5, 0.0])[:, 2] == -torch.inf).all()
    assert correct_prior(probs.half(), OLD, NEW).dtype == torch.float32


def draw(prior, n, seed=0):
    """Scores of the calibrated model under OLD, on data whose classes have another prior."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=prior)
    x = rng.normal(size=n) + np.array(MEANS)[y]
    return torch.tensor(-((x[:, None] - np.array(MEANS)) ** 2) / 2 + np.log(OLD)), y


@pytest.mark.parametrize("true", [NEW, OLD, [0.02, 0.03, 0.95], [1 / 3] * 3])
def test_a_shifted_prior_is_recovered_from_unlabelled_scores(true):
    scores, y = draw(true, 40_000)
    prior, converged, iterations, _ = estimate_prior(scores, OLD)
    assert converged
    assert iterations > 1
    assert prior.tolist() == pytest.approx(true, abs=0.02)
    before = float((scores.argmax(1).numpy() == y).mean())
    after = float((shift_prior(scores, OLD, prior).argmax(1).numpy() == y).mean())
    assert after > before - 1e-3
    if true == [0.02, 0.03, 0.95]:
        assert after > before + 0.05


def test_the_estimate_is_a_fixed_point_and_the_likelihood_never_falls():
    scores, _ = draw(NEW, 500)
    estimate = estimate_prior(scores, OLD, tolerance=1e-12)
    posterior = correct_prior(scores.softmax(1), OLD, estimate.prior)
    torch.testing.assert_close(posterior.mean(0), estimate.prior, rtol=0, atol=1e-10)
    values = estimate.log_likelihood
    assert len(values) == estimate.iterations + 1
    assert all(b >= a - 1e-12 for a, b in pairwise(values))
    assert values[-1] > values[0] + 0.1
    # it is the largest likelihood: no prior of a grid does better
    p = scores.softmax(1).tolist()

    def likelihood(prior):
        return sum(log(sum(row[k] * prior[k] / OLD[k] for k in range(3))) for row in p) / len(p)

    assert values[-1] == pytest.approx(likelihood(estimate.prior.tolist()), abs=1e-12)
    grid = [[a / 20, b / 20, (20 - a - b) / 20] for a in range(21) for b in range(21 - a)]
    assert max(map(likelihood, grid)) <= values[-1]


def test_every_step_is_the_loop_of_the_paper():
    scores, _ = draw(NEW, 60)
    p, prior = scores.softmax(1).tolist(), list(OLD)
    for steps in range(1, 6):
        rows = [[row[k] * prior[k] / OLD[k] for k in range(3)] for row in p]
        prior = [sum(row[k] / sum(row) for row in rows) / len(rows) for k in range(3)]
        with pytest.warns(RuntimeWarning, match=f"stopped after {steps} iterations above its tolerance 1e-15; raise"):
            estimate = estimate_prior(scores, OLD, tolerance=1e-15, max_iterations=steps)
        assert estimate.prior.tolist() == pytest.approx(prior, rel=1e-12)
        assert (estimate.converged, estimate.iterations) == (False, steps)


def test_probabilities_logits_arrays_and_images_give_the_same_estimate():
    scores, _ = draw(NEW, 400)
    expected = estimate_prior(scores, OLD).prior
    assert estimate_prior(scores.softmax(1), OLD, probabilities=True).prior.tolist() == pytest.approx(expected.tolist())
    assert estimate_prior(scores + 50, OLD).prior.tolist() == pytest.approx(expected.tolist())
    images = scores.reshape(4, 10, 10, 3).movedim(-1, 1)
    assert estimate_prior(images, OLD).prior.tolist() == pytest.approx(expected.tolist())
    array = estimate_prior(scores.numpy(), np.array(OLD)).prior
    assert isinstance(array, np.ndarray)
    assert array.tolist() == pytest.approx(expected.tolist())


def test_extreme_scores_neither_overflow_nor_lose_a_class():
    scores = torch.tensor([[1e4, 0.0, -1e4], [0.0, 1e4, -1e4], [-1e4, -1e4, 1e4], [0.0, -torch.inf, 1e4]])
    estimate = estimate_prior(scores, [0.998, 0.001, 0.001])
    assert estimate.converged
    assert estimate.prior.tolist() == pytest.approx([0.25, 0.25, 0.5])


def test_a_model_without_information_leaves_the_prior_as_it_was():
    estimate = estimate_prior(torch.log(torch.tensor(OLD, dtype=torch.float64)).expand(9, 3) + 5, OLD)
    assert estimate.prior.tolist() == pytest.approx(OLD)
    assert (estimate.converged, estimate.iterations) == (True, 1)


PROBS = torch.full((2, 3), 1 / 3)


@cases(
    ("make", "line"),
    [
        (
            lambda: correct_prior(PROBS, [0.7, 0.2, 0.2], NEW),
            r"old must sum to 1, got 1.1; use longtail.priors\(counts\)",
        ),
        (lambda: correct_prior(PROBS, OLD, [6, 3, 1]), "new must sum to 1, got 10; use longtail.priors"),
        (lambda: shift_prior(PROBS, OLD, [0.5, 0.4, 0.0]), "new must sum to 1, got 0.9"),
        (lambda: correct_prior(PROBS, [1.0, 0.0, 0.0], NEW), "old must be > 0 for every class, got 0.0 for class 1"),
        (lambda: correct_prior(PROBS, OLD, [1.5, -0.5, 0.0]), "new must be >= 0 for every class, got -0.5 for class 1"),
        (lambda: correct_prior(PROBS, OLD, [1.0, float("nan"), 0.0]), "new must be >= 0 .* got nan for class 1"),
        (lambda: correct_prior(PROBS, OLD, [0.5, 0.5]), "new must have one entry per class of old, 3, got 2; give 0"),
        (lambda: correct_prior(PROBS, [OLD], NEW), r"old must be a prior of shape \(C,\), got shape \(1, 3\)"),
        (lambda: correct_prior(PROBS, [0.5, 0.5], [0.5, 0.5]), r"probs must be floating-point of shape \(N, 2, ...\)"),
        (lambda: correct_prior(2 * PROBS, OLD, NEW), "rows that sum to 1, got a row with sum 2 and a minimum of 0.66"),
        (lambda: correct_prior(PROBS * torch.nan, OLD, NEW), "rows that sum to 1, got a row with sum nan"),
        (lambda: correct_prior(torch.tensor([[1.5, -0.5, 0]]), OLD, NEW), "sum 1 and a minimum of -0.5; take the soft"),
        (lambda: correct_prior(torch.eye(3), OLD, [0.5, 0.5, 0.0]), "probs must leave a class that new allows"),
        (lambda: estimate_prior(PROBS, OLD), "scores must be logits, got rows that are >= 0 and sum to 1; pass prob"),
        (lambda: estimate_prior(PROBS.log() * 2, OLD, probabilities=True), "rows that sum to 1"),
        (lambda: estimate_prior(PROBS[:0], OLD), "scores must hold at least one example, got none"),
        (lambda: estimate_prior(PROBS / 0, OLD), "scores must be finite"),
        (lambda: estimate_prior(PROBS, [7, 2, 1]), "old must sum to 1, got 10"),
        (lambda: estimate_prior(-PROBS, OLD, tolerance=0.0), "tolerance must be > 0, got 0.0"),
        (lambda: estimate_prior(-PROBS, OLD, max_iterations=0), "max_iterations must be an integer >= 1, got 0"),
        (lambda: estimate_prior(PROBS.long(), OLD), "scores must be floating-point"),
    ],
)
def test_bad_input_is_refused(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)


def test_the_standard_error_of_the_estimate_is_that_of_a_binomial_where_classes_are_apart():
    rng = np.random.default_rng(0)
    estimates = []
    for _ in range(200):
        y = rng.random(100) < 0.3
        scores = np.where(y, 20.0, -20.0)
        estimates.append(estimate_prior(np.stack([-scores, scores], 1), [0.5, 0.5]).prior[1])
        assert estimates[-1] == pytest.approx(y.mean(), abs=1e-9)
    assert np.std(estimates) == pytest.approx(sqrt(0.3 * 0.7 / 100), rel=0.2)
