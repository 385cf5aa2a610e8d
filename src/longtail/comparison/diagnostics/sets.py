"""Sets of classes on the test part: how often they hold the true class, by class, beside what they promise.

From validation rows the sets are those that the model saves. In a cross-validated run, which has none, the rows of a
fold get sets that are calibrated on the scores of the rows of all other folds, each by the model of its own fold. These
scores are of different models, so nothing is proven for finite samples; coverage is near the level as far as models of
nearly the same training rows score alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.comparison.diagnostics.row_runs import RowRuns
from longtail.facts.beta_binomial import covered_interval
from longtail.facts.set_ranks import exact_level, feasible, rank
from longtail.metrics.rates import Floats
from longtail.posthoc.sets.split import ConformalSets
from longtail.runs.scored import ScoredRows, ScoredRun

SPLIT, CROSS = "split", "cross"


@dataclass(frozen=True)
class _Covered:
    """Of one run: calibration rows (C,), the fewest over folds; of each test row whether its set holds its class."""

    n: Floats
    rows: ScoredRows
    inside: NDArray[np.bool_]
    size: NDArray[np.int64]


def sets(row: RowRuns) -> dict[str, Any]:
    """Return the entry `sets` of a row, averaged over seeds; {} of runs with neither validation rows nor folds, and of
    those whose validation rows have chosen the training or its epoch: they can promise nothing of it.

    Of a class: `n` calibration rows, whether the level is `promised` (`needs` rows are enough), `tested` rows, their
    `coverage` and mean set `size`, and `low` and `high`, between which coverage lies in 95 of 100 data sets where the
    promise holds: beta-binomial, one draw of calibration rows. Seeds share these rows, so they do not narrow it. In a
    cross-validated run the tested rows of one fold calibrate for the others, which holds their coverage near the level:
    the interval, by the fold with the fewest calibration rows, is one of new rows and hardly ever left.
    """
    found = [one for run in row.runs if (one := _covered(run, row.level)) is not None]
    if not found:
        return {}
    level = exact_level(row.level)
    by_run = [_by_class(one, level) for one in found]
    return {
        "sets": {
            "level": row.level,
            "kind": CROSS if found[0].rows.fold is not None else SPLIT,
            "needs": feasible(level),
            "classes": [_averaged([run[c] for run in by_run]) for c in range(len(row.classes))],
            "coverage": _mean([_weighted(one.inside, one.rows.weight) for one in found]),
            "mean_size": _mean([_weighted(one.size, one.rows.weight) for one in found]),
            "empty": _mean([_weighted(one.size == 0, one.rows.weight) for one in found]),
        }
    }


def _covered(run: ScoredRun, level: float) -> _Covered | None:
    rows = run.test
    if rows.fold is None and (run.val is None or run.chosen):
        return None
    held = np.zeros(rows.log_probs.shape, dtype=bool)
    fewest = np.full(rows.log_probs.shape[1], np.inf)
    for calibration, use, tested in _parts(run):
        weight = None if calibration.weight is None else calibration.weight[use]
        one = ConformalSets(len(run.classes))
        one.fit(calibration.log_probs[use], calibration.targets[use], sample_weight=weight)
        held[tested] = one.sets(rows.log_probs[tested], level)
        fewest = np.minimum(fewest, [p.n for p in one.promises(level)])
    inside = held[np.arange(len(held)), rows.targets]
    return _Covered(fewest, rows, inside, held.sum(1))


def _parts(run: ScoredRun) -> Iterator[tuple[ScoredRows, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Calibration rows, which of them are used, and the test rows that get sets by them."""
    rows = run.test
    if run.val is not None:
        yield run.val, np.ones(len(run.val.targets), dtype=bool), np.ones(len(rows.targets), dtype=bool)
        return
    assert rows.fold is not None
    for fold in np.unique(rows.fold):
        yield rows, rows.fold != fold, rows.fold == fold


def _by_class(one: _Covered, level: Fraction) -> list[dict[str, Any]]:
    weight, needs = one.rows.weight, feasible(level)
    classes = []
    for c, n in enumerate(one.n.tolist()):
        mine = one.rows.targets == c
        own = None if weight is None else weight[mine]
        tested = float(mine.sum() if own is None else own.sum())
        entry: dict[str, Any] = {"n": n, "promised": n >= needs, "tested": tested, "low": None, "high": None}
        entry |= {"coverage": _weighted(one.inside[mine], own), "size": _weighted(one.size[mine], own)}
        if entry["promised"] and round(tested) > 0:
            m = round(tested)
            low, high = covered_interval(m, rank(int(n), level), int(n))
            entry |= {"low": low / m, "high": high / m}
        classes.append(entry)
    return classes


def _averaged(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean over seeds; a promise is one where every seed has it."""
    numbers: dict[str, Any] = {}
    for name in ("n", "tested", "coverage", "low", "high", "size"):
        mean = _mean([e[name] for e in entries])
        numbers[name] = int(mean) if name in ("n", "tested") and mean is not None and mean.is_integer() else mean
    return {**numbers, "promised": all(e["promised"] for e in entries)}


def _weighted(values: NDArray[Any], weight: Floats | None) -> float | None:
    total = len(values) if weight is None else float(weight.sum())
    return float(np.average(values, weights=weight)) if total > 0 else None


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of the seeds that have a value; None where none has."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
