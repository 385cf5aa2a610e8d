"""Candidate sets of classes: from cells that name several, and checks of sets in any form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longtail.facts.messages import quoted


class CandidateSets(NamedTuple):
    """Candidate sets (N, C) bool and the C class names."""

    targets: Tensor
    classes: tuple[str, ...]


def check_separator(separator: Any) -> str:
    """Return the separator of class names in a cell.

    Raises:
        TypeError, ValueError: not a text, or an empty one.
    """
    if not isinstance(separator, str):
        raise TypeError(
            "candidates (--candidates) must be the text that separates class names in a cell, got "
            f'{type(separator).__name__}; pass "|", for example, and an array of sets beside arrays only'
        )
    if not separator:
        raise ValueError('candidates (--candidates) must not be empty; pass what separates class names, such as "|"')
    return separator


def parse_sets(cells: Sequence[str], separator: str, where: str, classes: Sequence[str] | None = None) -> CandidateSets:
    """Return the sets that cells such as "cat|dog" name; white space around a name is no part of it.

    Args:
        cells: (N,) texts.
        separator: of the names.
        where: what the cells are, for messages.
        classes: the class names in order; by default all names, sorted, as numbers where all are numbers.

    Raises:
        ValueError: an empty set or name, an unknown class, no cell with several names, a set of all classes.
    """
    distinct, inverse = np.unique(np.asarray(cells, dtype=object).astype(str), return_inverse=True)
    sets = [[name.strip() for name in str(cell).split(separator)] for cell in distinct]
    for cell, names in zip(distinct, sets, strict=True):
        if "" in names:
            row = int(np.flatnonzero(inverse.ravel() == np.flatnonzero(distinct == cell)[0])[0])
            what = "an empty one" if not str(cell).strip() else f"an empty name in {quoted(str(cell))}"
            raise ValueError(
                f"{where} must name at least one candidate in every row, got {what} in row {row}; name its classes or "
                "leave out the row"
            )
    if all(len(names) == 1 for names in sets):
        raise ValueError(
            f"candidates (--candidates) must separate class names in {where}, got no cell with {quoted(separator)}; "
            "leave it out where every row has one label, or correct it"
        )
    order = _ordered({name for names in sets for name in names}) if classes is None else tuple(map(str, classes))
    index = {name: j for j, name in enumerate(order)}
    if unknown := sorted({name for names in sets for name in names} - set(order)):
        raise ValueError(
            f"candidates must be among the classes, got {quoted(unknown[0])} in {where}; known are "
            f"{', '.join(order[:8])}"
        )
    table = torch.zeros(len(sets), len(order), dtype=torch.bool)
    for row, names in enumerate(sets):
        table[row, [index[name] for name in names]] = True
    return CandidateSets(check_sets(table[torch.from_numpy(inverse.ravel())], where), order)


def array_sets(sets: Any, classes: Sequence[str] | None, where: str = "candidates") -> CandidateSets:
    """Return candidate sets from an array (N, C) of truth values; without names classes are "0", "1", ...

    Raises:
        TypeError: another type of array.
        ValueError: another shape or number of names, an empty set, a set of all classes.
    """
    array = sets.detach().cpu().numpy() if isinstance(sets, Tensor) else np.asarray(sets)
    if array.dtype != np.bool_:
        raise TypeError(f"{where} must be truth values (N, C), got {array.dtype}; convert them with .astype(bool)")
    if array.ndim != 2 or array.shape[1] < 2:
        raise ValueError(f"{where} must have shape (N, C) with C >= 2, got {array.shape}; one column per class")
    names = tuple(map(str, range(array.shape[1]) if classes is None else classes))
    if len(names) != array.shape[1] or len(set(names)) < len(names):
        raise ValueError(
            f"classes must name each of the {array.shape[1]} columns of {where} once, got {len(set(names))} names"
        )
    return CandidateSets(check_sets(torch.from_numpy(np.ascontiguousarray(array)), where), names)


def check_sets(sets: Tensor, where: str) -> Tensor:
    """Return candidate sets (N, C), none of which is empty or has all classes.

    Raises:
        ValueError: one is; it is named.
    """
    sizes = sets.sum(1)
    for size, rule, way_out in (
        (0, "name at least one candidate in every row", "name its classes or leave out the row"),
        (sets.shape[1], "leave out at least one class in every row", "a set of all says nothing: leave out the row"),
    ):
        rows = torch.nonzero(sizes == size).flatten()
        if len(rows):
            what = "an empty set" if size == 0 else f"all {size} classes"
            many = f"row {int(rows[0])}" + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")
            raise ValueError(f"{where} must {rule}, got {what} in {many}; {way_out}")
    return sets


def _ordered(names: set[str]) -> tuple[str, ...]:
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (numbers[name], name)))
