"""Parts of clean data with labels hidden: what training is given does not lead back to the clean labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from longtail.data.label_kinds import GIVEN, unlabeled
from longtail.data.mapped import MappedExamples, MapStyle
from longtail.data.simulate.removed_labels import Cut
from longtail.data.simulate.simulation import Simulation
from longtail.data.splits import Part, Splits


@dataclass(frozen=True)
class OwnLabels:
    """The inputs of a map-style data set, with the labels of one part: `labels` by row, -1 where it has none."""

    inputs: MapStyle
    labels: Tensor

    def __getitem__(self, row: int) -> tuple[Tensor, Any]:
        return self.inputs[row][0], int(self.labels[row])


def with_own_labels(part: Part) -> Part:
    """Return a part whose data set, where it is read row by row, has no other labels than the part's targets."""
    if not isinstance(part, MappedExamples):
        return part
    rows = torch.arange(len(part)) if part.rows is None else part.rows
    labels = torch.full((int(rows.max()) + 1 if len(rows) else 0,), -1)
    if part.kind == GIVEN:
        labels[rows] = part.targets
    return replace(part, dataset=OwnLabels(part.dataset, labels), rows=rows)


def hide(
    splits: Splits, simulation: Simulation, source: Part, rows: Tensor, before: Tensor, cut: Cut | None = None
) -> Splits:
    """Return splits with labels of the training part hidden, and its clean ones as `truth`.

    Args:
        splits: with one label a training row; test and validation parts stay as they are.
        simulation: what to hide.
        source: all rows that may be trained on.
        rows, before: rows of the source: the training part, and all that it was cut from.
        cut: the profile of that cut.

    Raises:
        ValueError: the training part has candidate sets, or there are rows without labels.
    """
    if splits.train.kind != GIVEN or splits.unlabeled is not None:
        raise ValueError(f"{simulation.words} must be given for data whose labels are all known; leave it out")
    classes, clean = splits.classes, source.targets
    labelled, rest = simulation.divided(clean, classes, rows, before, cut or Cut())
    sets = simulation.candidates(clean[labelled], classes)
    train = source.take(labelled) if sets is None else replace(source.take(labelled), targets=sets)
    without = replace(source.take(rest), targets=unlabeled(len(rest))) if len(rest) else None
    return replace(
        splits,
        train=with_own_labels(train),
        unlabeled=None if without is None else with_own_labels(without),
        truth=torch.cat([clean[labelled], clean[rest]]),
        facts={**splits.facts, **simulation.facts},
        notes=(*splits.notes, simulation.note(train.targets, len(rest))),
    )
