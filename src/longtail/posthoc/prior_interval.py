"""How certain an estimated class prior is: a bootstrap over the unlabelled rows and over the validation rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longtail.facts.intervals import wilson
from longtail.facts.knobs import Range
from longtail.posthoc.calibration import KINDS, check_kind
from longtail.posthoc.calibration.rows import Rows, as_logarithms, checked_rows, checked_weight, weighed
from longtail.posthoc.prior_likelihood import likeliest_priors
from longtail.posthoc.priors import checked_prior

AT_ONCE = 2**22
"""Numbers of probabilities (resamples x rows x classes) that are held at a time."""
EXACT, ENOUGH = 1e-10, 1e-6
"""How much an update may still move a share: of the estimate, and of a resample."""


class PriorInterval(NamedTuple):
    """The result of `estimate_prior_interval`: unpack as prior, low, high, level, rows, validation_rows, converged."""

    prior: Any
    """(C,) float64, summing to 1; a tensor for tensors, an array for arrays."""
    low: Any
    """(C,) the lower end of every class's interval."""
    high: Any
    """(C,)"""
    level: float
    rows: int
    """Rows that the prior was estimated from; their bootstrap is always in the interval."""
    validation_rows: int
    """Labelled rows, 0 where there were none: then the interval takes the calibration as exact."""
    converged: bool
    """Whether the estimate is at the maximum, and not at the cap on iterations."""


@torch.no_grad()
def estimate_prior_interval(
    scores: Any,
    old: Any,
    *,
    sample_weight: Any = None,
    validation: tuple[Any, ...] | None = None,
    calibrate: str | None = None,
    level: float = 0.95,
    resamples: int = 200,
    pseudo_rows: float = 0.0,
    seed: int = 0,
) -> PriorInterval:
    """Estimate the class prior of unlabelled data as `estimate_prior` does, with an interval for every class.

    q = argmax of mean_i log sum_k p_k(x_i) q_k / m_k,   prior_k = old_k q_k / m_k, normalised

    m is `old` without validation rows, else the mean of p over these, each class in the share that `old` gives it: then
    data like those of the training get `old` back, however well p is calibrated. The interval is that of percentiles
    over resamples of the unlabelled rows and, class by class, of the validation rows, with m and the calibration fitted
    anew; and it is never narrower than Wilson's interval for as many rows whose classes are known, so that a class that
    no row seems to be of keeps an upper end above 0.

    Args:
        scores: (N, C), tensor or array: logits or log-probabilities under `old`; before the calibration where
            `calibrate` names it, else calibrated.
        old: (C,) prior of the training, > 0, summing to 1.
        sample_weight: (N,) or None; a row of weight k counts as k rows.
        validation: (scores, classes) or (scores, classes, sample_weight) of labelled rows like those of the training,
            which the network has not seen.
        calibrate: "temperature", "vector" or "isotonic": fitted on the validation rows under `old`, anew in every
            resample; needs `validation`.
        level: of the interval, in (0, 1).
        resamples: >= 20.
        pseudo_rows: rows of `old` that are added, in thought, to the unlabelled ones: the largest posterior density
            under a Dirichlet prior with 1 + pseudo_rows old_k, which keeps rare classes from 0 where rows are few. 0 is
            the largest likelihood.
        seed: of the resamples.

    Raises:
        ValueError: scores that are not finite, a prior that does not sum to 1, labels or weights that do not fit,
            `calibrate` without validation rows, a level or numbers out of range.

    Reference: Saerens, Latinne and Decaestecker 2002, eq. 2.9, for the estimate; the mean prediction for m is that of
    Alexandari, Kundaje and Shrikumar 2020, "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label
    Shift Adaptation"; the interval is ours.
    """
    Range(0, 1, open_low=True, open_high=True).check("level", level)
    Range(20, integer=True).check("resamples", resamples)
    Range(0, open_high=True).check("pseudo_rows", pseudo_rows)
    start = checked_prior(old, "old", positive=True).cpu()
    z = as_logarithms(scores, len(start), "scores")
    if not len(z):
        raise ValueError("scores must hold at least one row, got none; there is nothing to estimate from")
    weight = checked_weight(sample_weight, len(z))
    if calibrate is not None:
        check_kind(calibrate, auto=False)
        if validation is None:
            raise ValueError(
                f"calibrate={calibrate!r} needs validation rows, got none; pass scores that are calibrated"
            )
    known = None if validation is None else _labelled(validation, start)

    def likeliest(labelled: list[Rows | None], weights: Tensor, at: Tensor, tolerance: float) -> tuple[Tensor, bool]:
        pairs = [_in_use(z, one, start, calibrate) for one in labelled]
        shared = calibrate is None
        p = pairs[0][0] if shared else torch.stack([one for one, _ in pairs])
        m = torch.stack([reference for _, reference in pairs])
        q, done = likeliest_priors(p, m, weights, at, pseudo_rows * start, tolerance=tolerance)
        priors = start * q / m
        return priors / priors.sum(1, keepdim=True), done

    best, converged = likeliest([known], weight[None], start[None], EXACT)
    generator = np.random.default_rng(seed)
    drawn = [_resampled(weight, known, generator) for _ in range(resamples)]
    step = max(1, AT_ONCE // z.numel())
    begin = 0.9 * best + 0.1 * start  # a share of 0 could not grow again
    found = torch.cat([
        likeliest([one for _, one in part], torch.stack([w for w, _ in part]), begin, ENOUGH)[0]
        for part in (drawn[i : i + step] for i in range(0, resamples, step))
    ])  # fmt: skip
    ends = torch.quantile(found, torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=found.dtype), dim=0)
    total = float(weight.sum())
    least = [torch.from_numpy(end) for end in wilson((best[0] * total).numpy().clip(0, total), total, level)]
    low, high = torch.minimum(ends[0], least[0]), torch.maximum(ends[1], least[1])
    kind = (lambda x: x) if isinstance(scores, Tensor) else Tensor.numpy
    labelled = 0 if known is None else round(float(known.counts.sum()))
    return PriorInterval(kind(best[0]), kind(low), kind(high), level, round(total), labelled, converged)


