"""A finished run as arrays: log-probabilities under the training prior, decisions, true classes.

Read from its files alone, so that decisions, calibration, sets and metrics can be asked of a run without training it,
or loading its network, again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import torch as safetensors
from torch import Tensor

from longtail.engine.selection import BEST_TEST, VAL
from longtail.metrics.rates import Floats
from longtail.runs import manifest, priors
from longtail.runs.run import Run


@dataclass(frozen=True)
class ScoredRows:
    """What a run says of N rows.

    Args:
        log_probs: (N, C) float64, rows whose exponentials sum to 1: under the training prior, before any rule. They are
            what `longtail predict` writes.
        decided: (N,) the class that the method's own rule decides for.
        targets: (N,) true classes.
        weight: (N,) how many rows each one counts as, or None.
        index: (N,) the row in the data as read.
        fold: (N,) of a cross-validated run the fold that tested each row, else None.
    """

    log_probs: Floats
    decided: NDArray[np.int64]
    targets: NDArray[np.int64]
    weight: Floats | None
    index: NDArray[np.int64]
    fold: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class ScoredRun:
    """A run as arrays: its test rows, and its validation rows where it has such a part (never of folds).

    `class_counts` are those that group the classes, of the training part; `training_prior` the shares that the
    log-probabilities refer to, `prior` those that the scores of the method refer to (None: not known, of old runs).
    `chosen`: the training was chosen on its validation rows (of folds: the tested ones), which are not like new rows.
    """

    folder: Path
    test: ScoredRows
    val: ScoredRows | None
    classes: tuple[str, ...]
    class_counts: Floats
    training_prior: Floats
    prior: Floats | None = None
    chosen: bool = False


def scored(folder: str | Path) -> ScoredRun:
    """Read a finished run of a method that classifies.

    Raises:
        ValueError: the folder holds no finished run, or a damaged one.
    """
    return of_run(Run.load(folder))


def of_run(run: Run) -> ScoredRun:
    """Return a loaded run as arrays."""
    shift = manifest.prior_shift(run.result)
    counts = np.asarray(run.config["data"]["class_counts"], dtype=np.float64)
    path = run.folder / manifest.VALIDATION
    val = safetensors.load(path.read_bytes()) if manifest.VALIDATION in run.result["files"] else None
    prior, source = (run.result.get(name) for name in ("training_prior", "prior"))
    test = _rows(run.predictions(), run.result["link"], shift)
    return ScoredRun(
        run.folder,
        test,
        None if val is None else _rows(val, run.result["link"], shift),
        run.classes,
        counts,
        counts / counts.sum() if prior is None else np.asarray(prior, dtype=np.float64),
        None if source is None else np.asarray(source, dtype=np.float64),
        manifest.chosen_on(VAL if test.fold is None else BEST_TEST, run.result),
    )


def with_scores(run: Run, arrays: Mapping[str, Tensor], scores: Tensor, adjusted: Tensor) -> ScoredRows:
    """Return the test rows of a run, whose `predictions` are given, with other scores (N, C), and adjusted ones of
    which the largest decides."""
    arrays = {**arrays, "scores": scores, "adjusted_scores": adjusted}
    return _rows(arrays, run.result["link"], manifest.prior_shift(run.result))


def _rows(arrays: Mapping[str, Tensor], link: str, shift: Tensor | None) -> ScoredRows:
    logs = priors.log_probabilities(arrays["scores"], link)
    if shift is not None:
        logs = (logs + shift).log_softmax(1)
    weight, fold = arrays.get("sample_weight"), arrays.get("fold")
    index = arrays.get("index")
    return ScoredRows(
        log_probs=logs.numpy(),
        decided=arrays.get("adjusted_scores", arrays["scores"]).argmax(1).numpy(),
        targets=arrays["targets"].long().numpy(),
        weight=None if weight is None else weight.double().numpy(),
        index=np.arange(len(logs)) if index is None else index.long().numpy(),
        fold=None if fold is None else fold.long().numpy(),
    )
