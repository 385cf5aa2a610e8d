"""The data of a comparison, looked at before they are split or put in folds."""

from __future__ import annotations

from typing import Any

from longtail.comparison.data_warnings import noted
from longtail.data import Splits, load
from longtail.data.load import check_shaping
from longtail.data.read.dispatch import NAMES, pool
from longtail.data.split.folds import Folds

UNFOLDED = ("test", "ratio")
SHAPING = ("ratio", "profile", "val", "test")


def folds_of(data: Any, y: Any, k: int, options: dict[str, Any]) -> Folds:
    """The data in folds; what makes another test or training part has no say then."""
    for name in UNFOLDED:
        if options.get(name) is not None:
            raise ValueError(f"{name} cannot go with folds, got {options[name]!r}; every example is tested once there")
    if isinstance(data, Splits) or (isinstance(data, str) and data in NAMES):
        name = data if isinstance(data, str) else data.name
        raise ValueError(f"folds need data without a split of their own, got {name}, which has one; leave out folds")
    rest = {name: value for name, value in options.items() if name not in (*UNFOLDED, "profile", "val")}
    return Folds(noted(pool(data, y, **rest)), k, options.get("val"))


def splits_of(data: Any, y: Any, options: dict[str, Any]) -> Splits:
    """The data in one split; what has rows and columns of its own is looked at before it is split."""
    named = isinstance(data, str) and data in NAMES
    if named or isinstance(data, Splits) or options.get("data_dir") is not None:
        return load(data, y, **options)
    shaping = {name: options[name] for name in SHAPING if name in options}
    check_shaping(shaping.get("profile", "exp"), shaping.get("val"))
    rest = {name: value for name, value in options.items() if name not in (*SHAPING, "data_dir")}
    return load(noted(pool(data, y, **rest)), **shaping)