def _labelled(validation: tuple[Any, ...], old: Tensor) -> Rows:
    """Return the validation rows, checked, each class in the share that `old` gives it."""
    if len(validation) not in (2, 3):
        raise ValueError(
            f"validation must be (scores, classes) or (scores, classes, sample_weight), got {len(validation)} entries; "
            "leave it out where there are no labelled rows"
        )
    weight = validation[2] if len(validation) == 3 else None
    return checked_rows(validation[0], validation[1], len(old), weight, old)


def _in_use(z: Tensor, known: Rows | None, old: Tensor, calibrate: str | None) -> tuple[Tensor, Tensor]:
    """Return the probabilities (N, C) and their mean m (C,) under the prior of the training."""
    if known is None:
        return z.exp(), old
    labelled = known.log_probs
    if calibrate is not None:
        fitted = KINDS[calibrate](len(old)).fit_rows(known)
        z, labelled = fitted(z), fitted(labelled)
    seen = known.counts > 0
    # a class without labelled rows is taken to be predicted rightly
    m = old[seen].sum() * (known.weight[:, None] * labelled.exp()).sum(0) + torch.where(seen, 0.0, old)
    return z.exp(), m


def _resampled(
    weight: Tensor, known: Rows | None, generator: np.random.Generator
) -> tuple[Tensor, Rows | None]:  # fmt: skip
    """Return how often each row is drawn, and labelled rows drawn class by class, as many as there are."""
    drawn = _draw(weight, generator)
    if known is None:
        return drawn, None
    copies = torch.zeros_like(known.copies)
    for c in torch.nonzero(known.counts).flatten().tolist():
        own = known.targets == c
        copies[own] = _draw(known.copies[own], generator)
    kept = copies > 0
    ratio = known.weight / known.copies
    return drawn, weighed(
        known.log_probs[kept], known.targets[kept], copies[kept], ratio[kept], len(known.counts)
    )  # fmt: skip


def _draw(weight: Tensor, generator: np.random.Generator) -> Tensor:
    total = float(weight.sum())
    return torch.from_numpy(generator.multinomial(max(1, round(total)), (weight / total).numpy()).astype(np.float64))
