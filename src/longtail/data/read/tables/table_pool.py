"""A table with its label, its declared split, its groups and its weights, as a `Pool`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.origin import Origin
from longtail.data.pool import Pool, labelled
from longtail.data.read import column_roles
from longtail.data.read.array_labels import SAME, is_same
from longtail.data.read.tables import further_rows, json_lines, labels
from longtail.data.read.tables import missing as missing_cells
from longtail.data.read.tables.column_types import column_types
from longtail.data.read.tables.dialect import check_unique
from longtail.data.read.tables.read import Reading, read_table
from longtail.data.read.tables.sources import TEXT_SUFFIXES, sources
from longtail.data.read.tables.table import Declared, Table
from longtail.data.read.times import times


def table_pool(
    source: Any,
    *,
    label: str | int | None = None,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    time: str | None = None,
    drop_columns: str | Sequence[str] | None = None,
    text_columns: str | Sequence[str] | None = None,
    category_columns: str | Sequence[str] | None = None,
    missing: Any = None,
    worksheet: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    unlabeled: Any = None,
    candidates: str | None = None,
    sample_weight: Tensor | None = None,
) -> Pool:
    """All rows of a table, nothing split and nothing fitted.

    Args:
        source: a path, a list of paths, a folder (see `read_table`), or a pandas frame.
        label: the column of the classes; in a file without header a position from 1 on, or "last". None takes the
            one called label, target, class or y; in a file without header the last one.
        split, group, weight, time: columns that declare train, val and test, tie rows together, weigh them, or order
            them (training rows are then older than those held out); none of them is a feature.
        drop_columns: further columns that are no features, such as row numbers: a name or several.
        text_columns, category_columns: columns whose words are weighed, and those whose cells are categories, whatever
            they look like: a name or several.
        missing: cells that mean missing beside empty ones, in every column: "?,n/a", or a list.
        worksheet: of .xlsx files; None takes the first.
        delimiter, header: of text files.
        name: the name of the data in tables and folders; the file's name by default.
        classes: the class names in order, where another order than the sorted one is wanted.
        unlabeled: "same" where empty label cells mean rows without a label, or another table without the label column.
        candidates: what separates class names in label cells that name several; white space around them is dropped.
        sample_weight: (N,) weights in place of a column of them.

    Raises:
        ValueError, TypeError: one line that names the argument, the rule, the value and the way out.
    """
    asked = {"split": split, "group": group, "weight": weight, "time": time}
    several = {"drop_columns": drop_columns, "text_columns": text_columns, "category_columns": category_columns}
    listed = {role: column_roles.column_names(names, role) for role, names in several.items()}
    markers = missing_cells.markers(missing)
    expected = [str(c) for c in (label, *asked.values(), *chain(*listed.values())) if c is not None]
    reading = _reading(source, delimiter, header, expected, worksheet, markers)
    columns, count = list(reading.frame.columns), len(reading.frame)
    target, label_note = labels.find(columns, label, reading.header)
    named = {role: _column(role, c, columns, target, reading.header) for role, c in asked.items() if c is not None}
    if len({*named.values()}) < len(named):
        raise ValueError(
            f"split, group, weight and time must be different columns, got {', '.join(named.values())}; name each"
        )
    chosen = {
        role: [_column(role, c, columns, target, reading.header) for c in names] for role, names in listed.items()
    }
    _check_apart(named, chosen)
    dropped = chosen["drop_columns"]
    encoded, unknown, tasks = _encoded(target, reading.frame[target], classes, unlabeled, candidates)
    name = name or reading.name
    reading = replace(
        reading, frame=reading.frame.drop(columns=[target]), files=reading.files or ((name, len(reading.frame)),)
    )
    if unlabeled is not None and "unlabeled" not in tasks:
        if sample_weight is not None:
            raise ValueError("sample_weight must be known of unlabeled rows, too; name a column of both with weight")
        in_files = _is_path(unlabeled)
        try:
            how = _further_options(unlabeled, delimiter, reading.header) if in_files else (None, None)
            others = _reading(unlabeled, *how, expected, None, markers)
        except (ValueError, TypeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"unlabeled (--unlabeled): {error}") from None
        reading = further_rows.below(reading, others, target, named.get("split"), dropped)
        tasks = {"unlabeled": others.name if in_files else "frame"}
        unknown = np.arange(len(reading.frame)) >= count
    moments = named.pop("time", None)
    roles = column_roles.read_roles(reading.frame, **named, declared=reading.parts, declared_by="files by part")
    named |= {} if moments is None else {"time": moments}
    features = reading.frame.drop(columns=[*named.values(), *dropped])
    if features.shape[1] == 0:
        way = "drop fewer columns" if dropped else "check --delimiter"
        raise ValueError(f"a table must have features beside the label {target!r}, got none; {way}")
    declared = Declared(markers, tuple(chosen["text_columns"]), tuple(chosen["category_columns"]))
    types = column_types(features.iloc[:count], declared)  # further rows have to fit
    seen = [one.sentence for one in missing_cells.undeclared(features.iloc[:count])]
    pool = Pool(
        name=name,
        rows=Table(features, declared=declared).with_types(types.categories, types.text),
        targets=_padded(encoded.targets, len(features)),
        classes=encoded.classes,
        parts=roles.parts,
        groups=roles.groups,
        sample_weight=roles.weights if sample_weight is None else sample_weight,
        facts={
            "source": name,
            "label": target,
            **named,
            **{role: names for role, names in chosen.items() if names},
            **({"missing": list(markers)} if markers else {}),
            **tasks,
        },
        notes=(*reading.notes, *([label_note] if label_note else []), *encoded.notes, *types.notes, *seen),
        origin=Origin(reading.files),
        times=None if moments is None else times(moments, reading.frame[moments]),
    )
    return labelled(pool, unknown)


def _encoded(
    label: str, series: Any, classes: Sequence[str] | None, unlabeled: Any, candidates: str | None
) -> tuple[labels.Labels, np.ndarray, dict[str, str]]:
    """Return the labels, (N,) bool which are missing, and facts on the task."""
    none = np.zeros(len(series), dtype=bool)
    if candidates is not None:
        if unlabeled is not None:
            raise ValueError("unlabeled (--unlabeled) cannot go with candidates (--candidates); pass one of them")
        return labels.encode_sets(label, series, candidates, classes), none, {"candidates": candidates}
    if is_same(unlabeled):
        return *labels.encode_some(label, series, classes), {"unlabeled": SAME}
    return labels.encode(label, series, classes), none, {}


def _padded(targets: Tensor, size: int) -> Tensor:
    """Return targets (N,), or sets, with -1 for further rows."""
    return targets if len(targets) == size else torch.cat([targets, torch.full((size - len(targets),), -1)])


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike | list | tuple)


def _column(role: str, name: str, columns: list[str], label: str, header: bool) -> str:
    if not header and name.isdigit() and 1 <= int(name) <= len(columns):
        name = columns[int(name) - 1]
    return column_roles.existing_column(role, name, columns, label)


def _check_apart(named: dict[str, str], chosen: dict[str, list[str]]) -> None:
    """Refuse a column that is asked to be two things."""
    roles: dict[str, str] = {}
    for role, columns in ({role: [column] for role, column in named.items()} | chosen).items():
        for column in columns:
            if column in roles:
                raise ValueError(f"column {column!r} cannot be both {roles[column]} and {role}; name it in one of them")
            roles[column] = role


def _further_options(source: Any, delimiter: str | None, header: bool) -> tuple[str | None, bool | None]:
    """The delimiter and header of the first files where they are of use to further ones."""
    suffixes = {path.suffix.lower() for path, _ in sources(source)[0]}
    lines = suffixes <= {*json_lines.SUFFIXES}  # which name each value
    return delimiter if suffixes & {*TEXT_SUFFIXES} else None, None if lines else header


def _reading(
    source: Any, delimiter: str | None, header: bool | None, expected: Sequence[str], worksheet: str | None,
    markers: tuple[str, ...],
) -> Reading:  # fmt: skip
    """Return the table as it is read, with empty cells for those that were declared to mean missing."""
    reading = _as_read(source, delimiter, header, expected, worksheet)
    frame, unseen = missing_cells.blanked(reading.frame, markers)
    notes = [f"no cell of {reading.name} is {marker!r}, which missing (--missing) declares" for marker in unseen]
    return replace(reading, frame=frame, notes=(*reading.notes, *notes))


def _as_read(
    source: Any, delimiter: str | None, header: bool | None, expected: Sequence[str], worksheet: str | None
) -> Reading:
    if _is_path(source):
        return read_table(source, delimiter=delimiter, header=header, expected=expected, worksheet=worksheet)
    if not hasattr(source, "columns") or not hasattr(source, "iloc"):
        raise TypeError(f"a table must be a path or a pandas frame, got {type(source).__name__}; name its file")
    if delimiter is not None or header is not None or worksheet is not None:
        raise ValueError("delimiter, header and worksheet are read for files, not for a frame; leave them out")
    names = [str(c) for c in source.columns]
    check_unique(names, "a frame")
    if len(source) == 0:
        raise ValueError("a table must have rows, got a frame of none; add examples")
    frame = source.set_axis(names, axis=1).reset_index(drop=True)
    return Reading(frame, "data", None, True, ())
