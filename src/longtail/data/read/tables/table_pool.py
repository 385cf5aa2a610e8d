"""A table with its label, its declared split, its groups and its weights, as a `Pool`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from longtail.data.origin import Origin
from longtail.data.read import column_roles
from longtail.data.read.tables import labels
from longtail.data.read.tables.column_types import infer_column_types
from longtail.data.read.tables.dialect import check_unique
from longtail.data.read.tables.read import Reading, read_table
from longtail.data.read.tables.table import Table

if TYPE_CHECKING:
    from longtail.data.pool import Pool


def table_pool(
    source: Any,
    *,
    label: str | int | None = None,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    drop_columns: str | Sequence[str] | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    name: str | None = None,
    classes: Sequence[str] | None = None,
) -> Pool:
    """All rows of a table, labels known, nothing split and nothing fitted.

    Args:
        source: a path, a list of paths, a folder (see `read_table`), or a pandas frame.
        label: the column of the classes; in a file without header a position from 1 on, or "last". None takes the
            one called label, target, class or y; in a file without header the last one.
        split, group, weight: columns that declare train, val and test, tie rows together, or weigh them; none of
            them is a feature.
        drop_columns: further columns that are no features, such as row numbers: a name or several.
        delimiter, header: of text files.
        name: the name of the data in tables and folders; the file's name by default.
        classes: the class names in order, where another order than the sorted one is wanted.

    Raises:
        ValueError, TypeError: one line that names the argument, the rule, the value and the way out.
    """
    from longtail.data.pool import Pool  # it has a Table: the packages know each other

    asked = {"split": split, "group": group, "weight": weight}
    drop = column_roles.column_names(drop_columns)
    expected = [str(c) for c in (label, *asked.values(), *drop) if c is not None]
    reading = _reading(source, delimiter, header, expected)
    frame, columns = reading.frame, list(reading.frame.columns)
    target, label_note = labels.find(columns, label, reading.header)
    named = {role: _column(role, c, columns, target, reading.header) for role, c in asked.items() if c is not None}
    if len({*named.values()}) < len(named):
        raise ValueError(
            f"split, group and weight must be different columns, got {', '.join(named.values())}; name each"
        )
    roles = column_roles.read_roles(frame, **named, declared=reading.parts, declared_by="files by part")
    encoded = labels.encode(target, frame[target], classes)
    dropped = [_column("drop_columns", c, columns, target, reading.header) for c in drop]
    features = frame.drop(columns=[target, *named.values(), *dropped])
    if features.shape[1] == 0:
        way = "drop fewer columns" if dropped else "check --delimiter"
        raise ValueError(f"a table must have features beside the label {target!r}, got none; {way}")
    features, type_notes = infer_column_types(features)
    name = name or reading.name
    return Pool(
        name=name,
        rows=Table(features),
        targets=encoded.targets,
        classes=encoded.classes,
        parts=roles.parts,
        groups=roles.groups,
        sample_weight=roles.weights,
        facts={"source": name, "label": target, **named, **({"drop_columns": dropped} if dropped else {})},
        notes=(*reading.notes, *([label_note] if label_note else []), *encoded.notes, *type_notes),
        origin=Origin(reading.files or ((name, len(encoded.targets)),)),
    )


def _column(role: str, name: str, columns: list[str], label: str, header: bool) -> str:
    if not header and name.isdigit() and 1 <= int(name) <= len(columns):
        name = columns[int(name) - 1]
    return column_roles.existing_column(role, name, columns, label)


def _reading(source: Any, delimiter: str | None, header: bool | None, expected: Sequence[str]) -> Reading:
    if isinstance(source, str | os.PathLike | list | tuple):
        return read_table(source, delimiter=delimiter, header=header, expected=expected)
    if not hasattr(source, "columns") or not hasattr(source, "iloc"):
        raise TypeError(f"a table must be a path or a pandas frame, got {type(source).__name__}; name its file")
    if delimiter is not None or header is not None:
        raise ValueError("delimiter and header are read for text files, not for a frame; leave them out")
    names = [str(c) for c in source.columns]
    check_unique(names, "a frame")
    if len(source) == 0:
        raise ValueError("a table must have rows, got a frame of none; add examples")
    frame = source.set_axis(names, axis=1).reset_index(drop=True)
    return Reading(frame, "data", None, True, ())
