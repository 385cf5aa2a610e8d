"""Parts of clean data with labels hidden: what training is given does not lead back to the clean labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from longtail.data.label_kinds import GIVEN, unlabeled
from longtail.data.mapped import MappedExamples, MapStyle
from longtail.data.pool import Pool
from longtail.data.simulate.removed_labels import Cut
from longtail.data.simulate.simulation import Simulation
from longtail.data.splits import Part, Splits

NO_CUT = (
    "noise (--noise) order=noise-first is followed by a long-tailed cut, and there is none; add ratio (--ratio), or "
    "leave it out"
)


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
    dataset = part.dataset.inputs if isinstance(part.dataset, OwnLabels) else part.dataset
    rows = torch.arange(len(part)) if part.rows is None else part.rows
    labels = torch.full((int(rows.max()) + 1 if len(rows) else 0,), -1)
    if part.kind == GIVEN:
        labels[rows] = part.targets
    return replace(part, dataset=OwnLabels(dataset, labels), rows=rows)


def hide(
    splits: Splits, simulation: Simulation, source: Part, rows: Tensor, before: Tensor, cut: Cut | None = None
) -> Splits:
    """Return splits with labels of the training part hidden, and its clean ones as `truth`.

    Noise is put on the labels of the validation part, too.

    Args:
        splits: with one label a training row; the test part stays as it is, and without noise the validation part, too.
        simulation: what to hide.
        source: all rows that may be trained on.
        rows, before: rows of the source: the training part, and all that it was cut from.
        cut: the profile of that cut.

    Raises:
        ValueError: the training part has candidate sets, or there are rows without labels.
    """
    if splits.train.kind != GIVEN or splits.unlabeled is not None:
        raise ValueError(f"{simulation.words} must be given for data whose labels are all known; leave it out")
    if splits.truth is not None:
        raise ValueError(
            f"{simulation.words} must be given for clean labels, got data whose labels were changed on purpose; leave "
            "it out"
        )
    if simulation.noise_first and cut is None:
        raise ValueError(NO_CUT)
    classes, clean = splits.classes, source.targets
    labelled, rest = simulation.divided(clean, classes, rows, before, cut or Cut())
    sets, truth = simulation.candidates(clean[labelled], classes), clean[labelled]
    if simulation.noise_first:
        noisy = simulation.noisy(clean[before], classes)
        labels = clean.clone()
        labels[before] = noisy
        given = labels[labelled]
    else:
        given = simulation.noisy(truth, classes) if sets is None else sets
    train = replace(source.take(labelled), targets=given)
    without = replace(source.take(rest), targets=unlabeled(len(rest))) if len(rest) else None
    return replace(
        splits,
        train=with_own_labels(train),
        val=splits.val if simulation.noise is None else _noisy(splits.val, simulation, truth),
        unlabeled=None if without is None else with_own_labels(without),
        truth=torch.cat([truth, clean[rest]]),
        train_rows=labelled,
        facts={**splits.facts, **simulation.facts},
        notes=(*splits.notes, *simulation.note(train.targets, len(rest)), *_noise_note(simulation, given, truth)),
    )


def noisy_targets(pool: Pool, simulation: Simulation, train: Tensor, val: Tensor | None = None) -> Tensor:
    """Return the labels (N,) of a pool with noise on these rows.

    Args:
        pool: with one label a row.
        train, val: rows to be trained on, and declared validation rows, which get noise by the same class sizes.
    """
    noisy = pool.targets.clone()
    noisy[train] = simulation.noisy(pool.targets[train], pool.classes)
    if val is not None and len(val):
        noisy[val] = simulation.noisy(pool.targets[val], pool.classes, pool.targets[train])
    return noisy


def noisy_before_cut(
    pool: Pool, simulation: Simulation | None, train: Tensor, val: Tensor | None, ratio: float | None
) -> Tensor | None:
    """Return `noisy_targets` where noise comes before the cut, else None.

    Raises:
        ValueError: there is no cut.
    """
    if simulation is None or not simulation.noise_first:
        return None
    if ratio is None:
        raise ValueError(NO_CUT)
    return noisy_targets(pool, simulation, train, val)


def _noisy(val: Part | None, simulation: Simulation, train: Tensor) -> Part | None:
    if val is None:
        return None
    return with_own_labels(replace(val, targets=simulation.noisy(val.targets, val.classes, train)))


def _noise_note(simulation: Simulation, given: Tensor, truth: Tensor) -> list[str]:
    return [] if simulation.noise is None else simulation.noise_note(given.cpu() != truth.cpu())
