"""A fitted scikit-learn classifier as a network: bytes in a buffer, log-probabilities out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from longtail.facts import trusted
from longtail.facts.types import Outputs

FLOOR = 1e-12
"""The least probability of a class, so that its logarithm is finite; also that of a class without training rows."""


@final
class FittedEstimator(nn.Module):
    """A fitted classifier as a network: inputs (N, ...) -> `Outputs` whose logits are log P(class), (N, C) float32.

    logits = log max(P, 1e-12), columns in the order of our classes; a class without training rows has the floor.
    Inputs of more than two axes are flattened. The classifier is a buffer of bytes (`trusted.dumps`), so that whatever
    saves tensors saves it; loaded bytes are checked at once. Always on the CPU and in one thread, so that
    its numbers do not depend on the number of threads.

    Args:
        num_classes: C.
        estimator: fitted on class indices; None until a state is loaded.

    Raises:
        ValueError: bytes that are damaged or not trusted, or a classifier of other classes.
    """

    fitted: Tensor

    def __init__(self, num_classes: int, estimator: Any = None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.builder = {"name": "estimator", "num_classes": num_classes}
        data = b"" if estimator is None else trusted.dumps(estimator)
        self.register_buffer("fitted", torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else _empty())
        self._set_estimator(estimator)

    def _set_estimator(self, estimator: Any) -> None:
        self._estimator = estimator
        self._class_columns = None if estimator is None else _class_columns(estimator, self.num_classes)

    @property
    def estimator(self) -> Any:
        """The fitted classifier; None before a state is loaded."""
        return self._estimator

    def forward(self, inputs: Tensor) -> Outputs:
        """Return log-probabilities on the device of the inputs."""
        if self._estimator is None:
            raise RuntimeError("the estimator is not fitted; train it or load its state first")
        with limited_threads(1):
            predicted = self._estimator.predict_proba(matrix(inputs))
        probs = np.full((len(inputs), self.num_classes), FLOOR)
        probs[:, self._class_columns] = np.maximum(predicted, FLOOR)
        return Outputs(torch.from_numpy(np.log(probs).astype(np.float32)).to(inputs.device))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        data = state_dict.get(f"{prefix}fitted")
        if data is not None:
            if data.dtype != torch.uint8 or data.ndim != 1:
                raise ValueError(f"a saved estimator must be bytes, got {data.dtype} of shape {tuple(data.shape)}")
            content = data.cpu().numpy().tobytes()
            self._set_estimator(trusted.loads(content, "the saved estimator") if content else None)
            self.fitted = torch.empty_like(data, device=self.fitted.device)  # of its length; filled below
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __deepcopy__(self, memo: dict[int, Any]) -> FittedEstimator:
        """Copy the buffers and share the classifier, which never changes after its fit."""
        copy = FittedEstimator(self.num_classes)
        copy.fitted = self.fitted.clone()
        copy._set_estimator(self._estimator)
        return copy.train(self.training)


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
