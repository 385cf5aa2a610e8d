"""A scikit-learn classifier as a learner: fitted once on all rows, saved as bytes, scored as a network is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Progress, Step, TrainingData
from longtail.learners.fitted import FLOOR, FittedEstimator, rows, threads

Make = Callable[[int, NDArray[np.int64]], Any]
"""(seed, (N,) class indices of the training rows) -> an unfitted classifier or pipeline."""
Gentler = Callable[[Any], Any]
"""A classifier whose fit diverged -> the same, unfitted, that takes smaller steps."""
ATTEMPTS = 4
"""Fits before a classifier that still diverges is left as it is."""

log = logging.getLogger(__name__)


@final
class EstimatorLearner(Learner):
    """Fits a classifier to all training rows when its one epoch starts; its steps only say how well it fits.

    It is seeded by torch's global generator (`torch.initial_seed`), which the engine derives from the run's seed, and
    fitted with as many threads as torch has. Rows of sample weight 0 are left out.

    Args:
        make: seed and labels -> an unfitted classifier, or a pipeline whose scaler and last step take weights.
        num_classes: C.
        balanced: rows weigh N / (C' n_j) times their own weight, C' the classes that have rows: scikit-learn's
            class_weight="balanced", with n_j the summed weights of the rows of class j.
        gentler: what is fitted instead where the fit diverged, that is, explains its own training rows worse (by log
            loss) than the shares of the classes alone do; a warning says so. None takes every fit as it is.
    """

    def __init__(self, make: Make, num_classes: int, *, balanced: bool = False, gentler: Gentler | None = None) -> None:
        super().__init__()
        self.make = make
        self.num_classes = num_classes
        self.balanced = balanced
        self.gentler = gentler
        self.network = FittedEstimator(num_classes)

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Fit the classifier.

        Raises:
            ValueError: fewer than two classes have rows of weight > 0.
        """
        inputs, targets, weight = (getattr(data, name) for name in ("inputs", "targets", "sample_weight"))
        x, y = rows(inputs), targets.cpu().numpy()
        w = np.ones(len(y)) if weight is None else weight.double().cpu().numpy()
        if (w == 0).any():
            x, y, w = x[w > 0], y[w > 0], w[w > 0]
        counts = np.bincount(y, weights=w, minlength=self.network.num_classes).astype(np.float64)
        if (counts > 0).sum() < 2:
            raise ValueError("two classes or more must have rows of sample weight > 0; correct the weights")
        estimator = self.make(torch.initial_seed() % 2**32, y)
        weights = _weights(estimator, None if weight is None else w, w * _even(counts)[y] if self.balanced else None)
        _fit(estimator, x, y, weights)
        for _ in range(ATTEMPTS - 1):
            if self.gentler is None or not _diverged(estimator, x, y, w * _even(counts)[y] if self.balanced else w):
                break
            before, estimator = estimator, self.gentler(estimator)
            name, change = type(before).__name__, _difference(before, estimator)
            log.warning("the fit of %s diverged; it is fitted again with %s", name, change)
            _fit(estimator, x, y, weights)
        device = self.network.fitted.device
        self.network = FittedEstimator(self.network.num_classes, estimator).to(device)

    @torch.no_grad()
    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """The mean of -log P(y), weighted by the rows' own weights; nothing is learnt from it."""
        inputs = batch["inputs"]
        assert isinstance(inputs, Tensor)
        losses = F.nll_loss(self.predict(inputs), batch["targets"], reduction="none")
        weight = batch.get("sample_weight")
        if weight is None:
            return Step(losses.mean(), losses)
        return Step((losses * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny), losses)

    def inference(self) -> Inference:
        """The fitted classifier as a network of log-probabilities."""
        return Inference(self.network)


class EvaluateOnly:
    """The update of a learner that is fitted at once: a step is looked at and not taken."""

    def __call__(self, learner: Learner, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """What the step yields."""
        return learner.training_step(batch, progress)

    def state_dict(self) -> dict[str, Any]:
        """No state of its own."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """No state of its own."""


def no_optimizer(parameters: Any) -> torch.optim.Optimizer:
    """An optimiser for what has no parameters: torch's own refuse an empty list."""
    return torch.optim.SGD([nn.Parameter(torch.empty(0)), *parameters], lr=0.0)


def _even(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C,) weights that give every class that has rows the same weight, N in all."""
    present = counts > 0
    found: NDArray[np.float64] = counts.sum() / present.sum() / np.where(present, counts, 1.0)
    return found


def _weights(estimator: Any, own: NDArray[np.float64] | None, even: NDArray[np.float64] | None) -> dict[str, Any]:
    """What `fit` is told of weights: the last step the balanced ones, what scales before it the rows' own."""
    from sklearn.utils.validation import has_fit_parameter

    last = own if even is None else even
    if not hasattr(estimator, "steps"):
        return {} if last is None else {"sample_weight": last}
    names = [name for name, step in estimator.steps[:-1] if has_fit_parameter(step, "sample_weight")]
    found = {**dict.fromkeys(names, own), estimator.steps[-1][0]: last}
    return {f"{name}__sample_weight": weight for name, weight in found.items() if weight is not None}


def _diverged(estimator: Any, x: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float64]) -> bool:
    """Whether the shares of the classes alone have a lower log loss on these rows."""
    shares = np.bincount(y, weights=weight)
    shares = shares[shares > 0] / shares.sum()
    with threads(torch.get_num_threads()):
        own = estimator.predict_proba(x)[np.arange(len(y)), np.searchsorted(estimator.classes_, y)]
    loss = np.average(-np.log(np.maximum(own, FLOOR)), weights=weight)
    return bool(loss > -(shares * np.log(shares)).sum())


def _difference(before: Any, after: Any) -> str:
    """The numbers in which the settings of two classifiers differ, the second's."""
    old, new = before.get_params(), after.get_params()
    numbers = (key for key, value in new.items() if isinstance(value, float) and value != old.get(key))
    return ", ".join(f"{key} = {new[key]:.3g}" for key in numbers)


def _fit(estimator: Any, x: NDArray[np.float64], y: NDArray[np.int64], weights: dict[str, Any]) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with threads(torch.get_num_threads()), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(x, y, **weights)
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            log.warning("the fit stopped before it converged (%s)", str(warning.message).splitlines()[0])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
