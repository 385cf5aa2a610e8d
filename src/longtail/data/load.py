"""One entrance for data: our names, array files, arrays and frames become `Splits`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail import profiles
from longtail.data import files
from longtail.data.arrays import examples, is_frame
from longtail.data.cifar import SOURCES, cifar
from longtail.data.examples import Examples
from longtail.data.splits import DATA_SEED, Splits, held_out

NAMES = ("digits", *SOURCES)
TEST_SHARE = 0.25
DIGITS_LARGEST = 100
"""Training examples of the largest class of long-tailed digits: 74 or more of every class stay for testing."""


def load(
    source: Any = "digits",
    labels: Any = None,
    *,
    label: str | None = None,
    data_dir: str | Path | None = None,
    classes: Sequence[str] | None = None,
    sample_weight: Any = None,
    ratio: float | None = None,
    profile: str = "exp",
    val: float | None = None,
    test: float = TEST_SHARE,
    name: str | None = None,
) -> Splits:
    """Data ready for training and testing, checked.

    Args:
        source: "digits", "cifar10", "cifar100", a path to .npz or .npy, features or images (tensor, array, frame),
            `Splits`.
        labels: the labels, where `source` is features; for a frame also the name of its label column.
        label: the label column of a frame, or the label file beside an .npy.
        classes: the class names in order, where the labels do not tell.
        sample_weight: one weight per example, or None.
        data_dir: for cifar10 and cifar100: the folder with train-*.parquet and test-*.parquet.
        ratio: make the training part long-tailed with this imbalance ratio; None leaves it (digits: 50, cifar: 100).
        profile: "exp" or "step".
        val: share of the training part withheld for validation; a split that the data declare wins.
        test: share held out for testing where the data declare no test part.
        name: what tables and folders call it.

    Raises:
        ValueError, TypeError: one line that names the argument, the rule, the value and the way out.
    """
    if profile not in profiles.PROFILES:
        raise ValueError(f'profile must be one of {", ".join(profiles.PROFILES)}, got {profile!r}; try "exp"')
    if data_dir is not None and not (isinstance(source, str) and source in SOURCES):
        named = source if isinstance(source, str) else "data in memory"
        raise ValueError(f"data_dir (--data-dir) is read for {' and '.join(SOURCES)}, not for {named}; leave it out")
    if isinstance(source, Splits):
        splits = source
        if ratio is not None:
            raise ValueError("ratio cannot be applied to data that are already split; make them long-tailed first")
    elif isinstance(source, str | Path):
        splits = _named(str(source), data_dir, label, ratio, profile, test)
    else:
        splits = _from_arrays(source, labels, label, classes, sample_weight, ratio, profile, test)
    if name is not None:
        splits = Splits(name, splits.train, splits.test, splits.val, splits.facts, splits.notes)
    if val is not None and splits.val is None:
        stay, held = held_out(splits.train.targets, val)
        facts = {**splits.facts, "val": val}
        splits = Splits(splits.name, splits.train.take(stay), splits.test, splits.train.take(held), facts, splits.notes)
    return splits.checked()


def _named(
    source: str, data_dir: str | Path | None, label: str | None, ratio: float | None, profile: str, test: float
) -> Splits:
    if source == "digits":
        return digits(50.0 if ratio is None else ratio, profile)
    if source in SOURCES:
        return cifar(source, data_dir=data_dir, ratio=100.0 if ratio is None else ratio, profile=profile)
    path = Path(source)
    if path.suffix in files.SUFFIXES or path.is_file():
        return _from_file(path, label, ratio, profile, test)
    if path.exists():
        raise ValueError(
            f"data {source!r} is a folder, which this version cannot read; "
            "save features or images and labels as .npz (X and y)"
        )
    near = difflib.get_close_matches(source, NAMES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known names: {', '.join(NAMES)}; or a path to .npz or .npy"
    raise ValueError(f"data {source!r} is neither a known name nor an existing file; {hint}")


def digits(ratio: float = 50.0, profile: str = "exp") -> Splits:
    """scikit-learn's bundled 8 x 8 handwritten digits (1,797 real images) with a long-tailed training part.

    The training part follows the profile with 100 images in the largest class; of what is left, an equal
    number of every class is the test part.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pool = examples(bunch.images.astype(np.float32) / 16.0, bunch.target)
    size = int(pool.class_counts.min()) - DIGITS_LARGEST
    counts = profiles.profile(profile, DIGITS_LARGEST, 10, ratio)
    rows = profiles.subset(pool.targets, counts, DATA_SEED)
    rest = np.setdiff1d(np.arange(len(pool)), rows)
    test = rest[profiles.subset(pool.targets[torch.from_numpy(rest)], [size] * 10, DATA_SEED)]
    facts = {"source": "digits", "ratio": float(ratio), "profile": profile}
    return Splits("digits", pool.take(torch.from_numpy(rows)), pool.take(torch.from_numpy(test)), facts=facts)


