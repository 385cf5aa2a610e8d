"""`longtail train --all`: the data and the recipe of a training on every row, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longtail.catalogue.method import Method
    from longtail.comparison.question import Asked
    from longtail.data import Splits
    from longtail.engine import Recipe


def prepared(
    method: Method,
    data: str,
    options: dict[str, Any],
    changes: dict[str, Any],
    *,
    every_row: bool,
    comparison: Path | None,
    select: str,
    decides: dict[str, Any],
) -> tuple[Splits, Recipe, dict[str, Any] | None]:
    """Return the data, the recipe and, with a comparison, what it measured of the method.

    Raises:
        ValueError: a comparison without --all, or one of other data, methods or recipe.
    """
    from longtail.comparison.expectation import as_compared
    from longtail.data import load
    from longtail.data.every_row import load_every_row
    from longtail.engine.default_recipe import default_recipe
    from longtail.runs.cross_validation import of_fold

    if not every_row:
        if comparison is not None:
            raise ValueError(
                f"--comparison is quoted for a model without test rows of its own (--all), got {str(comparison)!r}; "
                "add --all or leave it out"
            )
        splits = load(data, **options)
        return splits, default_recipe(splits, **changes), None
    expected, recipe = None, None
    if comparison is not None:
        expected, recipe = as_compared(comparison, method, data, None, options, changes, select, _asked(decides))
    splits = load_every_row(data, needs_val=method.needs_val, **options)
    return splits, default_recipe(splits, **changes) if recipe is None else of_fold(recipe, splits), expected


def _asked(decides: dict[str, Any]) -> Asked | None:
    """Return what the model decides for, as a comparison asks for it."""
    from longtail.comparison.question import Asked

    if decides["cost"] is None and decides["objective"] is None:
        return None
    return Asked(**decides) if decides["cost"] is None else Asked("cost", **decides)


def announced(splits: Splits, expected: dict[str, Any] | None) -> str:
    """What a training on every row says in place of scores: how many rows, and what to expect."""
    rows = f"trained on all {len(splits.train)} rows, none left to score it on"
    if splits.val is not None:
        withheld = f"{len(splits.val)} withheld for validation"
        rows = f"trained on {len(splits.train)} rows, {withheld}, none left to score it on"
    return rows if expected is None else f"{rows}; {to_expect(expected)}"


def to_expect(expected: dict[str, Any]) -> str:
    """A sentence on a comparison's estimate."""
    from longtail.facts.messages import quoted
    from longtail.metrics.registry import metric
    from longtail.report.new_scores import interval

    name = expected["metric"] if expected["metric"] in expected["metrics"] else next(iter(expected["metrics"]))
    one = metric(name)
    label = f"{one.label} ({quoted(expected['positive'])})" if one.needs == "positive" else one.label
    seeds = f"{expected['seeds']} seed{'s' * (expected['seeds'] != 1)}"
    decided = expected.get("decided_for")
    return (
        f"what to expect: {label} {interval(name, expected['metrics'][name], '95 % interval ')}, as "
        f"{expected['method']} had in {expected['comparison']} with {seeds} on {expected['rows']} rows that it was not "
        f"trained on{'' if decided is None else f', decided for: {decided}'}"
    )
