"""Load the data of a comparison or a search, as one split or in folds, and warn of identifier columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from longtail.comparison.data_warnings import warn_of_identifiers
from longtail.data import Splits, load
from longtail.data.cleaning import corrections
from longtail.data.load import check_shaping
from longtail.data.pool import Pool
from longtail.data.read.dispatch import NAMES, pool
from longtail.data.read.options import OF_CIFAR
from longtail.data.simulate import SIMULATIONS, simulation
from longtail.data.split.folds import Folds
from longtail.data.split.search import pool_of_training_part, search_splits, training_pool, without_test_part
from longtail.data.split.thinning import check_largest
from longtail.facts.messages import quoted

UNFOLDED = ("test", "ratio", "largest", "drop_rows", "relabel")
SHAPING = ("ratio", "profile", "largest", "val", "test", "keep_cut", "drop_rows", "relabel", *SIMULATIONS)


def load_folds(data: Any, y: Any, k: int, options: dict[str, Any]) -> Folds:
    """Load the data in k cross-validation folds.

    Raises:
        ValueError: data with a split of their own, or an option that makes another test or training part.
    """
    for name in UNFOLDED:
        if options.get(name) is not None:
            got = str(options[name]) if isinstance(options[name], Path) else options[name]
            raise ValueError(
                f"{name} cannot go with folds, got {quoted(got)}; every example is tested once there: leave out folds "
                f"(--folds) or {name}"
            )
    if isinstance(data, Splits) or (isinstance(data, str) and data in NAMES):
        name = data if isinstance(data, str) else data.name
        raise ValueError(f"folds need data without a split of their own, got {name}, which has one; leave out folds")
    simulated = simulation(**{name: options.get(name) for name in SIMULATIONS})
    reading = {name: value for name, value in options.items() if name not in SHAPING}
    return Folds(warn_of_identifiers(pool(data, y, **reading)), k, options.get("val"), simulated)


def load_splits(data: Any, y: Any, options: dict[str, Any]) -> tuple[Splits, Pool | None]:
    """Load the data in one split; the user's own rows are checked for identifier columns before that.

    Returns:
        the split, and the rows as they were read, None of data that come in parts.
    """
    if _is_split(data, options):
        return load(data, y, **options), None
    rows, shaping = _read(data, y, options)
    return load(rows, **shaping), rows


def load_search(
    data: Any, y: Any, inner_folds: int | None, options: dict[str, Any], *, any_time: bool = False
) -> Splits | Folds:
    """Load the data of a search for knobs, without the rows for testing.

    Args:
        data, y, options: as in `data.load`.
        inner_folds: how often the training rows are divided; None validates on a share of them.
        any_time: whether folds may judge rows by later ones, as labels may be judged, where the rows have times.

    Returns:
        splits with the validation part in place of the test part, too; or the training rows in folds.

    Raises:
        ValueError: no validation rows, or both a share of them and folds.
    """
    if inner_folds is not None and options.get("val") is not None:
        raise ValueError(
            f"val cannot go with inner_folds, which validate every training row once, got {options['val']!r}; leave "
            "one of them out"
        )
    if _is_split(data, options):
        splits = load(data, y, **options)
        return without_test_part(splits) if inner_folds is None else Folds(pool_of_training_part(splits), inner_folds)
    rows, shaping = _read(data, y, options)
    hidden = simulation(**{name: shaping.pop(name, None) for name in SIMULATIONS})
    shaping["corrections"] = corrections(shaping.pop("drop_rows", None), shaping.pop("relabel", None))
    shaping.pop("keep_cut", None)  # of probes, and there are none in a search
    if inner_folds is None:
        return search_splits(rows, simulation=hidden, **shaping)
    noise, hidden = (None, None) if hidden is None else hidden.parted()
    shaping = {k: v for k, v in shaping.items() if k != "val"}
    training = training_pool(rows, noise=noise, **shaping)
    return Folds(replace(training, times=None) if any_time else training, inner_folds, None, hidden)


def _is_split(data: Any, options: dict[str, Any]) -> bool:
    """Return whether the data have parts already, or are made with them."""
    named = isinstance(data, str) and data in NAMES
    of_cifar = any(options.get(name) is not None for name in OF_CIFAR)
    return named or isinstance(data, Splits) or of_cifar


def _read(data: Any, y: Any, options: dict[str, Any]) -> tuple[Pool, dict[str, Any]]:
    """Return the rows as they were read, and the checked options that shape them."""
    shaping = {name: options[name] for name in SHAPING if name in options}
    check_shaping(shaping.get("profile", "exp"), shaping.get("val"))
    check_largest(shaping.get("largest"), shaping.get("ratio"))
    simulation(**{name: options.get(name) for name in SIMULATIONS})
    reading = {name: value for name, value in options.items() if name not in (*SHAPING, *OF_CIFAR)}
    return warn_of_identifiers(pool(data, y, **reading)), shaping
