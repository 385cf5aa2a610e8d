"""From raw rows to the inputs of a network: what has to travel with a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from torch import Tensor


@dataclass(frozen=True)
class Read:
    """Raw rows as inputs (K, ...) of a network.

    `names` are the N rows' own, None where they are numbered; `skipped` says of N - K rows why they have no input.
    """

    inputs: Tensor
    names: tuple[str, ...] | None = None
    skipped: dict[int, str] = field(default_factory=dict)


class Preparation(Protocol):
    """Raw rows -> the tensor (N, ...) that a network was trained on.

    Whatever it had to learn was learnt on training rows only. It refuses rows that do not fit (columns, dtypes,
    shapes, image mode) with one line that names them.
    """

    @property
    def kind(self) -> str:
        """ "table", "images" or "features"."""
        ...

    def __call__(self, raw: Any) -> Tensor:
        """The inputs of these rows."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Everything but what `blobs` holds, as plain JSON, with "kind"."""
        ...

    def blobs(self) -> dict[str, bytes]:
        """Further files by name, such as a fitted scikit-learn pipeline in skops form."""
        ...

    @classmethod
    def from_json(cls, description: dict[str, Any], blobs: Mapping[str, bytes]) -> Self:
        """What `to_json` and `blobs` described."""
        ...
