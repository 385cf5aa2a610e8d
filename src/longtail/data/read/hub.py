"""A data set of the hub, by name: images become an image pool, anything else is handed on as a frame."""

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
from longtail.data.read.images import metadata_columns
from longtail.data.read.images.class_folders import SYNONYMS
from longtail.data.read.images.labelled_images import Decoder, Labelled
from longtail.data.read.images.memory import SHARE
from longtail.data.read.optional_packages import online, package, silenced

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PART = "split"
"""The column that a frame gets where the hub declares parts; with underscores where it has one of this name."""


@dataclass(frozen=True)
class Rows:
    """The image column of a hub table, encoded."""

    table: Any
    column: str
    names: Sequence[str]

    def encoded(self, row: int) -> bytes | str:
        """Bytes, or the path of a local file."""
        found = self.table[row][self.column] or {}
        return found.get("bytes") or found.get("path") or b""


def hub_pool(
    name: str,
    *,
    label: str | None = None,
    config: str | None = None,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    drop_columns: str | Sequence[str] | None = None,
    size: int = 32,
    skip_bad: bool = False,
    augment: bool = True,
    workers: int = 0,
    share: float = SHARE,
    table: Callable[..., Pool] | None = None,
) -> Pool:
    """A data set of the hub. Remote code is never run.

    Parts that the data set declares (train, validation, test and their synonyms) are kept; a single one is taken as
    the whole; others are left out and named in a note.

    Args:
        name: "owner/name".
        label: the label column; None takes the only column of classes, or one called label or labels.
        config: which of several configurations.
        split, group, weight: further columns, as for `image_pool`.
        size, skip_bad, augment, workers, share: as in `Decoder`.
        table: for data without an image column: called as table(frame, label=, split=, group=, weight=,
            drop_columns=, name=).
        drop_columns: columns of such a table that are no features.

    Raises:
        ValueError: no such data set or no network, no label column, several image columns.
        ModuleNotFoundError: without longtail[data].
    """
    decoder = Decoder(size, skip_bad, augment, workers, share)
    datasets = package("datasets")
    whole, parts, notes = _joined(datasets, name, _load(datasets, name, config))
    images = [c for c, feature in whole.features.items() if isinstance(feature, datasets.Image)]
    label = _label(datasets, name, whole.features, label)
    for column in (split, group, weight):
        if column is not None and column not in whole.features:
            raise ValueError(f"{name} has no column {column!r}; it has {', '.join(list(whole.features)[:8])}")
    if split is not None and parts is not None:
        raise ValueError(f"the split is declared twice, by {name} and by column {split!r}; leave the option out")
    if len(images) > 1:
        raise ValueError(f"{name} has several image columns ({', '.join(images)}); longtail reads data with one")
    if not images:
        if table is None:
            raise ValueError(f"{name} has no image column (it has {', '.join(list(whole.features)[:8])})")
        frame, column = _frame(datasets, whole, parts)
        return table(
            frame, label=label, split=column or split, group=group, weight=weight, drop_columns=drop_columns, name=name
        )
    if drop_columns is not None:
        raise ValueError(
            f"drop_columns (--drop) is for tables, not for the images of {name}, got {drop_columns!r}; leave it out"
        )
    text = whole.select_columns([c for c in (label, split, group, weight) if c is not None])
    names = [f"row {i}" for i in range(len(whole))]
    if parts is not None:
        names = [f"{part}/{i}" for i, part in enumerate(parts.tolist())]
    labels, classes = _classes(datasets, whole.features[label], text[label], label, names)
    if split is not None:
        parts = metadata_columns.as_parts(text[split], split, names)
    described = Labelled(
        name,
        names,
        labels,
        classes,
        parts,
        None if group is None else metadata_columns.as_groups(text[group], group, names),
        None if weight is None else metadata_columns.as_weights(text[weight], weight, names),
        notes,
        {"source": f"hub:{name}"} | ({} if config is None else {"config": config}),
    ).checked()
    encoded = whole.cast_column(images[0], datasets.Image(decode=False)).select_columns(images)
    files = [Path(file["filename"]) for file in encoded.cache_files]
    return decoder.pool(described, Rows(encoded, images[0], names), files, lambda: _identity(name, encoded))


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


def _joined(datasets: Any, name: str, found: dict[str, Any]) -> tuple[Any, np.ndarray | None, tuple[str, ...]]:
    """All rows in one table, the part of each where parts are declared, and notes."""
    known = {key: SYNONYMS[key.lower()] for key in found if key.lower() in SYNONYMS}
    if len(found) == 1 and "train" not in known.values():
        known = dict.fromkeys(found, "train")
    if "train" not in known.values() or len(set(known.values())) < len(known):
        raise ValueError(f"{name} must declare one training part, got {', '.join(found) or 'nothing'}")
    left = [key for key in found if key not in known]
    notes = (f"of {name} the parts {', '.join(left)} were left out",) if left else ()
    first = found[next(iter(known))].features
    other = [key for key in known if found[key].features != first]
    if other:
        raise ValueError(f"part {other[0]} of {name} must have the columns of the other parts; it has others")
    whole = datasets.concatenate_datasets([found[key] for key in known])
    if not len(whole):
        raise ValueError(f"{name} holds no row")
    parts = np.concatenate([np.full(len(found[key]), part, dtype="<U5") for key, part in known.items()])
    return whole, parts if len(known) > 1 else None, notes


def _label(datasets: Any, name: str, features: Any, label: str | None) -> str:
    shown = ", ".join(list(features)[:8])
    if label is not None:
        if label not in features:
            raise ValueError(f"label must be a column of {name}, got {label!r}; it has {shown}")
        return label
    classes = [column for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    called = [column for column in ("label", "labels") if column in features]
    found = classes if len(classes) == 1 else called
    if not found:
        raise ValueError(f"{name} does not tell its label column; name one of {shown} with label= (--label)")
    return found[0]


def _classes(
    datasets: Any, feature: Any, values: Sequence[Any], column: str, names: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """The label of every row and the names of all classes, in the data set's own order where it has one."""
    if not isinstance(feature, datasets.ClassLabel):
        labels = metadata_columns.filled(values, column, names)
        return labels, tuple(sorted(set(labels)))
    classes = tuple(feature.names)
    missing = [name for name, value in zip(names, values, strict=True) if value is None or value < 0]
    if missing:
        raise ValueError(
            f"label column {column!r} must be filled, got {len(missing)} rows without a label, first {missing[0]!r}; "
            "choose another column or data set"
        )
    return [classes[value] for value in values], classes


def _frame(datasets: Any, whole: Any, parts: np.ndarray | None) -> tuple[Any, str | None]:
    """The rows as a frame with class names for class indices, and the column that tells their part, if any does."""
    frame = whole.to_pandas()
    for column, feature in whole.features.items():
        if isinstance(feature, datasets.ClassLabel):
            names = dict(enumerate(feature.names))
            frame[column] = [names.get(value) for value in frame[column].tolist()]
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
