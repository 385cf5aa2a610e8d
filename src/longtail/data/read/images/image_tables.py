"""Tables with a column of encoded images, as the hub's parquet files are: images, labels and parts of their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longtail.data.pool import Pool
from longtail.data.read.column_roles import SPLIT_NAMES, check_declared_once, existing_column, filled, read_roles
from longtail.data.read.images.decode import EncodedImages
from longtail.data.read.images.labelled_images import ImageReader, class_indices
from longtail.data.read.optional_packages import package

USUAL = ("label", "labels", "fine_label")
"""Names of label columns, where there are several columns of classes or none."""
IMAGE_NAMES = ("image", "img")
"""Names of columns that hold the bytes of image files where the table does not say so."""


@dataclass(frozen=True)
class ColumnImages:
    """An image column, encoded: row -> bytes, or the path of a local file."""

    table: Any
    column: str

    def __getitem__(self, row: int) -> bytes | str:
        image = self.table[row][self.column] or {}
        return image.get("bytes") or image.get("path") or b""


def image_table_pool(
    name: str,
    whole: Any,
    parts: np.ndarray | None,
    reader: ImageReader,
    *,
    columns: Sequence[str],
    label: str,
    split: str | None,
    group: str | None,
    weight: str | None,
    notes: Sequence[str],
    facts: Mapping[str, Any],
    identity: Callable[[str, Any], str],
    sources: Sequence[Path] | None = None,
    named: str | None = None,
) -> Pool:
    """Return the images of a table of `datasets` as a pool.

    Args:
        name: of the data, for messages.
        whole: the rows of all parts.
        parts: (N,) the part of every row, where the data declare them.
        reader: how images are decoded.
        columns: the image columns, see `image_columns`.
        label, split, group, weight: further columns.
        notes, facts: of the pool.
        identity: (name, the image column) -> what names the content.
        sources: files that the cache goes by; None takes those of `datasets`.
        named: the pool's name; None takes `name`.

    Raises:
        ValueError: several image columns, a column that is not there, a split that is declared twice, a missing label.
    """
    datasets = package("datasets")
    check_columns(whole.features, split=split, group=group, weight=weight)
    check_declared_once(split, parts, name)
    if len(columns) > 1:
        raise ValueError(f"{name} has several image columns ({', '.join(columns)}); longtail reads data with one")
    encoded = whole.cast_column(columns[0], datasets.Image(decode=False)).select_columns(list(columns))
    names = [f"{'row ' if parts is None else parts[i] + '/'}{i}" for i in range(len(whole))]
    images = EncodedImages(ColumnImages(encoded, columns[0]), names)
    labels, classes = _labels(datasets, whole, label, names)
    roles = read_roles(whole, split=split, group=group, weight=weight, names=names, declared=parts)
    pool = reader.encoded(
        named or name,
        images,
        class_indices(labels, classes),
        classes,
        roles,
        identity=identity(name, encoded),
        facts=facts,
        notes=notes,
    )
    if sources is None:
        sources = [Path(file["filename"]) for file in encoded.cache_files]
    return reader.decoded(pool, images, sources)


def image_columns(datasets: Any, features: Mapping[str, Any]) -> list[str]:
    """Return the columns of images: those declared as such, else `image` or `img` with the bytes of files."""
    declared = [column for column, feature in features.items() if isinstance(feature, datasets.Image)]
    return declared or [c for c in IMAGE_NAMES if c in features and _holds_files(features[c])]


def _holds_files(feature: Any) -> bool:
    if isinstance(feature, Mapping):
        return "bytes" in feature and set(feature) <= {"bytes", "path"}
    return getattr(feature, "dtype", None) in ("binary", "large_binary")


def check_columns(features: Mapping[str, Any], **roles: str | None) -> None:
    """Raise ValueError where a column that is to have a role is not there."""
    for role, column in roles.items():
        if column is not None:
            existing_column(role, column, list(features))


def joined(datasets: Any, name: str, tables: dict[str, Any]) -> tuple[Any, np.ndarray | None, tuple[str, ...]]:
    """Return all rows in one table, the part of each where parts are declared, and notes."""
    parts = {key: SPLIT_NAMES[key.lower()] for key in tables if key.lower() in SPLIT_NAMES}
    if len(tables) == 1 and "train" not in parts.values():
        parts = dict.fromkeys(tables, "train")
    if "train" not in parts.values() or len(set(parts.values())) < len(parts):
        raise ValueError(f"{name} must declare one training part, got {', '.join(tables) or 'nothing'}")
    unused = [key for key in tables if key not in parts]
    notes = (f"of {name} the parts {', '.join(unused)} were left out",) if unused else ()
    first = tables[next(iter(parts))].features
    other = [key for key in parts if tables[key].features != first]
    if other:
        raise ValueError(f"part {other[0]} of {name} must have the columns of the other parts; it has others")
    whole = datasets.concatenate_datasets([tables[key] for key in parts])
    if not len(whole):
        raise ValueError(f"{name} holds no row")
    if len(parts) == 1:
        return whole, None, notes
    return whole, np.repeat(list(parts.values()), [len(tables[key]) for key in parts]).astype("U5"), notes


def label_column(datasets: Any, name: str, features: Any, label: str | None) -> str:
    """Return the column of the labels: the one named, the only one of classes, or one of a usual name.

    Raises:
        ValueError: no such column.
    """
    if label is not None:
        return existing_column("label", label, list(features))
    classes = [column for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    usual = [column for column in USUAL if column in features]
    candidates = classes if len(classes) == 1 else usual
    if not candidates:
        shown = ", ".join(list(features)[:8])
        raise ValueError(f"{name} does not tell its label column; name one of {shown} with label= (--label)")
    return candidates[0]


def _labels(datasets: Any, whole: Any, column: str, names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the label of every row and the names of all classes, in the data set's own order where it has one."""
    feature, values = whole.features[column], whole[column]
    if not isinstance(feature, datasets.ClassLabel):
        labels = list(filled("label", column, values, names))
        return labels, tuple(sorted(set(labels)))
    return list(filled("label", column, class_names(feature, values[:]), names)), tuple(feature.names)


def class_names(feature: Any, values: Sequence[int | None]) -> list[str | None]:
    """Return class names for class indices; None where there is no class."""
    names = dict(enumerate(feature.names))
    return [names.get(value) for value in values]  # type: ignore[arg-type]
