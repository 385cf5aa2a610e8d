"""A scikit-learn classifier as a learner: fitted once on all rows, saved as bytes, evaluated as a network is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Progress, Step, TrainingData
from longtail.learners.contributions import remember_means
from longtail.learners.fitted import FLOOR, FittedEstimator, last_step, limited_threads, matrix
from longtail.learners.given_fit import fit_given
from longtail.updates import StatelessUpdate

Make = Callable[[int, NDArray[np.int64]], Any]
"""(seed, (N,) class indices of the training rows) -> an unfitted classifier or pipeline."""
Gentler = Callable[[Any], Any]
"""A classifier whose fit diverged -> the same with smaller steps, unfitted."""
Keep = Callable[[Any], Any]
"""A fitted classifier -> what of it predicts and is saved."""
Resample = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(C,) rows of each class -> those that the classifier draws from them for its fit."""
MANY_CLASSES = "The number of unique classes is greater than 50% of the number of samples"
"""scikit-learn's warning, on the rows of one tree, that indices of classes might be a quantity."""
ATTEMPTS = 4
"""Number of fits after which a classifier that diverges again is taken as it is."""
ROUNDING = 1e-9
"""Difference of log losses that is none: rows too few for a split have the shares of the classes."""

log = logging.getLogger(__name__)


@final
class EstimatorLearner(Learner):
    """Fits a classifier to all training rows when its one epoch starts; its steps only evaluate the fit.

    It is seeded by torch's global generator (`torch.initial_seed`), which the engine derives from the run's seed, and
    fitted with as many threads as torch has. Rows of sample weight 0 are left out.

    Args:
        make: seed and labels -> an unfitted classifier, or a pipeline whose scaler and last step take weights.
        num_classes: C.
        balanced: rows weigh N / (C' n_j) times their own weight, C' the classes that have rows: scikit-learn's
            class_weight="balanced", with n_j the summed weights of the rows of class j.
        gentler: makes what is fitted instead of a classifier whose fit diverged, that is, whose log loss on its own
            training rows is higher than that of the shares of the classes; with a warning. None accepts every fit.
        rows: the training rows, of a classifier of the user's: one that cannot be saved is fitted to them once more,
            with the same seed, where its state is loaded. None for a classifier that can always be saved.
        keep: takes off what only the fit needs, such as a sampler; None keeps the classifier as it is.
        resample: of a classifier that resamples its rows itself; its log loss is weighted to these shares.
    """

    def __init__(
        self,
        make: Make,
        num_classes: int,
        *,
        balanced: bool = False,
        gentler: Gentler | None = None,
        rows: TrainingData | None = None,
        keep: Keep | None = None,
        resample: Resample | None = None,
    ) -> None:
        super().__init__()
        self.make = make
        self.num_classes = num_classes
        self.balanced = balanced
        self.gentler = gentler
        self.rows = rows
        self.keep = keep
        self.resample = resample
        self.network = FittedEstimator(num_classes, refit=None if rows is None else self._refit)

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Fit the classifier.

        Raises:
            ValueError: fewer than two classes have rows of weight > 0.
        """
        device, seed = self.network.fitted.device, torch.initial_seed() % 2**32
        estimator, labels = self._fitted(data, seed)
        refit = None if self.rows is None else self._refit
        self.network = FittedEstimator(self.num_classes, estimator, labels=labels, seed=seed, refit=refit).to(device)

    def _refit(self, seed: int) -> tuple[Any, NDArray[np.int64] | None]:
        assert self.rows is not None
        return self._fitted(self.rows, seed)

    def _fitted(self, data: TrainingData, seed: int) -> tuple[Any, NDArray[np.int64] | None]:
        """Return the fitted classifier, and the class of each of its labels where these are not our indices."""
        inputs, targets, weight = (getattr(data, name) for name in ("inputs", "targets", "sample_weight"))
        x, y = matrix(inputs), targets.cpu().numpy()
        w = np.ones(len(y)) if weight is None else weight.double().cpu().numpy()
        if (w == 0).any():
            x, y, w = x[w > 0], y[w > 0], w[w > 0]
        counts = np.bincount(y, weights=w, minlength=self.num_classes).astype(np.float64)
        if (counts > 0).sum() < 2:
            raise ValueError("two classes or more must have rows of sample weight > 0; correct the weights")
        estimator = self.make(seed, y)
        balanced = w * _balanced_weights(counts)[y] if self.balanced else None
        weights = fit_arguments(estimator, None if weight is None else w, balanced)
        if self.rows is not None:
            return fit_given(estimator, x, y, weights, seed)
        fit_logged(estimator, x, y, weights)
        judged = w if balanced is None else balanced
        if self.resample is not None:
            judged = w * (self.resample(counts) / np.where(counts > 0, counts, 1.0))[y]
        for _ in range(ATTEMPTS - 1):
            if self.gentler is None or not _diverged(estimator, x, y, judged):
                break
            before, estimator = estimator, self.gentler(estimator)
            name, change = type(before).__name__, _changed_settings(before, estimator)
            log.warning("the fit of %s diverged; it is fitted again with %s", name, change)
            fit_logged(estimator, x, y, weights)
        estimator = estimator if self.keep is None else self.keep(estimator)
        remember_means(estimator, x, None if weight is None else w)
        return estimator, None

    @torch.no_grad()
    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Evaluate the mean of -log P(y), weighted by the rows' own weights."""
        inputs = batch["inputs"]
        assert isinstance(inputs, Tensor)
        losses = F.nll_loss(self.predict(inputs), batch["targets"], reduction="none")
        weight = batch.get("sample_weight")
        if weight is None:
            return Step(losses.mean(), losses)
        return Step((losses * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny), losses)

    def inference(self) -> Inference:
        """Return the fitted classifier as a network of log-probabilities."""
        return Inference(self.network)


