"""The class prior of rows that are predicted, estimated from the rows themselves, with how certain it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import torch as safetensors
from torch import Tensor

from longtail import posthoc
from longtail.facts.messages import visible
from longtail.runs import manifest, priors

if TYPE_CHECKING:
    from longtail.runs.predictor import Predictor

LEVEL = 0.95
FEW_ROWS, FEW_LABELLED = 100, 10
"""Below so many rows to predict, and validation rows of a class, a note says that the estimate is weak."""


@dataclass(frozen=True)
class EstimatedPrior:
    """A class prior (C,) float64 and its interval by class, what it was estimated from, and what to know of it."""

    classes: tuple[str, ...]
    training: Tensor
    prior: Tensor
    low: Tensor
    high: Tensor
    level: float
    rows: int
    validation_rows: int
    notes: tuple[str, ...]
    words: str = "estimated from these rows"

    def lines(self) -> list[str]:
        """A line per class: its share in percent, the interval, and its share in the training."""
        width = max(len(name) for name in map(visible, self.classes))
        return [
            f"  {visible(name):<{width}} {100 * p:5.1f} % [{100 * low:.1f}, {100 * high:.1f}], training {100 * t:.1f} %"
            for name, p, low, high, t in zip(self.classes, *self._values(), self.training.tolist(), strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return shares and intervals by class, and what was resampled."""
        values = zip(self.classes, *self._values(), self.training.tolist(), strict=True)
        return {
            "level": self.level,
            "rows": self.rows,
            "validation_rows": self.validation_rows,
            "classes": {
                name: {"share": p, "low": low, "high": high, "training": t} for name, p, low, high, t in values
            },
        }

    def _values(self) -> tuple[list[float], list[float], list[float]]:
        return self.prior.tolist(), self.low.tolist(), self.high.tolist()


def estimate(predictor: Predictor, scores: Tensor) -> EstimatedPrior:
    """Estimate the class prior of the rows with these scores; see `posthoc.estimate_prior_interval`.

    The validation rows of the run, where they are beside the model, give the mean prediction and the calibration of
    every resample.

    Args:
        predictor: of the rows.
        scores: (N, C), as `Predictor.scores` gives them.

    Raises:
        ValueError: no rows, or a class without training rows, whose share nothing tells.
    """
    training, classes = predictor.training_prior.cpu(), predictor.classes
    if bool((training == 0).any()):
        name = classes[int(torch.nonzero(training == 0)[0])]
        raise ValueError(
            f"{priors.NAME} {priors.ESTIMATE} needs training rows of every class, got none of {name!r}; give the shares"
        )
    known = _validation(predictor)
    kind = None if predictor.calibration is None or known is None else str(predictor.calibration.name)
    logs = predictor.calibrated(scores) if kind is None else predictor.uncalibrated(scores)
    found = posthoc.estimate_prior_interval(
        logs.cpu(), training, validation=known, calibrate=kind, level=LEVEL, resamples=200
    )
    notes = _notes(predictor, len(scores), known, found.converged)
    return EstimatedPrior(
        classes, training, found.prior, found.low, found.high, LEVEL, len(scores), found.validation_rows, tuple(notes)
    )


def _validation(predictor: Predictor) -> tuple[Tensor, ...] | None:
    """Return log-probabilities before a calibration, classes and weights of the validation rows beside the model."""
    folder: Path | None = predictor.folder
    if folder is None or not (folder / manifest.RUN).exists():
        return None
    _, result = manifest.verify(folder)
    if manifest.VALIDATION not in result["files"]:
        return None
    arrays = safetensors.load((folder / manifest.VALIDATION).read_bytes())
    logs = predictor.uncalibrated(arrays["scores"].to(predictor.class_counts.device)).cpu()
    weight = arrays.get("sample_weight")
    return (logs, arrays["targets"].long(), *(() if weight is None else (weight,)))


def _notes(predictor: Predictor, rows: int, known: tuple[Tensor, ...] | None, converged: bool) -> list[str]:
    notes = []
    if predictor.calibration is None:
        notes.append(
            "the prior is estimated with probabilities that were not calibrated, and is as good as they are; train "
            "with --calibrate auto (and --val 0.2)"
        )
    if known is None:
        notes.append(
            "there are no validation rows beside the model, so the intervals of the estimated prior take its "
            "probabilities as exact and are too narrow"
        )
    else:
        counts = torch.bincount(known[1], minlength=len(predictor.classes)).tolist()
        few = [visible(name) for name, n in zip(predictor.classes, counts, strict=True) if n < FEW_LABELLED]
        if few:
            more = f" and {len(few) - 5} more" if len(few) > 5 else ""
            notes.append(
                f"fewer than {FEW_LABELLED} validation rows of {', '.join(few[:5])}{more}: how these classes are "
                "predicted is hardly known, and the intervals may be too narrow"
            )
    if rows < FEW_ROWS:
        notes.append(f"the prior is estimated from {rows} row{'s' * (rows != 1)}; its intervals are wide")
    if not converged:
        notes.append(
            "the estimate of the prior had not converged; its likelihood is flat, and the shares are uncertain"
        )
    return notes
