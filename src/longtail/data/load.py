"""Load data of every kind, built-in names, files, folders, arrays and frames, as `Splits`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail.data.cleaning import corrected_splits, corrections
from longtail.data.label_kinds import CANDIDATES, known_classes
from longtail.data.origin import Origin
from longtail.data.prepare.images import FeaturePreparation
from longtail.data.read.arrays import examples
from longtail.data.read.cifar import SOURCES, cifar
from longtail.data.read.dispatch import NAMES, pool
from longtail.data.read.human_labels import check_set
from longtail.data.read.options import flag, given_as
from longtail.data.simulate import Simulation, simulation
from longtail.data.simulate.parts import hide
from longtail.data.simulate.removed_labels import Cut
from longtail.data.split.holdout import TEST_SHARE, check_shares, split
from longtail.data.split.limits import check_share
from longtail.data.split.thinning import check_largest, thinned
from longtail.data.splits import DATA_SEED, Splits, held_out, left_out
from longtail.facts import profiles

DIGITS_LARGEST = 100
"""Training examples of the largest class of long-tailed digits; 74 or more of every class remain for testing."""


def load(
    source: Any = "digits",
    labels: Any = None,
    *,
    label: str | None = None,
    data_dir: str | Path | None = None,
    human_labels: str | Path | None = None,
    classes: Sequence[str] | None = None,
    sample_weight: Any = None,
    ratio: float | None = None,
    profile: str = "exp",
    largest: int | None = None,
    val: float | None = None,
    test: float = TEST_SHARE,
    name: str | None = None,
    labeled: float | None = None,
    unlabeled_size: int | None = None,
    unlabeled_ratio: float | str | None = None,
    ambiguity: float | str | None = None,
    noise: str | None = None,
    keep_cut: bool = False,
    drop_rows: Any = None,
    relabel: Any = None,
    **columns: Any,
) -> Splits:
    """Return data ready for training and testing, checked.

    Args:
        source: "digits", "cifar10", "cifar100", or anything that `pool` reads: a folder of images, a .csv, .tsv,
            .parquet, .npz or .npy file, "hub:owner/name", features or images (tensor, array, frame), `Pool`, `Splits`.
        labels: the labels, where `source` is features; for a frame also the name of its label column.
        data_dir: for cifar10 and cifar100: the folder with train-*.parquet and test-*.parquet, or with their original
            files (data_batch_1, ... or train, and test).
        human_labels: CIFAR-N's file for cifar10 or cifar100 (see `read.human_labels`): training images get its labels,
            of the set that `label` names ("worse", "aggregate", "random1", ..., "noisy"), `truth` the clean ones.
        ratio: make the training part long-tailed with this imbalance ratio; None leaves it (digits: 50, cifar: 100,
            with human labels 1).
        profile: "exp" or "step".
        largest: training rows of the largest class after that cut; None takes as many as there are (digits: 100).
        val: share of the training part to hold out for validation; a split that the data declare wins.
        test: share to hold out for testing where the data declare no test part.
        labeled, unlabeled_size, unlabeled_ratio, ambiguity: hide labels of clean data (see `simulation`); the `truth`
            of the result has them.
        noise: put wrong labels on training and validation rows, KIND:RATE[,option=value...], such as "symmetric:0.4"
            (see `noise_of`); `truth` has the clean ones.
        keep_cut: keep the rows that `ratio` cuts off, as `cut_rows`, for probes on all rows (`full-linear`).
        drop_rows, relabel: a file of `longtail labels`, or a result of `lt.labels.suspects`: training rows to drop, or
            to give the likely label, before validation rows are withheld. Rows for testing are never changed.
        label, classes, sample_weight, name, columns: see `pool`.

    Raises:
        ValueError, TypeError: one line that names the argument, the rule, the value and the way out.
    """
    built_in = isinstance(source, str) and source in NAMES
    check_shaping(profile, val)
    check_largest(largest, 1.0 if built_in else ratio)  # those have a ratio of their own
    hidden = simulation(labeled, unlabeled_size, unlabeled_ratio, ambiguity, noise)
    corrected = corrections(drop_rows, relabel)
    if keep_cut and hidden is not None:
        raise ValueError(
            f"keep_cut (a probe on full rows) cannot go with {hidden.words}, since the rows cut off would keep their "
            "clean labels; leave one of them out"
        )
    if data_dir is not None and not (isinstance(source, str) and source in SOURCES):
        named = source if isinstance(source, str) else "data in memory"
        raise ValueError(f"data_dir (--data-dir) is read for {' and '.join(SOURCES)}, not for {named}; leave it out")
    human = _human(source, human_labels, label, hidden)
    if built_in:
        refuse_columns(source, {"label": None if human else label, **columns})
        splits = _built_in(source, data_dir, ratio, profile, largest, hidden, keep_cut, human)
    elif isinstance(source, Splits):
        splits = source
        if ratio is not None:
            raise ValueError("ratio cannot be applied to data that are already split; make them long-tailed first")
        refuse_columns("data that are already split", columns)
        splits = splits if hidden is None else _hidden(splits, hidden)
    else:
        rows = pool(
            source, labels, label=label, classes=classes, sample_weight=sample_weight, name=name, **columns
        )  # fmt: skip
        shape: Any = {"ratio": ratio, "profile": profile, "largest": largest}
        return split(
            rows, test=test, val=val, simulation=hidden, keep_cut=keep_cut, corrections=corrected, **shape
        )  # fmt: skip
    splits = splits if name is None else replace(splits, name=name)
    splits = splits if corrected is None else corrected_splits(splits, corrected)
    if val is not None and splits.val is None:
        splits = _validated(splits, val)
    return splits.checked()


def check_shaping(profile: str, val: float | None) -> None:
    """Raise ValueError where a profile is unknown or a share cannot be held out, before data are read."""
    if profile not in profiles.PROFILES:
        raise ValueError(f'profile must be one of {", ".join(profiles.PROFILES)}, got {profile!r}; try "exp"')
    if val is not None:
        check_share("val (--val)", val)


def refuse_columns(source: str, given: dict[str, Any]) -> None:
    """Raise ValueError where an option for files is given for built-in data."""
    for option, value in given.items():
        if value is not None and value is not False and not (option == "mirror" and value is True):
            raise ValueError(f"{flag(option)} is not read for {source}, got {given_as(value)}; leave it out")


def _built_in(
    source: str,
    data_dir: str | Path | None,
    ratio: float | None,
    profile: str,
    largest: int | None,
    hidden: Simulation | None,
    keep_cut: bool,
    human: tuple[str | Path, str] | None,
) -> Splits:
    if source == "digits":
        return digits(50.0 if ratio is None else ratio, profile, hidden, largest, keep_cut=keep_cut)
    usual = 100.0 if human is None else 1.0  # CIFAR-N is reported on all images
    ratio = usual if ratio is None else ratio
    shape: Any = {"ratio": ratio, "profile": profile, "largest": largest}
    return cifar(source, data_dir=data_dir, simulation=hidden, keep_cut=keep_cut, human=human, **shape)


def _human(
    source: Any, file: str | Path | None, label: str | None, hidden: Simulation | None
) -> tuple[str | Path, str] | None:
    """Return the file and the set of human labels, checked before data are read; None without a file."""
    if file is None:
        return None
    if not (isinstance(source, str) and source in SOURCES):
        named = source if isinstance(source, str) else "data in memory"
        raise ValueError(
            f"human_labels (--human-labels) is read for {' and '.join(SOURCES)}, not for {named}; leave it out"
        )
    if hidden is not None:
        raise ValueError(
            f"human_labels (--human-labels) cannot go with {hidden.words}, which starts from clean labels; leave one "
            "of them out"
        )
    return file, check_set(source, label)


def digits(
    ratio: float = 50.0,
    profile: str = "exp",
    simulation: Simulation | None = None,
    largest: int | None = None,
    *,
    keep_cut: bool = False,
) -> Splits:
    """Return scikit-learn's 8 x 8 handwritten digits (1,797 real images) with a long-tailed training part.

    The training part follows the profile with 100 images in the largest class, or `largest`, which may be fewer; of
    the others, an equal number of every class is the test part. A simulation may draw rows without labels from all
    rows that are not for testing.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pool = examples(bunch.images.astype(np.float32) / 16.0, bunch.target)
    size = int(pool.class_counts.min()) - DIGITS_LARGEST
    if largest is not None and largest > DIGITS_LARGEST:
        raise ValueError(
            f"largest (--largest) must be at most {DIGITS_LARGEST} for digits, so that enough remain for testing, got "
            f"{largest}; lower it"
        )
    counts = profiles.profile(profile, DIGITS_LARGEST if largest is None else largest, 10, ratio)
    rows = profiles.subset(pool.targets, counts, DATA_SEED)
    rest = np.setdiff1d(np.arange(len(pool)), rows)
    test = rest[profiles.subset(pool.targets[torch.from_numpy(rest)], [size] * 10, DATA_SEED)]
    facts: dict[str, Any] = {"source": "digits", "ratio": float(ratio), "profile": profile}
    facts |= {} if largest is None else {"largest": int(largest)}
    train_part, test_part = (pool.take(torch.from_numpy(part)) for part in (rows, test))
    splits = Splits(
        "digits", train_part, test_part, facts=facts, preparation=FeaturePreparation(train_part.input_shape, "float32"),
        origin=Origin((("sklearn.datasets.load_digits", len(pool)),)), test_rows=torch.from_numpy(test),
        train_rows=torch.from_numpy(rows),
    )  # fmt: skip
    before = torch.from_numpy(np.setdiff1d(np.arange(len(pool)), test))
    if simulation is not None and simulation.noise_first:
        noisy = simulation.noisy(pool.targets[before], splits.classes)
        rows = before[thinned(noisy, splits.classes, ratio, profile, largest)].numpy()
    if simulation is None:
        return replace(splits, cut_rows=left_out(pool, before, torch.from_numpy(rows))) if keep_cut else splits
    return hide(splits, simulation, pool, torch.from_numpy(rows), before, Cut(float(ratio), profile))