class EvaluateOnly(StatelessUpdate):
    """The update of a learner that is fitted at once: evaluates the loss, makes no optimiser step."""

    def __call__(self, learner: Learner, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Evaluate the loss; make no optimiser step."""
        return learner.training_step(batch, progress)


def no_optimizer(parameters: Any) -> torch.optim.Optimizer:
    """Return an optimiser without parameters, which torch's own refuse."""
    return torch.optim.SGD([nn.Parameter(torch.empty(0)), *parameters], lr=0.0)


def _balanced_weights(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (C,) weights under which every class that has rows weighs the same, N in total."""
    present = counts > 0
    weights: NDArray[np.float64] = counts.sum() / present.sum() / np.where(present, counts, 1.0)
    return weights


def fit_arguments(
    estimator: Any, own: NDArray[np.float64] | None, balanced: NDArray[np.float64] | None
) -> dict[str, Any]:
    """Return the weights for `fit`: balanced ones for the last step, the rows' own for scalers before it."""
    from sklearn.utils.validation import has_fit_parameter

    last = own if balanced is None else balanced
    if not hasattr(estimator, "steps"):
        return {} if last is None else {"sample_weight": last}
    names = [name for name, step in estimator.steps[:-1] if has_fit_parameter(step, "sample_weight")]
    by_step = {**dict.fromkeys(names, own), estimator.steps[-1][0]: last}
    return {f"{name}__sample_weight": weight for name, weight in by_step.items() if weight is not None}


def _diverged(estimator: Any, x: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float64]) -> bool:
    """Whether the shares of the classes alone have a lower log loss on these rows, by more than rounding."""
    shares = np.bincount(y, weights=weight)
    shares = shares[shares > 0] / shares.sum()
    with limited_threads(torch.get_num_threads()):
        own = estimator.predict_proba(x)[np.arange(len(y)), np.searchsorted(estimator.classes_, y)]
    loss = np.average(-np.log(np.maximum(own, FLOOR)), weights=weight)
    return bool(loss > -(shares * np.log(shares)).sum() + ROUNDING)


def _changed_settings(before: Any, after: Any) -> str:
    """Return the numeric settings in which two classifiers differ, as the second has them."""
    old, new = before.get_params(), after.get_params()
    numbers = (key for key, value in new.items() if isinstance(value, float) and value != old.get(key))
    return ", ".join(f"{key} = {new[key]:.3g}" for key in numbers)


def fit_logged(estimator: Any, x: NDArray[np.float64], y: NDArray[np.int64], weights: dict[str, Any]) -> None:
    """Fit a scikit-learn classifier in torch's number of threads; log a warning where it did not converge.

    Raises:
        ValueError: the fit failed; its reason in one line.
    """
    from sklearn.exceptions import ConvergenceWarning

    with limited_threads(torch.get_num_threads()), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", MANY_CLASSES)
        try:
            estimator.fit(x, y, **weights)
        except ValueError as error:
            reason = (str(error).splitlines() or [""])[0].strip().removesuffix(".")
            kind = type(last_step(estimator)).__name__
            raise ValueError(f"the fit of {kind} failed ({reason}); leave the method out, or take another") from error
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            log.warning("the fit stopped before it converged (%s)", str(warning.message).splitlines()[0])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
