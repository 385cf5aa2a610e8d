"""Views changed further, each row by a strength of its own that the training learns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.data.generators import derived
from longtail.data.over_rows import OverRows
from longtail.data.rows import BatchedRows
from longtail.data.views.magnitudes import Graded
from longtail.data.views.policies import graded_change
from longtail.data.views.types import Numbers, numbers_by_batch
from longtail.facts.types import Batch, Drawn

LARGEST = 30.0
"""The scale of magnitudes: m of 30."""
Strength = Callable[[], Tensor]
"""() -> strength (N,) in [0, 1] of every row, on the device of the batches; called in every step."""


@dataclass(frozen=True)
class FurtherChange(OverRows):
    """The batches of `rows`, in which every view of row i is changed further, by its strength M_i.

    After the view, `operations` changes one after the other, each applied with probability M_i and drawn anew for every
    view, with replacement. Their magnitude, of 30, is m_i = floor + (30 - floor) M_i u, u = 1, or where `random` one
    draw from U(0, 1) a row and step, which its views and changes share. With M_i = 0 a row is that of `rows` to the
    bit; so is the order of rows.

    Images are changed by `magnitudes.OneOperation`, rows of a table by `GradedMasking`, features by `GradedNoise`.

    Args:
        rows: with views.
        strength: the strengths; they are not part of the data, but of what trains (a buffer), and may change between
            two steps, those of a captured graph too.
        operations: k >= 1.
        floor: in [0, 30], the magnitude at strength 0.
        random: whether u is drawn.

    Raises:
        ValueError: an argument out of range.

    Reference: Zhou et al. 2022, "Contrastive learning with boosted memorization".
    """

    rows: BatchedRows
    strength: Strength
    operations: int = 1
    floor: float = 10.0
    random: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.operations, bool) or not isinstance(self.operations, int) or self.operations < 1:
            raise ValueError(f"operations must be an integer >= 1, got {self.operations!r}; 1 and 2 are BCL's")
        if not 0 <= self.floor <= LARGEST:
            raise ValueError(f"floor must be in [0, {LARGEST:g}], got {self.floor!r}; 10 and 5 are BCL's")

    @property
    def change(self) -> Graded:
        """What changes inputs of this kind."""
        return graded_change(self.rows.input_shape, self.rows.policy)

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Numbers:
        """Return u (rows,), and for every view and operation U(0, 1) (rows,) and the numbers of the change."""
        u = torch.rand(rows, generator=generator, dtype=torch.float64) if self.random else torch.ones(rows).double()

        def once() -> Numbers:
            chance = torch.rand(rows, generator=generator, dtype=torch.float64)
            return chance, self.change.draw(rows, shape, generator)

        views = max(1, len(self.rows.views)) if self.rows.view_of is None else 1
        return u, tuple(tuple(once() for _ in range(self.operations)) for _ in range(views))

    def draws(self, progress: float, generator: torch.Generator) -> Iterator[Drawn]:
        """Yield the random part of every batch of one epoch; that of the rows is as it is without a further change."""
        rows = self.rows
        most = rows.steps() * rows.batch_size  # the last batch may be smaller
        shape, device = rows.input_shape, rows.targets.device
        # of its own, and another in each pass of an epoch of several, which leaves that of the rows as it is
        here = hashlib.sha256(generator.get_state().numpy().tobytes()).hexdigest()
        own = derived(generator, f"further {here}")
        numbers = numbers_by_batch([self], most, rows.batch_size, shape, own, device)
        for drawn, (further,) in zip(rows.draws(progress, generator), numbers, strict=False):
            yield Drawn(**drawn, further=_first(further, len(drawn["index"])))

    def batch_of(self, drawn: Drawn) -> Batch:
        """Return the batch that was drawn, its views changed by the present strengths of its rows."""
        batch = self.rows.batch_of(drawn)
        u, numbers = drawn["further"]
        strength = self.strength()[batch["index"]].double()
        magnitude = (self.floor + (LARGEST - self.floor) * strength * u) / LARGEST
        inputs, change = batch["inputs"], self.change
        views = []
        for view, each in zip(inputs if isinstance(inputs, tuple) else (inputs,), numbers, strict=True):
            for chance, own in each:
                view = change.at(view, own, magnitude, chance < strength)
            views.append(view)
        changed = tuple(views) if isinstance(inputs, tuple) else views[0]
        return Batch(**{**batch, "inputs": changed})


def _first(numbers: Numbers, rows: int) -> Numbers:
    return tuple(value[:rows] if isinstance(value, Tensor) else _first(value, rows) for value in numbers)