def _from_file(path: Path, label: str | None, ratio: float | None, profile: str, test: float) -> Splits:
    arrays = files.read(path, label)
    if "classes" in arrays:
        classes: list[str] | None = [str(c) for c in arrays["classes"]]
    else:
        # one set of names for all parts, wherever a class happens to occur
        every = np.concatenate([np.asarray(arrays[k]).ravel() for k in ("y", "y_val", "y_test") if k in arrays])
        classes = None if every.dtype.kind in "biu" and every.size == 0 else _names(every)
    train = examples(arrays["X"], arrays["y"], classes=classes, sample_weight=arrays.get("sample_weight"))
    parts = {
        part: examples(arrays[f"X_{part}"], arrays[f"y_{part}"], classes=classes)
        for part in ("val", "test")
        if f"X_{part}" in arrays
    }
    for part, rows in parts.items():
        if rows.inputs.shape[1:] != train.inputs.shape[1:]:
            raise ValueError(
                f"the {part} part must have the features of the training part, got "
                f"{tuple(rows.inputs.shape[1:])} against {tuple(train.inputs.shape[1:])}; save the same columns"
            )
    return _assembled(path.stem, train, parts.get("val"), parts.get("test"), ratio, profile, test)


def _names(labels: np.ndarray) -> list[str] | None:
    from longtail.counts import class_names

    return class_names(labels)


def _from_arrays(
    source: Any,
    labels: Any,
    label: str | None,
    classes: Sequence[str] | None,
    sample_weight: Any,
    ratio: float | None,
    profile: str,
    test: float,
) -> Splits:
    column = label if label is not None else labels if isinstance(labels, str) else None
    if is_frame(source) and column is not None:
        if column not in source.columns:
            raise ValueError(
                f"label must be a column of the frame, got {column!r}; columns are "
                f"{', '.join(map(str, list(source.columns)[:8]))}"
            )
        source, labels = source.drop(columns=[column]), source[column]
    if labels is None:
        raise TypeError("labels are missing; pass them as the second argument, or label= for a frame's column")
    train = examples(source, labels, classes=classes, sample_weight=sample_weight)
    return _assembled("data", train, None, None, ratio, profile, test)


def _assembled(
    name: str,
    train: Examples,
    val: Examples | None,
    test: Examples | None,
    ratio: float | None,
    profile: str,
    share: float,
) -> Splits:
    facts: dict[str, Any] = {"source": name}
    notes: tuple[str, ...] = ()
    if len(train.classes) < 2:
        raise ValueError(f"data must have at least two classes, got only {train.classes[0]!r}; nothing to tell apart")
    if test is None:
        stay, held = held_out(train.targets, share)
        if len(held) == 0:
            raise ValueError("no class has two examples, so nothing can be held out for testing; add examples")
        train, test = train.take(stay), train.take(held)
        facts["test"] = share
        notes = (f"{share:.0%} of every class was held out for testing (at least one, never the last one)",)
    if ratio is not None:
        available = train.class_counts.double()
        share_of_max = float(ratio) ** (torch.arange(len(available)) / max(len(available) - 1, 1)).double()
        if profile == "step":
            share_of_max = torch.tensor(
                [1.0 if j < len(available) // 2 else float(ratio) for j in range(len(available))]
            )
        n_max = int((available * share_of_max).min()) if ratio >= 1 else 1
        rows = profiles.subset(
            train.targets, profiles.profile(profile, max(n_max, 1), len(available), ratio), DATA_SEED
        )
        train = train.take(torch.from_numpy(np.sort(rows)))
        facts |= {"ratio": float(ratio), "profile": profile}
    return Splits(name, train, test, val, facts, notes)
