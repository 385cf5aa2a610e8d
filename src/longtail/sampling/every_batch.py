"""Batches that are never without a class, or never without rare rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, final

import torch
from torch import Tensor

from longtail.facts.counts import encode
from longtail.facts.knobs import Choice, Range
from longtail.sampling.rows import RowSampler

AT_LEAST = Range(1, integer=True)
OF = Choice(("each", "rare"))


@final
class EveryBatch(RowSampler):
    """The draw of another sampler, changed where a batch lacks rows: a row that it can spare is exchanged.

    What is exchanged is chosen at random among the rows that are not needed themselves; what replaces it is drawn
    uniformly from the rows of the class that is missing. A last batch that is too small to satisfy the guarantee is
    left out.

    Args:
        after: the sampler whose draw is changed; seed, rank and world size are its own.
        labels: of all rows, as `longtail.class_counts` reads them.
        batch_size: B, over all ranks, into which the draw is cut in its order.
        at_least: k >= 1.
        of: "each": k rows of every class that has rows; "rare": k rows of the classes that have fewer than N / C rows,
            taken together.

    Raises:
        ValueError: a batch, or an epoch, has no room for them.
    """

    def __init__(
        self,
        after: RowSampler,
        labels: Any,
        *,
        batch_size: int,
        at_least: Annotated[int, AT_LEAST] = 1,
        of: Annotated[str, OF] = "each",
    ) -> None:
        AT_LEAST.check("at_least", at_least)
        AT_LEAST.check("batch_size", batch_size)
        OF.check("of", of)
        codes, names = encode(labels)
        indices = torch.as_tensor(codes, dtype=torch.int64)
        counts = torch.bincount(indices, minlength=len(names))
        present = counts > 0
        chosen = present if of == "each" else present & (counts * int(present.sum()) < counts.sum())
        number = chosen.long().cumsum(0) - 1 if of == "each" else torch.zeros_like(counts)
        self._group = torch.where(chosen, number, -1)[indices]  # of every row; -1 for none
        groups = int(self._group.max()) + 1
        needed, rows = at_least * groups, after.num_samples
        if needed > min(batch_size, rows):
            what = f"{at_least} rows of each of {groups} classes" if of == "each" else f"{at_least} rare rows"
            raise ValueError(
                f"batch_size must be at least {needed} for batches with {what}, got {batch_size} (and {rows} rows an "
                "epoch); take larger batches or a smaller at_least"
            )
        whole = rows if rows % batch_size >= needed else rows - rows % batch_size
        super().__init__(whole, seed=after.seed, rank=after.rank, world_size=after.world_size)
        self.after, self.batch_size, self.at_least = after, int(batch_size), int(at_least)
        self._pools = [torch.nonzero(self._group == g).flatten() for g in range(groups)]

    def chunks(self, progress: float | None, generator: torch.Generator) -> Iterator[Tensor]:
        """Batch by batch."""
        rows = self.after.draw(progress, generator)[: self.num_samples]
        for batch in torch.split(rows, self.batch_size):
            yield self._completed(batch, generator)

    def _completed(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        group = self._group[batch]
        counts = torch.bincount(group[group >= 0], minlength=len(self._pools)).tolist()
        missing = [g for g, count in enumerate(counts) for _ in range(self.at_least - count)]
        if not missing:
            return batch
        batch = batch.clone()
        spare = iter(torch.randperm(len(batch), generator=generator).tolist())
        for g in missing:
            place = next(i for i in spare if group[i] < 0 or counts[int(group[i])] > self.at_least)
            if group[place] >= 0:
                counts[int(group[place])] -= 1
            pool = self._pools[g]
            batch[place] = pool[int(torch.randint(len(pool), (), generator=generator))]
        return batch
