"""From one class prior to another: correct posteriors for a known prior, or estimate it without labels."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longtail.facts.arrays import by_class
from longtail.facts.knobs import Range
from longtail.posthoc.corrections import (
    ROW_SUM_TOLERANCE,
    T,
    apply_to,
    as_tensor,
    checked_probabilities,
    checked_scores,
    in_float64,
    subtract_offsets,
    weighed,
)


def correct_prior(probs: T, old: Any, new: Any) -> T:
    """Posteriors under one class prior as posteriors under another.

    p'_k = p_k new_k / old_k / sum_j p_j new_j / old_j

    Exact where the priors differ and the classes themselves, p(x | y), do not. Of a model that was trained
    with re-balancing, `old` is the prior that the loss or the sampler implies: uniform for logit adjustment
    with tau = 1 and for class-balanced sampling.

    Args:
        probs: (N, C, d1..dk), tensor or array, rows summing to 1.
        old, new: priors (C,) that sum to 1; `old` > 0, `new` >= 0.

    Returns:
        Like `probs`, rows summing to 1.

    Raises:
        ValueError: a prior that does not sum to 1, rows that do not, a row with no mass on the classes of `new`.

    Reference: Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a Priori
    Probabilities", Neural Computation 14, eq. 2.4.
    """
    ratio = _prior_ratio(old, new)

    def corrected(p: Tensor) -> Tensor:
        _, products, mass = weighed(p, ratio)
        if bool((mass == 0).any()):
            raise ValueError(
                "probs must leave a class that new allows, got a row that sums to 0 over them; "
                "use shift_prior on logits, which do not round to 0"
            )
        return products / mass

    return apply_to(probs, corrected)


def shift_prior(scores: T, old: Any, new: Any) -> T:
    """Correct scores for another prior: logits or log-probabilities.

    z'_k = z_k + log new_k - log old_k

    Not re-normalised; softmax(z') is `correct_prior(softmax(z), old, new)`, without its rounding to 0. A
    uniform `new` is logit adjustment with tau = 1, up to a constant.

    Args:
        scores: (N, C, d1..dk), tensor or array, whose softmax is the posterior under `old`.
        old, new: see `correct_prior`; a class whose `new` is 0 gets the score -inf.

    Reference: as `correct_prior`.
    """
    offsets = -_prior_ratio(old, new).log()
    return apply_to(scores, lambda z: subtract_offsets(z, offsets))


class PriorEstimate(NamedTuple):
    """The result of `estimate_prior`: unpack as prior, converged, iterations, log_likelihood."""

    prior: Any
    """(C,) float64, summing to 1; a tensor for tensors, an array for arrays."""
    converged: bool
    """Whether the last iteration moved no class by more than the tolerance."""
    iterations: int
    """Updates of the prior that were made."""
    log_likelihood: tuple[float, ...]
    """Mean of log sum_k p_k(x) prior_k / old_k before every update and after the last; it never falls."""


@torch.no_grad()
def estimate_prior(
    scores: Any,
    old: Any,
    *,
    probabilities: bool = False,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
) -> PriorEstimate:
    """Estimate the class prior of unlabelled data by expectation maximisation, from a model trained under another one.

    q_k(x) = p_k(x) prior_k / old_k / sum_j p_j(x) prior_j / old_j,   prior_k <- mean over x of q_k(x)

    starting at `old`: the maximum-likelihood prior, given that p is calibrated under `old` and that the classes
    themselves have not changed. It is as good as the calibration is; check `ece` first. Give the result to
    `correct_prior` or `shift_prior`.

    Args:
        scores: (N, C, d1..dk), tensor or array: logits or log-probabilities of unlabelled examples, N >= 1.
        old: prior (C,) of the training, > 0, summing to 1; `longtail.priors(class_counts)`.
        probabilities: the scores are probabilities (rows sum to 1) rather than logits.
        tolerance: stop when no class moves by more.
        max_iterations: >= 1; without convergence by then a warning is issued, and `converged` is False.

    Memory is O(N C) in float64, an iteration two matrix-vector products.

    Raises:
        ValueError: scores that are not finite, probabilities passed as scores, a prior that does not sum to 1.

    Reference: Saerens, Latinne and Decaestecker 2002, Neural Computation 14, eq. 2.9 (section 2.3).
    """
    Range(0, open_low=True, open_high=True).check("tolerance", tolerance)
    Range(1, integer=True).check("max_iterations", max_iterations)
    z = as_tensor(scores)
    start = checked_prior(old, "old", positive=True).to(z.device)
    ratio = (_log_posterior(z, start, probabilities) - start.log()).exp()  # in [0, 1 / old]: no overflow
    prior, history, converged = start, [], False
    while True:
        evidence = ratio @ prior
        history.append(float(evidence.log().mean()))
        if converged or len(history) > max_iterations:
            break
        moved = prior * (ratio.T @ (1 / evidence)) / len(ratio)
        moved = moved / moved.sum()
        converged = float((moved - prior).abs().max()) <= tolerance
        prior = moved
    if not converged:
        warnings.warn(
            f"estimate_prior stopped after {max_iterations} iterations above its tolerance {tolerance:g}; raise either",
            RuntimeWarning,
            stacklevel=2,
        )
    result: Any = prior if isinstance(scores, Tensor) else prior.numpy()
    return PriorEstimate(result, converged, len(history) - 1, tuple(history))


def checked_prior(prior: Any, name: str, *, positive: bool) -> Tensor:
    """Return a prior (C,) in float64, checked: it sums to 1, with every class > 0 or >= 0."""
    p = in_float64(prior if isinstance(prior, Tensor) else by_class(prior, name))
    if p.ndim != 1 or not len(p):
        raise ValueError(
            f"{name} must be a prior of shape (C,), got shape {tuple(p.shape)}; use longtail.priors(counts)"
        )
    bad = ~((p > 0) if positive else (p >= 0))
    if bool(bad.any()):
        k = int(torch.nonzero(bad)[0])
        rule, fix = ("> 0", "leave that class out") if positive else (">= 0", "give 0 to a class that does not occur")
        raise ValueError(f"{name} must be {rule} for every class, got {float(p[k])} for class {k}; {fix}")
    if not abs(float(p.sum()) - 1) <= 1e-6:
        raise ValueError(f"{name} must sum to 1, got {float(p.sum()):g}; use longtail.priors(counts)")
    return p


def _prior_ratio(old: Any, new: Any) -> Tensor:
    before, after = checked_prior(old, "old", positive=True), checked_prior(new, "new", positive=False)
    if len(before) != len(after):
        raise ValueError(
            f"new must have one entry per class of old, {len(before)}, got {len(after)}; give 0 to an absent class"
        )
    return after / before.to(after.device)


def _log_posterior(z: Tensor, prior: Tensor, probabilities: bool) -> Tensor:
    """Return log p (N', C) in float64, one row per position."""
    wide = (checked_probabilities(z, len(prior)) if probabilities else checked_scores(z, len(prior), "scores")).double()
    rows = wide.movedim(1, -1).reshape(-1, len(prior))
    if not len(rows):
        raise ValueError("scores must hold at least one example, got none; there is nothing to estimate from")
    if probabilities:
        return rows.log()
    if not bool(rows.amax(1).isfinite().all()):  # a single class may be -inf
        raise ValueError("scores must be finite, got NaN, infinity or a row of -inf; look for a diverged training")
    if bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() <= ROW_SUM_TOLERANCE).all()):
        raise ValueError(
            "scores must be logits, got rows that are >= 0 and sum to 1; pass probabilities=True, or their logarithm"
        )
    return rows.log_softmax(1)