def _hidden(splits: Splits, simulation: Simulation) -> Splits:
    rows = torch.arange(len(splits.train))
    hidden = hide(splits, simulation, splits.train, rows, rows)
    known = splits.train_rows is not None and hidden.train_rows is not None
    return replace(hidden, train_rows=splits.train_rows[hidden.train_rows] if known else None)  # type: ignore[index]


def _validated(splits: Splits, share: float) -> Splits:
    """Return the splits with a share of the training rows whose class is known as validation part."""
    if splits.train.kind == CANDIDATES:
        check_shares(None, share)
    known, train = known_classes(splits.train.targets, len(splits.classes)), splits.train
    eligible = torch.nonzero(known >= 0).flatten()
    out = eligible[held_out(known[eligible], share)[1]]
    remaining = torch.ones(len(train), dtype=torch.bool)
    remaining[out] = False
    truth = splits.truth
    if truth is not None:
        truth = truth[torch.cat([remaining, torch.ones(len(truth) - len(train), dtype=torch.bool)])]
    val = replace(train.take(out), targets=known[out])
    kept = torch.nonzero(remaining).flatten()
    numbers = None if splits.train_rows is None else splits.train_rows[kept]
    facts = {**splits.facts, "val": share}
    return replace(splits, train=train.take(kept), val=val, facts=facts, truth=truth, train_rows=numbers)
