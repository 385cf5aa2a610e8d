"""A fitted scikit-learn classifier as a network: bytes in a buffer, log-probabilities out."""

from __future__ import annotations

import io
import json
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from longtail.facts import trusted
from longtail.facts.types import Outputs

FLOOR = 1e-12
"""The least probability of a class, so that its logarithm is finite; also that of a class without training rows."""


UNSAVED = b"not saved: "
"""Before the JSON that stands in the buffer for a classifier that cannot be saved."""
FAR = 1e-3
"""How far probabilities may be from summing to 1; single precision over many classes is within."""
Labels = NDArray[np.int64]
Refit = Callable[[int], tuple[Any, Labels | None]]
"""Seed of the fit -> the classifier, fitted again, and `labels`."""


@final
class FittedEstimator(nn.Module):
    """A fitted classifier as a network: inputs (N, ...) -> `Outputs` whose logits are log P(class), (N, C) float32.

    logits = log max(P, 1e-12), columns in the order of our classes; a class without training rows has the floor.
    Inputs of more than two axes are flattened. The classifier is a buffer of bytes (`trusted.dumps`), so that whatever
    saves tensors saves it; loaded bytes are checked at once. Always on the CPU and in one thread, so that
    its numbers do not depend on the number of threads.

    A classifier of the user's that cannot be saved has the seed of its fit there and the reason, `unsaved`; where such
    a state is loaded, `refit` makes it again.

    Args:
        num_classes: C.
        estimator: fitted on class indices; None until a state is loaded.
        labels: the class of each of its labels, where it was fitted on labels without gaps.
        seed: of its fit.
        refit: makes a classifier again that cannot be saved; without it such a one is an error.

    Raises:
        ValueError: bytes that are damaged or not trusted, or a classifier of other classes.
    """

    fitted: Tensor

    def __init__(
        self,
        num_classes: int,
        estimator: Any = None,
        *,
        labels: Labels | None = None,
        seed: int = 0,
        refit: Refit | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.builder = {"name": "estimator", "num_classes": num_classes}
        self.refit = refit
        self.unsaved: str | None = None
        if estimator is not None and refit is not None:
            self.unsaved = untrusted(estimator) if labels is None else "it was fitted on labels without gaps"
        if self.unsaved is not None:
            data = UNSAVED + json.dumps({"seed": seed, "why": self.unsaved}).encode()
        else:
            data = b"" if estimator is None else trusted.dumps(estimator)
        self.register_buffer("fitted", torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else _empty())
        self._set_estimator(estimator, labels)

    def _set_estimator(self, estimator: Any, labels: Labels | None = None) -> None:
        self._estimator = estimator
        columns = None if estimator is None else _class_columns(estimator, self.num_classes)
        self._class_columns = columns if labels is None or columns is None else labels[columns]

    @property
    def estimator(self) -> Any:
        """The fitted classifier; None before a state is loaded."""
        return self._estimator

    def forward(self, inputs: Tensor) -> Outputs:
        """Return log-probabilities on the device of the inputs."""
        if self._estimator is None:
            raise RuntimeError("the estimator is not fitted; train it or load its state first")
        with limited_threads(1):
            predicted = probabilities(self._estimator, matrix(inputs))
        probs = np.full((len(inputs), self.num_classes), FLOOR)
        probs[:, self._class_columns] = np.maximum(predicted, FLOOR)
        return Outputs(torch.from_numpy(np.log(probs).astype(np.float32)).to(inputs.device))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        data = state_dict.get(f"{prefix}fitted")
        if data is not None:
            if data.dtype != torch.uint8 or data.ndim != 1:
                raise ValueError(f"a saved estimator must be bytes, got {data.dtype} of shape {tuple(data.shape)}")
            content = data.cpu().numpy().tobytes()
            if content.startswith(UNSAVED):
                self._fit_again(content)
            else:
                self._set_estimator(trusted.loads(content, "the saved estimator") if content else None)
            self.fitted = torch.empty_like(data, device=self.fitted.device)  # of its length; filled below
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _fit_again(self, content: bytes) -> None:
        if self._estimator is not None and self.fitted.cpu().numpy().tobytes() == content:
            return
        try:
            entry = json.loads(content[len(UNSAVED) :])
            seed, why = int(entry["seed"]), str(entry["why"])
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"the saved estimator is damaged ({error}); train it again in a new folder") from None
        if self.refit is None:
            raise ValueError(f"the classifier was not saved: {why}; train it again")
        self._set_estimator(*self.refit(seed))
        self.unsaved = why

    def __deepcopy__(self, memo: dict[int, Any]) -> FittedEstimator:
        """Copy the buffers and share the classifier, which never changes after its fit."""
        copy = FittedEstimator(self.num_classes, refit=self.refit)
        copy.fitted, copy.unsaved = self.fitted.clone(), self.unsaved
        copy._estimator, copy._class_columns = self._estimator, self._class_columns
        return copy.train(self.training)


