"""`LongTailClassifier`: every supervised method of the catalogue, with the interface of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from longtail.classifier import labels, rows
from longtail.classifier.training import seed_of, trained
from longtail.facts.messages import quoted

KNOB = "knobs__"


class LongTailClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Any supervised method as a scikit-learn classifier; trained as `longtail train --all` trains it.

    All rows that `fit` gets are for training, but for a validation part (`val`, or 0.2 where the method needs one).
    With the same rows and seed, and the same threads, its scores are those of `longtail train --all`. A pandas frame is
    prepared as a table: numbers, truth values, dates and categories, with missing cells. Arrays are features (N, D),
    or images (N, H, W) and (N, H, W, 3), of finite numbers.

    `predict` decides by the method's own rule, for most methods aimed at balanced accuracy, or by `objective` or
    `cost`. `predict_proba` refers to the class shares of the training rows, so that the predicted class need not be
    the most probable one. With `target_prior` it refers to that prior, and the most probable class is predicted.

    Args:
        method: a spec string, such as "ldam-drw(scale=20)".
        knobs: {name: value} in place of knobs in the spec. Each is a parameter of its own for `set_params` and
            grids: `knobs__tau`.
        epochs, batch_size, lr, model: of the recipe of a network; None is what fits the data. Methods that are fitted
            at once have no use for them.
        val: share of every class withheld for validation.
        objective, cost, positive: what to decide for, as of `longtail train`; an objective needs `val`. `positive` is
            a label, costs (C, C) are in the order of `classes_`.
        calibrate: "temperature", "vector", "isotonic" or "auto": of the probabilities, on the validation part.
        target_prior: class shares where the model is used: "training", "uniform", "estimate" (of the rows that are
            predicted together), {label: share}, or C shares in the order of `classes_`.
        device: where to train and predict, "cpu" or "cuda".
        random_state: seed of initialisation and order. None or a RandomState draws one at each fit.

    Attributes:
        classes_: (C,) labels, sorted, in the type of y.
        n_features_in_: number of columns; of images their height.
        feature_names_in_: names of a frame's columns, where all are strings.
        predictor_: the trained model (`lt.load`), whose classes are the labels as text.
        method_: the canonical spec, with its knobs.
        seed_: that it was trained with.
    """

    def __init__(
        self,
        method: str = "logit-adjusted",
        *,
        knobs: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        model: str | None = None,
        val: float | None = None,
        objective: str | None = None,
        cost: Any = None,
        positive: Any = None,
        calibrate: str | None = None,
        target_prior: Any = None,
        device: str = "cpu",
        random_state: Any = 0,
    ) -> None:
        self.method = method
        self.knobs = knobs
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.model = model
        self.val = val
        self.objective = objective
        self.cost = cost
        self.positive = positive
        self.calibrate = calibrate
        self.target_prior = target_prior
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on these rows.

        Args:
            X: N rows: a frame or an array.
            y: N labels: strings, whole numbers or truth values.
            sample_weight: (N,) >= 0: a row of weight k counts as k rows, in class sizes too.

        Raises:
            ValueError, TypeError: parameters, rows or labels that do not go together, in one line.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None; pass labels")
        read = rows.training_rows(self, X)
        classes, targets = labels.encoded(y)
        check_consistent_length(read, targets)
        params = {**self.get_params(deep=False), "seed": seed_of(self.random_state)}
        name = getattr(y, "name", None)
        label = name if isinstance(name, str) else None
        weight = rows.weights(sample_weight, len(targets))
        made = trained(params, read, targets, labels.names(classes), weight, label)
        self.classes_, self.method_, self.seed_ = classes, made.method.spec, params["seed"]
        self.predictor_ = made.predictor
        self._columns = tuple(map(str, read.columns)) if rows.is_frame(read) else None
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the labels (N,) that the model decides for."""
        place = {name: j for j, name in enumerate(self._predicted_by().classes)}
        decided = self._predictions(X).labels
        return np.asarray(self.classes_[[place[label] for label in decided]])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities (N, C), columns as `classes_`, under the training prior or `target_prior`."""
        self._predicted_by()
        return np.asarray(self._predictions(X).probabilities.cpu().numpy())

    def save(self, folder: str | Path) -> Path:
        """Write the model as `lt.load` and `longtail predict` read it; its classes are the labels as text.

        Calibration and decision are part of it; `target_prior` is not, for predict takes one.

        Raises:
            ValueError: the folder holds a run of `longtail train`, or the model is one that cannot be saved.
        """
        path = Path(folder)
        predictor = self._predicted_by()
        if (path / "run.json").exists():
            raise ValueError(f"folder must not be that of a run, got {quoted(str(path))} with a run.json; name another")
        if (why := getattr(predictor.network, "unsaved", None)) is not None:
            raise ValueError(f"the model of method {self.method_!r} cannot be saved ({why}); pickle the estimator")
        path.mkdir(parents=True, exist_ok=True)
        predictor.save(path)
        return path

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with `deep` those in `knobs` also as `knobs__NAME`."""
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep and isinstance(self.knobs, Mapping):
            params |= {f"{KNOB}{name}": value for name, value in self.knobs.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; `knobs__NAME` sets one knob and leaves the others."""
        knobs = {name.removeprefix(KNOB): value for name, value in params.items() if name.startswith(KNOB)}
        super().set_params(**{name: value for name, value in params.items() if not name.startswith(KNOB)})
        if knobs:
            self.knobs = {**(self.knobs or {}), **knobs}
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _predicted_by(self) -> Any:
        check_is_fitted(self, "predictor_")
        return self.predictor_

    def _predictions(self, X: Any) -> Any:
        prior = labels.by_name(self.target_prior)
        return self.predictor_.predictions(rows.new_rows(self, X, self._columns), target_prior=prior)
