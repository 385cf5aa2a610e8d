"""A part of CIFAR's training images, balanced or long-tailed, with wrong labels: what `noise_file` trains on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from longtail.comparison.benchmarks import BENCHMARKS
from longtail.data import Splits, load
from longtail.data.simulate.noise import noise_of
from longtail.data.splits import Part
from longtail.facts import profiles


def first_rows(targets: Tensor, counts: list[int]) -> Tensor:
    """Return the first rows of each class, so many as `counts` (C,) say, in the order of the classes.

    `export_cifar --ratio 1` writes class after class in the order of `longtail compare cifar10 --ratio 1`, whose
    shuffle is that of every other ratio, too: the first n_j rows of the file are the rows of that ratio.
    """
    return torch.cat([(targets == j).nonzero().flatten()[:count] for j, count in enumerate(counts)])


def shaped(splits: Splits, *, rows: int | None, ratio: float | None) -> Splits:
    """Return a part of the training rows; both None leave them.

    Args:
        rows: of the balanced part that `ratio` then cuts, spread evenly over the classes.
        ratio: imbalance ratio of the exponential profile.

    Raises:
        ValueError: fewer rows a class than asked for, or no clean file.
    """
    if splits.truth is not None:
        raise ValueError("--data must hold clean labels, which --noise then changes; export it without noise")
    if rows is None and ratio is None:
        return splits
    train, classes = splits.train, len(splits.classes)
    least = int(torch.bincount(train.targets, minlength=classes).min())
    largest = least if rows is None else rows // classes
    if not 1 <= largest <= least:
        raise ValueError(
            f"--rows must be {classes} to {classes * least} for --data, whose smallest class has {least} rows, got "
            f"{rows}; lower it"
        )
    counts = profiles.profile("exp", largest, classes, 1.0 if ratio is None else ratio)
    part: Part = train.take(first_rows(train.targets, list(counts)))
    facts = {name: value for name, value in splits.facts.items() if name != "images"}  # a hash of all of them
    facts |= {"ratio": 1.0 if ratio is None else float(ratio), "largest": largest}
    return replace(splits, train=part, facts=facts)


def with_noise(splits: Splits, noise: str) -> Splits:
    """Return the same images with wrong labels, as --noise of `longtail compare` makes them."""
    return load(splits, noise=noise)


def benchmark_of(splits: Splits, noise: str) -> str | None:
    """Return the published benchmark that these data are, perhaps with fewer rows; None where there is none."""
    asked, ratio = noise_of(noise), splits.facts.get("ratio", 1.0)
    tail = "" if ratio == 1 else f"-lt-{ratio:g}"
    name = f"{splits.name}{tail}-noise-{asked.kind}-{asked.rate:g}"
    return name if name in BENCHMARKS else None