def last_step(estimator: Any) -> Any:
    """Return the classifier itself: the last step of a pipeline, or what is none."""
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def untrusted(estimator: Any) -> str | None:
    """Return why a fitted classifier cannot be saved, or None."""
    first = trusted.storable(estimator)
    return None if first is None else f"the loader of models does not trust {first}"


def probabilities(estimator: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities (N, k) of a fitted classifier.

    Raises:
        ValueError: what it returns is none: another shape, negative numbers, rows that do not sum to 1.
    """
    kind = type(estimator).__name__
    with quiet():
        found = np.asarray(estimator.predict_proba(x))
    size = len(np.atleast_1d(getattr(estimator, "classes_", ())))
    if found.shape != (len(x), size) or found.dtype.kind != "f":
        raise ValueError(
            f"predict_proba of {kind} must give {len(x)} x {size} probabilities, a column for each of classes_, got "
            f"{found.dtype} of shape {found.shape}; calibrate it with CalibratedClassifierCV, or leave it out"
        )
    probs = found.astype(np.float64)
    far = np.abs(probs.sum(1) - 1) if len(probs) else np.zeros(1)
    if not (np.isfinite(probs).all() and (probs >= -FAR).all() and far.max() <= FAR):
        low, total = float(probs.min()), float(probs.sum(1)[far.argmax()])  # NaN stays NaN
        raise ValueError(
            f"predict_proba of {kind} must give probabilities >= 0 that sum to 1 in every row, got a least of {low:.3g}"
            f" and a sum of {total:.3g}; calibrate it with CalibratedClassifierCV, or leave it out"
        )
    return probs


@contextmanager
def quiet(seed: int | None = None, printed: io.StringIO | None = None) -> Iterator[list[warnings.WarningMessage]]:
    """Collect warnings and what is printed inside; with a seed, the global generators have it meanwhile."""
    # of classifiers that draw from it
    states = (np.random.get_state(), random.getstate()) if seed is not None else None  # noqa: NPY002
    try:
        if seed is not None:
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
        with redirect_stdout(printed or io.StringIO()), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught
    finally:
        if states is not None:
            np.random.set_state(states[0])  # noqa: NPY002
            random.setstate(states[1])


def matrix(inputs: Tensor) -> NDArray[np.float64]:
    """Return inputs (N, ...) as scikit-learn takes them: (N, D) float64."""
    return inputs.detach().flatten(1).double().cpu().numpy()


def _empty() -> Tensor:
    return torch.empty(0, dtype=torch.uint8)


def _class_columns(estimator: Any, num_classes: int) -> NDArray[np.int64]:
    """Return the class of every column of the classifier's probabilities."""
    classes = np.asarray(getattr(estimator, "classes_", None))
    if classes.dtype.kind not in "iu" or classes.ndim != 1 or not 1 < len(classes) == len(np.unique(classes)):
        raise ValueError("a saved estimator must be a classifier of class indices, got something else; train it again")
    if classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(
            f"the classes of a saved estimator must be in [0, {num_classes}), got {classes.min()} to {classes.max()}; "
            "train it again in a new folder"
        )
    return classes.astype(np.int64)


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Let OpenMP and BLAS (so torch too) use that many threads; restored on exit."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=count):
        yield
