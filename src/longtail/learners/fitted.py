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
    keeps tensors keeps it; bytes that are put back are checked at once. Always on the CPU and in one thread, so that
    its numbers do not depend on how many threads there are.

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
        self._take(estimator)

    def _take(self, estimator: Any) -> None:
        self._estimator = estimator
        self._columns = None if estimator is None else _columns(estimator, self.num_classes)

    def forward(self, inputs: Tensor) -> Outputs:
        """Log-probabilities on the device of the inputs."""
        if self._estimator is None:
            raise RuntimeError("the estimator is not fitted; train it or load its state first")
        with threads(1):
            found = self._estimator.predict_proba(rows(inputs))
        probs = np.full((len(inputs), self.num_classes), FLOOR)
        probs[:, self._columns] = np.maximum(found, FLOOR)
        return Outputs(torch.from_numpy(np.log(probs).astype(np.float32)).to(inputs.device))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        data = state_dict.get(f"{prefix}fitted")
        if data is not None:
            if data.dtype != torch.uint8 or data.ndim != 1:
                raise ValueError(f"a saved estimator must be bytes, got {data.dtype} of shape {tuple(data.shape)}")
            content = data.cpu().numpy().tobytes()
            self._take(trusted.loads(content, "the saved estimator") if content else None)
            self.fitted = torch.empty_like(data, device=self.fitted.device)  # of its length; filled below
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __deepcopy__(self, memo: dict[int, Any]) -> FittedEstimator:
        """A copy that shares the classifier, which nothing changes once it is fitted."""
        twin = FittedEstimator(self.num_classes)
        twin.fitted = self.fitted.clone()
        twin._take(self._estimator)
        return twin.train(self.training)


def rows(inputs: Tensor) -> NDArray[np.float64]:
    """Inputs (N, ...) as scikit-learn wants them: (N, D) float64."""
    return inputs.detach().flatten(1).double().cpu().numpy()


def _empty() -> Tensor:
    return torch.empty(0, dtype=torch.uint8)


def _columns(estimator: Any, num_classes: int) -> NDArray[np.int64]:
    """Which of our classes the columns of the classifier's probabilities are."""
    found = np.asarray(getattr(estimator, "classes_", None))
    if found.dtype.kind not in "iu" or found.ndim != 1 or len(np.unique(found)) != len(found) or len(found) < 2:
        raise ValueError("a saved estimator must be a classifier of class indices, got something else; train it again")
    if found.min() < 0 or found.max() >= num_classes:
        raise ValueError(
            f"the classes of a saved estimator must be in [0, {num_classes}), got {found.min()} to {found.max()}; "
            "train it again in a new folder"
        )
    return found.astype(np.int64)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, OpenMP and BLAS use so many threads, torch's setting included; outside, what they used before."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=count):
        yield
