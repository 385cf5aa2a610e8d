"""New rows with their labels, to score a trained model on: whatever the data, labels as class names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longtail.data.prepare.new_rows import rows
from longtail.data.prepare.preparation import Preparation
from longtail.data.read import array_files
from longtail.data.read.array_labels import missing_labels
from longtail.data.read.arrays import is_frame
from longtail.facts.labels import labels_and_names


class Labelled(NamedTuple):
    """Raw rows, and N labels: a class name, or "" where a row has none."""

    rows: Any
    labels: list[str]


def labelled_rows(
    source: Any, labels: Any, preparation: Preparation | None, classes: Sequence[str], *, label: str | None = None,
    delimiter: str | None = None, header: bool | None = None, worksheet: str | None = None,
) -> Labelled:  # fmt: skip
    """Read new rows with their labels.

    Args:
        source: a path, or rows in memory, as `Predictor.predictions` takes them.
        labels: N labels for rows in memory, names or class indices, or the column of a frame; None reads them from the
            source: a column of a table, the folders of images, an array of an .npz.
        preparation: of the model.
        classes: the class names of the model.
        label: the column of the labels in a table, the array in an .npz, or the file of labels beside an .npy.
        delimiter, header: of text files; worksheet: of an .xlsx file.

    Raises:
        ValueError, TypeError: no labels, or as many as there are no rows; and as `new_rows.rows`.
    """
    if isinstance(source, str | Path) and Path(source).is_file() and Path(source).suffix in array_files.SUFFIXES:
        arrays = array_files.read(Path(source), label)
        if "y" not in arrays:
            raise ValueError(f"{Path(source).name} must hold one label a row to score a model; save them as y")
        named = arrays.get("classes")
        own = None if named is None else [str(name) for name in named]
        return Labelled(arrays["X"], as_names(arrays["y"], classes if own is None else own))
    raw = rows(source, preparation, delimiter=delimiter, header=header, worksheet=worksheet)
    if is_frame(raw) and (without_markers := getattr(preparation, "without_markers", None)) is not None:
        raw = without_markers(raw)  # of its labels, too
    if is_frame(raw) and (labels is None or isinstance(labels, str)):
        return Labelled(raw, _column(raw, labels if isinstance(labels, str) else label))
    if labels is not None:
        return Labelled(raw, as_names(labels, classes))
    if isinstance(raw, Path) and raw.is_dir():
        if label is not None:
            raise ValueError(f"images are labelled by their folders, got label (--label) {label!r}; leave it out")
        return Labelled(raw, [Path(path).parent.name for path in preparation.paths(raw)])  # type: ignore[union-attr]
    raise TypeError(
        "labels are missing; pass them as the second argument, or data that have them: a table (--label), a folder "
        "with one folder per class, an .npz with X and y"
    )


def _column(frame: Any, label: str | None) -> list[str]:
    """Return the cells of the label column as they are written, without white space around them."""
    from longtail.data.read.tables import cells
    from longtail.data.read.tables.dialect import MADE_UP
    from longtail.data.read.tables.labels import find

    columns = [str(column) for column in frame.columns]
    header = not all(map(MADE_UP.fullmatch, columns))  # without one a number or "last" names the column, as in training
    name, _ = find(columns, label, header)
    place = columns.index(name)
    return [str(cell).strip() for cell in cells.texts(frame.iloc[:, place]).tolist()]


def as_names(labels: Any, classes: Sequence[str]) -> list[str]:
    """Return labels in memory as class names; "" for what means no label (-1, NaN, None, "").

    Whole numbers are names where all of them are, such as "0", and class indices otherwise.
    """
    array, own = labels_and_names(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"labels must be one-dimensional, got shape {array.shape}; pass one label per row")
    known, values = list(classes) if own is None else own, array.tolist()
    if array.dtype.kind not in "biuf":
        return ["" if value is None or value != value else str(value).strip() for value in values]
    missing = missing_labels(array)
    whole = [None if none else int(value) for value, none in zip(values, missing, strict=True)]
    if any(number is not None and number != value for number, value in zip(whole, values, strict=True)):
        raise TypeError("labels must be class names or whole numbers, got fractions; cut measurements into classes")
    if own is None and {str(number) for number in whole if number is not None} & set(known):
        return ["" if number is None else str(number) for number in whole]
    return ["" if n is None else known[n] if 0 <= n < len(known) else str(n) for n in whole]


def indices(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return the class index of every label: -1 of one that is missing, -2 of a class that is not among these.

    Quotes around every name, which training takes off, are no part of them.
    """
    place = {name: j for j, name in enumerate(classes)}
    given = [name for name in labels if name]
    if given and not set(given) & set(place) and all(len(n) > 2 and n[0] == n[-1] and n[0] in "\"'" for n in given):
        labels = [name[1:-1] for name in labels]
    return np.array([-1 if not name else place.get(name, -2) for name in labels], dtype=np.int64)
