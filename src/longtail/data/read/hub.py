"""Read a data set of the hub by name: images become an image pool, anything else goes to the table reader."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longtail.data.pool import Pool
from longtail.data.read.column_roles import check_declared_once
from longtail.data.read.images.image_tables import (
    check_columns,
    class_names,
    image_columns,
    image_table_pool,
    joined,
    label_column,
)
from longtail.data.read.images.labelled_images import ImageReader
from longtail.data.read.optional_packages import online, package, silenced

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PART = "split"
"""The column added to a frame where the hub declares parts; with underscores where this name is taken."""


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
    whole, parts, notes = joined(datasets, name, _load(datasets, name, config))
    columns = image_columns(datasets, whole.features)
    label = label_column(datasets, name, whole.features, label)
    if not columns:
        check_columns(whole.features, split=split, group=group, weight=weight)
        check_declared_once(split, parts, name)
        if table is None:
            raise ValueError(f"{name} has no image column (it has {', '.join(list(whole.features)[:8])})")
        frame, declared = _frame(datasets, whole, parts)
        return table(
            frame, label=label, split=declared or split, group=group, weight=weight, drop_columns=drop_columns,
            name=name,
        )  # fmt: skip
    if drop_columns is not None:
        raise ValueError(
            f"drop_columns (--drop) is for tables, not for the images of {name}, got {drop_columns!r}; leave it out"
        )
    return image_table_pool(
        name, whole, parts, reader, columns=columns, label=label, split=split, group=group, weight=weight, notes=notes,
        identity=_identity, facts={"source": f"hub:{name}"} | ({} if config is None else {"config": config}),
    )  # fmt: skip


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


def _frame(datasets: Any, whole: Any, parts: np.ndarray | None) -> tuple[Any, str | None]:
    """Return the rows as a frame with class names for class indices, and the column of their parts, if any."""
    frame = whole.to_pandas()
    for column, feature in whole.features.items():
        if isinstance(feature, datasets.ClassLabel):
            frame[column] = class_names(feature, frame[column].tolist())
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
