"""Hide labels of the training rows of a pool, or put noise on them, as a simulation says."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from longtail.data.label_kinds import CANDIDATES
from longtail.data.pool import Pool
from longtail.data.simulate import Simulation
from longtail.data.simulate.parts import noisy_targets
from longtail.data.simulate.removed_labels import Cut


def simulated(
    pool: Pool,
    rows: dict[str, Tensor],
    before: Tensor,
    cut: Cut,
    simulation: Simulation,
    noisy: Tensor | None = None,
) -> tuple[Pool, dict[str, Tensor]]:
    """Return the pool with its labels hidden as `simulation` says, its clean ones as `truth`, and the rows by part.

    Args:
        pool: with one label a row.
        rows: of every part; those of "train" are divided.
        before: the training rows before they were cut to a profile.
        cut: that profile.
        noisy: (N,) labels with noise, where it was drawn already; None draws it for these training rows.
    """
    divided = simulation.divided(pool.targets, pool.classes, rows["train"], before, cut)
    rows = {**rows, "train": divided.labeled}
    if len(divided.unlabeled):
        rows["unlabeled"] = divided.unlabeled
    sets, truth = simulation.candidates(pool.targets, pool.classes), pool.truth
    if truth is None:
        truth = pool.targets
    if sets is not None:
        pool = pool.with_targets(sets)
    elif simulation.noise is not None:
        trained, val = rows["train"], rows.get("val", before[:0])
        labels = noisy_targets(pool, simulation, trained, val) if noisy is None else noisy
        unchanged = torch.ones(len(pool), dtype=torch.bool)
        unchanged[torch.cat([trained, val])] = False  # rows that are tested have their clean labels
        pool = pool.with_targets(torch.where(unchanged, pool.targets, labels))
    given = pool.targets[rows["train"]]
    notes = simulation.note(given, len(divided.unlabeled))
    notes += [] if simulation.noise is None else simulation.noise_note(given != truth[rows["train"]])
    return replace(pool, truth=truth, notes=(*pool.notes, *notes)), rows


def check_clean(pool: Pool, simulation: Simulation | None) -> None:
    """Raise ValueError where labels are to be hidden of data that have rows without, or sets."""
    if simulation is not None and (pool.kind == CANDIDATES or pool.unlabeled is not None):
        what = "candidate sets" if pool.kind == CANDIDATES else "rows without labels"
        raise ValueError(
            f"{simulation.words} must be given for data whose labels are all known, got {what}; leave it out"
        )


def check_foldable(pool: Pool, simulation: Simulation | None) -> None:
    """Raise ValueError where rows have an order in time, or a simulation cannot be made in every fold."""
    if pool.times is not None:
        raise ValueError(
            "folds (--folds, --inner-folds) test the past by the future, too, which time (--time) rules out; leave one "
            "of them out, and hold out the latest rows (--val)"
        )
    check_clean(pool, simulation)
    if simulation is not None and simulation.noise_first:
        raise ValueError(
            "noise (--noise) order=noise-first is followed by a long-tailed cut, which folds (--folds) do not have; "
            "leave one of them out"
        )
