"""Runs without a model: of a classifier of the user's whose parts the loader of models does not trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longtail.catalogue.method import Method
from longtail.data import Part, Splits
from longtail.runs.predictor import Predictor


def saved(predictor: Predictor, folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Save the model of a run; return its files, and the entry `model` of run.json: why there is none, or {}."""
    why = getattr(predictor.network, "unsaved", None)
    return (predictor.save(folder), {}) if why is None else ((), {"model": f"not saved: {why}"})


def check_every_row(method: Method, splits: Splits, folder: object) -> None:
    """Refuse a training on every row into a folder, for the model alone, that cannot be saved; raises as `check`."""
    if splits.every_row and folder is not None:
        check(method, splits.train, "a training on every row (--all)")


def of_folds(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the same of a cross-validated run: that of the first fold that has it."""
    return next(({"model": result["model"]} for result in results if "model" in result), {})


def check(method: Method, rows: Part, what: str) -> None:
    """Check, before any training, that a model will be saved, for what is of use only with it.

    Raises:
        ValueError: it cannot be saved; or the method cannot learn from these rows.
    """
    if method.given is None:
        return
    if (reason := method.refuses(rows)) is not None:
        raise ValueError(reason)
    if (why := method.given.unsaved) is not None:
        raise ValueError(
            f"{what} is for a model that is saved, which {method.key!r} cannot be ({why}); leave it out, or choose a "
            "method of longtail methods"
        )
