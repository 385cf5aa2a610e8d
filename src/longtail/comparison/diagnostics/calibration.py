"""The probabilities of a row on test rows: as the method's scores say, corrected for the prior, and calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from longtail.comparison.diagnostics.reliability import Judged, reliability
from longtail.comparison.diagnostics.row_runs import RowRuns
from longtail.metrics.rates import Floats
from longtail.posthoc.calibration import AUTO, Calibration, fit_calibration
from longtail.runs import priors
from longtail.runs.scored import ScoredRows, ScoredRun

VALIDATION, FOLDS = "validation", "folds"
APART = 0.1
"""Total variation of the class shares of test part and training from which probabilities are judged for both."""
TINY = 1e-300
COMPARED = 200_000
"""Numbers of log-probabilities up to which the calibration is chosen; of more it is the temperature, for time."""


def calibration(row: RowRuns) -> dict[str, Any]:
    """Return the entry `calibration` of a row, from all of its seeds; {} where a class has no training rows.

    `before` judges softmax(scores), `corrected` the probabilities under the training prior that `longtail predict`
    writes (the same where the scores refer to it), `after` these once they are calibrated: `fitted_on` the "validation"
    rows, or for each fold on the rows of the other "folds"; None where a run has neither. Each is `reliability`.
    `method` names the calibrations that were chosen, `rows` counts those that they were fitted on, the fewest of a run
    or fold; `class` is the rarest class that has test rows and `tested` its test rows. `shifted` is None, but where the
    class shares of the test part are far from those of training, so that no probability under the training prior can
    be right on it: then it has their `distance`, half the sum of absolute differences, and `ece`, `log_loss` and
    `brier` of the probabilities, calibrated where `after` is, under the shares of the test part.
    """
    if not all(np.isfinite(run.test.log_probs).all() for run in row.runs):
        return {}
    rare = _rarest(row)
    corrected = [_judged(run, np.exp(run.test.log_probs)) for run in row.runs]
    before = [_judged(run, _before(run)) for run in row.runs]
    entry: dict[str, Any] = {
        "class": row.classes[rare],
        "tested": float(np.mean([one.weight[one.targets == rare].sum() for one in corrected])),
        "before": reliability(before, rare),
        "corrected": reliability(corrected, rare),
        "after": None, "method": None, "fitted_on": None, "rows": None,
    }  # fmt: skip
    best = corrected
    found = [_after(run) for run in row.runs]
    known = [one for one in found if one is not None]
    if len(known) == len(found):
        after = [_judged(run, probs) for run, (probs, _, _) in zip(row.runs, known, strict=True)]
        entry |= {
            "after": reliability(after, rare),
            "method": sorted({name for _, names, _ in known for name in names}),
            "fitted_on": FOLDS if row.runs[0].test.fold is not None else VALIDATION,
            "rows": min(rows for _, _, rows in known),
        }
        best = after
    entry["shifted"] = _shifted(row, best, rare)
    return {"calibration": entry}


def _shifted(row: RowRuns, judged: list[Judged], rare: int) -> dict[str, float] | None:
    """Return the errors of probabilities that are moved to the shares of the test rows; None where these are near."""
    distances, moved = [], []
    for run, one in zip(row.runs, judged, strict=True):
        shares = np.bincount(one.targets, one.weight, len(row.classes)) / one.weight.sum()
        distances.append(float(np.abs(shares - run.training_prior).sum() / 2))
        probs = np.maximum(one.probs, TINY) * (shares / run.training_prior)
        moved.append(Judged(probs / probs.sum(axis=1, keepdims=True), one.targets, one.weight))
    if (distance := float(np.mean(distances))) < APART:
        return None
    found = reliability(moved, rare)
    return {"distance": distance, **{name: found[name] for name in ("ece", "log_loss", "brier")}}


def _rarest(row: RowRuns) -> int:
    """Return the class with the fewest training rows that has test rows; of equals the first."""
    tested = np.bincount(row.runs[0].test.targets, minlength=len(row.classes)) > 0
    return int(np.where(tested, row.class_counts, np.inf).argmin())


def _judged(run: ScoredRun, probs: Floats) -> Judged:
    weight = run.test.weight
    return Judged(probs, run.test.targets, np.ones(len(probs)) if weight is None else weight)


def _before(run: ScoredRun) -> Floats:
    """Return softmax(scores); of old runs, whose prior is not known, the probabilities are these."""
    if run.prior is None or np.allclose(run.prior, run.training_prior, rtol=1e-9):
        return np.exp(run.test.log_probs)
    logs, training, prior = map(torch.from_numpy, (run.test.log_probs, run.training_prior, run.prior))
    return np.asarray(priors.under(logs, training, prior).exp())


def _after(run: ScoredRun) -> tuple[Floats, set[str], int] | None:
    """Return calibrated probabilities of the test rows, the calibrations, and how many rows they were fitted on."""
    test = run.test
    if test.fold is not None:
        probs, names, rows = np.empty_like(test.log_probs), set(), len(test.targets)
        for fold in np.unique(test.fold):
            own = test.fold == fold
            made = _fitted(run, test, ~own)
            probs[own] = np.exp(made(test.log_probs[own]))
            names.add(made.name)
            rows = min(rows, int((~own).sum()))
        return probs, names, rows
    if run.val is None or not np.isfinite(run.val.log_probs).all():
        return None
    made = _fitted(run, run.val, np.ones(len(run.val.targets), dtype=bool))
    return np.exp(made(test.log_probs)), {made.name}, len(run.val.targets)


def _fitted(run: ScoredRun, rows: ScoredRows, chosen: Any) -> Calibration:
    kind = AUTO if rows.log_probs.size <= COMPARED else "temperature"
    weight = None if rows.weight is None else rows.weight[chosen]
    return fit_calibration(
        kind,
        rows.log_probs[chosen],
        rows.targets[chosen],
        num_classes=len(run.classes),
        sample_weight=weight,
        prior=run.training_prior,
    ).calibration
