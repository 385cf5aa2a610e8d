"""Read a data set of the hub by name: images become an image pool, anything else goes to the table reader."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longtail.data.pool import Pool
from longtail.data.read.column_roles import SPLIT_NAMES, check_declared_once, existing_column, filled, read_roles
from longtail.data.read.images.decode import EncodedImages
from longtail.data.read.images.labelled_images import ImageReader, class_indices
from longtail.data.read.optional_packages import online, package, silenced

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PART = "split"
"""The column added to a frame where the hub declares parts; with underscores where this name is taken."""


@dataclass(frozen=True)
class HubImages:
    """The image column of a hub table, encoded: row -> bytes, or the path of a local file."""

    table: Any
    column: str

    def __getitem__(self, row: int) -> bytes | str:
        image = self.table[row][self.column] or {}
        return image.get("bytes") or image.get("path") or b""


def hub_pool(
    name: str,
    *,
    label: str | None = None,
    config: str | None = None,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    drop_columns: str | Sequence[str] | None = None,
    table: Callable[..., Pool] | None = None,
    **reading: Any,
) -> Pool:
    """Read a data set of the hub. Remote code is never run.

    Parts that the data set declares (train, validation, test and their synonyms) are used; a single one is taken as
    the whole; others are left out and named in a note.

    Args:
        name: "owner/name".
        label: the label column; None takes the only column of classes, or one called label or labels.
        config: which of several configurations.
        split, group, weight: further columns, as for `image_pool`.
        table: for data without an image column: called as table(frame, label=, split=, group=, weight=,
            drop_columns=, name=).
        drop_columns: columns of such a table that are no features.
        reading: size, skip_bad, augment, workers, share: as in `ImageReader`.

    Raises:
        ValueError: no such data set or no network, no label column, several image columns.
        ModuleNotFoundError: without longtail[data].
    """
    reader = ImageReader(**reading)
    datasets = package("datasets")
    whole, parts, notes = _joined(datasets, name, _load(datasets, name, config))
    columns = list(whole.features)
    label = _label(datasets, name, whole.features, label)
    for role, column in (("split", split), ("group", group), ("weight", weight)):
        if column is not None:
            existing_column(role, column, columns)
    check_declared_once(split, parts, name)
    image_columns = [column for column in columns if isinstance(whole.features[column], datasets.Image)]
    if len(image_columns) > 1:
        raise ValueError(f"{name} has several image columns ({', '.join(image_columns)}); longtail reads data with one")
    if not image_columns:
        if table is None:
            raise ValueError(f"{name} has no image column (it has {', '.join(columns[:8])})")
        frame, declared = _frame(datasets, whole, parts)
        return table(
            frame, label=label, split=declared or split, group=group, weight=weight, drop_columns=drop_columns,
            name=name,
        )  # fmt: skip
    if drop_columns is not None:
        raise ValueError(
            f"drop_columns (--drop) is for tables, not for the images of {name}, got {drop_columns!r}; leave it out"
        )
    encoded = whole.cast_column(image_columns[0], datasets.Image(decode=False)).select_columns(image_columns)
    names = [f"{'row ' if parts is None else parts[i] + '/'}{i}" for i in range(len(whole))]
    images = EncodedImages(HubImages(encoded, image_columns[0]), names)
    labels, classes = _labels(datasets, whole, label, names)
    roles = read_roles(whole, split=split, group=group, weight=weight, names=names, declared=parts)
    facts = {"source": f"hub:{name}"} | ({} if config is None else {"config": config})
    pool = reader.encoded(
        name,
        images,
        class_indices(labels, classes),
        classes,
        roles,
        identity=_identity(name, encoded),
        facts=facts,
        notes=notes,
    )
    return reader.decoded(pool, images, [Path(file["filename"]) for file in encoded.cache_files])


def _load(datasets: Any, name: str, config: str | None) -> dict[str, Any]:
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"a data set of the hub is called owner/name, got {name!r}; check the name")
    if Path(name).exists():
        raise ValueError(f"{name!r} is a path here, which would be read in place of the hub; name it without hub:")
    options = {} if config is None else {"name": config}
    if "trust_remote_code" in inspect.signature(datasets.load_dataset).parameters:  # later versions never run it
        options["trust_remote_code"] = False  # type: ignore[assignment]
    with silenced(download=True), online() as reached:
        try:
            return dict(datasets.load_dataset(name, **options))
        except Exception as error:  # datasets has no error of its own for "no network"
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            if not reached:
                reason = "the hub is not reached, and no earlier download is at hand"
            raise ValueError(
                f"hub:{name} cannot be read ({reason}); check the name and the network, "
                "or download it and name the folder"
            ) from None


def _joined(datasets: Any, name: str, tables: dict[str, Any]) -> tuple[Any, np.ndarray | None, tuple[str, ...]]:
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


def _label(datasets: Any, name: str, features: Any, label: str | None) -> str:
    if label is not None:
        return existing_column("label", label, list(features))
    classes = [column for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    usual = [column for column in ("label", "labels") if column in features]
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
    return list(filled("label", column, _class_names(feature, values[:]), names)), tuple(feature.names)


def _class_names(feature: Any, values: Sequence[int | None]) -> list[str | None]:
    """Return class names for class indices; None where there is no class."""
    names = dict(enumerate(feature.names))
    return [names.get(value) for value in values]  # type: ignore[arg-type]


def _frame(datasets: Any, whole: Any, parts: np.ndarray | None) -> tuple[Any, str | None]:
    """Return the rows as a frame with class names for class indices, and the column of their parts, if any."""
    frame = whole.to_pandas()
    for column, feature in whole.features.items():
        if isinstance(feature, datasets.ClassLabel):
            frame[column] = _class_names(feature, frame[column].tolist())
    if parts is None:
        return frame, None
    column = PART
    while column in frame.columns:
        column = f"_{column}"
    frame[column] = parts
    return frame, column


def _identity(name: str, table: Any) -> str:
    digest = hashlib.sha256(f"{name} {len(table)}".encode())
    digest.update(str(getattr(table, "_fingerprint", "")).encode())
    return digest.hexdigest()
