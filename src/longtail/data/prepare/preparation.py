"""From raw rows to the inputs of a network: the part of a trained model that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from torch import Tensor


@dataclass(frozen=True)
class Read:
    """Raw rows as inputs (K, ...) of a network.

    `names` are those of the N rows, None where rows are numbered; `skipped` says of N - K rows why they have no input.
    """

    inputs: Tensor
    names: tuple[str, ...] | None = None
    skipped: dict[int, str] = field(default_factory=dict)


class Preparation(Protocol):
    """Raw rows -> the tensor (N, ...) that a network was trained on.

    Whatever it learns, it learns from training rows only. It refuses rows that do not fit (columns, dtypes, shapes,
    image mode) with one line that names them.
    """

    @property
    def kind(self) -> str:
        """ "table", "images", "backbone" or "features"."""
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
        """Restore what `to_json` and `blobs` returned."""
        ...
