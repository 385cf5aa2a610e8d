"""Load data to train on every row, once a method has been chosen: no row is held out for testing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from longtail.data.cleaning import corrections
from longtail.data.label_kinds import CANDIDATES
from longtail.data.load import check_shaping, load
from longtail.data.pool import Pool
from longtail.data.read.dispatch import NAMES, pool
from longtail.data.read.options import OF_CIFAR
from longtail.data.simulate import SIMULATIONS, simulation
from longtail.data.split.assemble import no_rows
from longtail.data.split.holdout import split
from longtail.data.split.thinning import check_largest
from longtail.data.splits import Part, Splits

VAL_SHARE = 0.2
"""Of every class, withheld for validation where a method needs such rows and no share is given."""
SHAPING = ("ratio", "profile", "largest", "val", "keep_cut", "drop_rows", "relabel", *SIMULATIONS)


def load_every_row(source: Any = "digits", labels: Any = None, *, needs_val: bool = False, **options: Any) -> Splits:
    """Return data whose rows are all for training, those declared for testing included; `Splits.every_row` is True.

    Validation rows are withheld where `val` asks for them, or the method needs them; declared ones are taken for it,
    and are training rows otherwise. A table's preparation is fitted on all training rows. Data that come in parts
    (digits, cifar, `Splits`) keep the preparation of their training part; rows that a ratio cut off stay out.

    Args:
        source, labels: as in `data.load`.
        needs_val: whether the method needs validation rows: a share of 0.2 where `val` is None.
        options: as in `data.load`, without `test`.

    Raises:
        ValueError, TypeError: as `data.load`, or `test` is given.
    """
    if options.get("test") is not None:
        raise ValueError(f"test cannot go with every_row (--all), which holds no row out, got {options['test']!r}")
    options = {name: value for name, value in options.items() if name != "test"}
    if isinstance(source, Splits) or (isinstance(source, str) and source in NAMES):
        return _joined(load(source, labels, **{**options, "val": None}), _share(options.get("val"), needs_val))
    for name in OF_CIFAR:
        if options.pop(name, None) is not None:
            raise ValueError(f"{name} (--{name.replace('_', '-')}) is read for cifar10 and cifar100; leave it out")
    shaping = {name: options.pop(name) for name in SHAPING if name in options}
    check_shaping(shaping.get("profile", "exp"), shaping.get("val"))
    check_largest(shaping.get("largest"), shaping.get("ratio"))
    hidden = simulation(**{name: shaping.pop(name, None) for name in SIMULATIONS})
    corrected = corrections(shaping.pop("drop_rows", None), shaping.pop("relabel", None))
    rows: Pool = pool(source, labels, **options)
    shaping["val"] = _share(shaping.get("val"), needs_val)
    splits = split(rows, test=None, simulation=hidden, corrections=corrected, **shaping)
    return replace(splits, notes=(*splits.notes, _said(splits)))


def _share(val: float | None, needs_val: bool) -> float | None:
    return VAL_SHARE if val is None and needs_val else val


def _joined(splits: Splits, val: float | None) -> Splits:
    """Return parts joined for training; declared validation rows stay apart where some are to be withheld."""
    check_shaping("exp", val)
    kept, parts = (splits.val, [splits.test]) if val is not None else (None, [splits.val, splits.test])
    train, truth, rows, size = splits.train, splits.truth, splits.train_rows, len(splits.train)
    for part in parts:
        if part is not None:
            train = train.joined(part, _as_in(train, part))  # type: ignore[arg-type]
    if splits.val is not None and kept is None:  # which rows these are, and their clean labels, is not known
        truth, rows = None, None
    if truth is not None:
        truth = torch.cat([truth[:size], splits.test.targets.cpu(), truth[size:]])
    numbers = None if rows is None or splits.test_rows is None else torch.cat([rows, splits.test_rows])
    whole = replace(
        splits, train=train, test=no_rows(train), val=kept, facts={**splits.facts, "test": 0}, truth=truth,
        train_rows=numbers, test_rows=torch.empty(0, dtype=torch.int64), cut_rows=None,
    )  # fmt: skip
    whole = load(whole, val=val).checked()
    return replace(whole, notes=(*whole.notes, _said(whole)))


def _as_in(train: Part, part: Part) -> torch.Tensor:
    """Return the labels of rows with a class as those of the training part: classes, or sets of one candidate."""
    if train.kind != CANDIDATES:
        return part.targets
    return F.one_hot(part.targets, len(train.classes)).bool()


def _said(splits: Splits) -> str:
    rows, withheld = len(splits.train), 0 if splits.val is None else len(splits.val)
    parted = f"{rows} of {rows + withheld} rows are for training, {withheld} are withheld for validation"
    whole = f"all {rows} rows are for training, none is withheld"
    return f"{parted if withheld else whole}; there is no test part, so nothing is scored"
