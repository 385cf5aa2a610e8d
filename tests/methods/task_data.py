"""Tiny data for every task, and the methods that are tried on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.catalogue.method import Builders, Method
from longtail.catalogue.resolve import resolve
from longtail.data import Examples, Splits, load
from longtail.data.label_kinds import unlabeled

SIZES = (40, 20, 8)


def noisy(inputs: Tensor, generator: torch.Generator) -> Tensor:
    return inputs + 0.5 * torch.randn(inputs.shape, generator=generator)


def partly_labelled(found: Splits, generator: np.random.Generator) -> Splits:
    """Every third training row keeps its label."""
    labelled = torch.arange(len(found.train)) % 3 == 0
    rest, kept = (found.train.take(torch.nonzero(rows).flatten()) for rows in (~labelled, labelled))
    truth = torch.cat([kept.targets, rest.targets])
    return replace(found, train=kept, unlabeled=replace(rest, targets=unlabeled(len(rest))), truth=truth)


def candidate_sets(found: Splits, generator: np.random.Generator) -> Splits:
    """Each other class is a candidate with probability 0.4."""
    rows = found.train
    candidates = torch.from_numpy(generator.random((len(rows), len(rows.classes))) < 0.4)
    candidates[torch.arange(len(rows)), rows.targets] = True
    return replace(found, train=replace(rows, targets=candidates), truth=rows.targets)


def as_they_are(found: Splits, generator: np.random.Generator) -> Splits:
    return replace(found, truth=found.train.targets)


KNOWN = {
    "supervised": as_they_are,
    "semi-supervised": partly_labelled,
    "partial": candidate_sets,
    "self-supervised": as_they_are,
}
"""Task -> what it leaves of the labels of the training rows."""


IMAGE = (4, 4)


def splits(
    task: str,
    sizes: tuple[int, ...] = SIZES,
    *,
    apart: float = 1.5,
    val: float | None = None,
    shape: tuple[int, ...] = (4,),
) -> Splits:
    """Gaussian classes with the views that some methods ask for; what is known of the labels is the task's.

    Each example is four numbers, or of another shape.

    Raises:
        LookupError: no data are made for this task.
    """
    if task not in KNOWN:
        raise LookupError(
            f"no test data for task {task!r}: say in KNOWN of tests/methods/task_data.py what is known of its labels, "
            f"as for {', '.join(KNOWN)}"
        )
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    inputs = generator.normal(size=(len(y), *shape)) + apart * y.reshape(-1, *(1 for _ in shape))
    found = load(inputs, y, val=val)
    assert isinstance(found.train, Examples)
    found = replace(found, train=replace(found.train, policy={"strong": noisy, "contrast": noisy}))
    return KNOWN[task](found, generator).checked()


def splits_for(found: Method, sizes: tuple[int, ...] = SIZES, **options: Any) -> Splits:
    """Data of a method's task: images where it learns from no others."""
    return splits(found.task, sizes, shape=IMAGE if found.inputs == "images" else (4,), **options)


def by_task(builders: Builders) -> dict[str, list[str]]:
    """Task -> the methods of a catalogue that are for it; a task without data is there too, and fails where used."""
    found: dict[str, list[str]] = {task: [] for task in KNOWN}
    for key in builders:
        found.setdefault(resolve(key, builders).task, []).append(key)
    return found
