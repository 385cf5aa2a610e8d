"""Load the data of a comparison, as one split or in cross-validation folds, and warn of identifier columns."""

from __future__ import annotations

from typing import Any

from longtail.comparison.data_warnings import warn_of_identifiers
from longtail.data import Splits, load
from longtail.data.load import check_shaping
from longtail.data.read.dispatch import NAMES, pool
from longtail.data.simulate import SIMULATIONS, simulation
from longtail.data.split.folds import Folds

UNFOLDED = ("test", "ratio")
SHAPING = ("ratio", "profile", "val", "test", *SIMULATIONS)


def load_folds(data: Any, y: Any, k: int, options: dict[str, Any]) -> Folds:
    """Load the data in k cross-validation folds.

    Raises:
        ValueError: data with a split of their own, or an option that makes another test or training part.
    """
    for name in UNFOLDED:
        if options.get(name) is not None:
            raise ValueError(f"{name} cannot go with folds, got {options[name]!r}; every example is tested once there")
    if isinstance(data, Splits) or (isinstance(data, str) and data in NAMES):
        name = data if isinstance(data, str) else data.name
        raise ValueError(f"folds need data without a split of their own, got {name}, which has one; leave out folds")
    simulated = simulation(**{name: options.get(name) for name in SIMULATIONS})
    reading = {name: value for name, value in options.items() if name not in SHAPING}
    return Folds(warn_of_identifiers(pool(data, y, **reading)), k, options.get("val"), simulated)


def load_splits(data: Any, y: Any, options: dict[str, Any]) -> Splits:
    """Load the data in one split; the user's own rows are checked for identifier columns before that."""
    named = isinstance(data, str) and data in NAMES
    if named or isinstance(data, Splits) or options.get("data_dir") is not None:
        return load(data, y, **options)
    shaping = {name: options[name] for name in SHAPING if name in options}
    check_shaping(shaping.get("profile", "exp"), shaping.get("val"))
    simulation(**{name: options.get(name) for name in SIMULATIONS})
    reading = {name: value for name, value in options.items() if name not in (*SHAPING, "data_dir")}
    return load(warn_of_identifiers(pool(data, y, **reading)), **shaping)
