"""Read data by their kind: files, folders, the hub, arrays and frames become a `Pool`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from longtail.data.pool import Pool
from longtail.data.read import array_files
from longtail.data.read.array_pools import array_file_pool, memory_pool
from longtail.data.read.cifar import SOURCES
from longtail.data.read.hub import hub_pool
from longtail.data.read.images.clothing1m import clothing1m_pool, is_clothing1m
from longtail.data.read.images.image_folder import image_pool
from longtail.data.read.options import ALLOWED, DEFAULTS, LISTS, check_backbone, refuse
from longtail.data.read.parquet_images import holds_images, parquet_image_pool
from longtail.data.read.tables.sources import is_table
from longtail.data.read.tables.table_pool import table_pool
from longtail.facts.messages import quoted
from longtail.facts.paths import status

NAMES = ("digits", *SOURCES)
HUB = "hub:"


def pool(
    source: Any,
    labels: Any = None,
    *,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    sample_weight: Any = None,
    name: str | None = None,
    **options: Any,
) -> Pool:
    """All rows of the data, labels known, nothing split and nothing fitted.

    Args:
        source: a folder of images (see `image_pool`; of Clothing1M `clothing1m_pool`), a .csv, .tsv, .parquet,
            .xlsx or .jsonl file or a folder of them (see `table_pool`; with a column of images `parquet_image_pool`),
            .npz with X and y, .npy beside a label file, "hub:owner/name" or "hub:owner/name/config", features or images
            as tensor, array or frame, a torch `Dataset` (see `datasets.dataset_pool`), or a `Pool`.
        labels: the labels, where `source` is features; for a frame also the name of its label column.
        label: the label column of a table, frame or metadata.csv, or the label file beside an .npy.
        classes: the class names in order, where the labels do not give it.
        sample_weight: one weight per example, or None.
        name: the name of the data in tables and folders.
        options: for tables, folders and the hub the columns `split`, `group` and `weight` (for arrays: arrays of one
            entry per row); for tables `time`, `missing`, `drop_columns`, `text_columns` and `category_columns` (see
            `table_pool`), `worksheet` of an .xlsx file, for text files `delimiter` and `header`; for images `size`,
            `skip_bad`, `mirror`, `features` and `workers`, or a `backbone`, the local folder of a pretrained network
            whose features stand in place of pixels, and its `device`; for a folder of images the files `train_list`,
            `val_list` and `test_list`, "relative/path.jpg 17" in each line. `unlabeled`: "same" where some rows have
            no label (an empty cell, -1 in an array, the folder `unlabeled`), or further data without labels, of the
            same columns or sizes: a path, an array, a frame, a data set. `candidates`: what separates class names in
            a cell that names several; for arrays, truth values (N, C) in place of the
            labels.

    Raises:
        ValueError, TypeError: one line that names the argument, the rule, the value and the way out.
    """
    given = {k: v for k, v in {"label": label, **options}.items() if v is not None and v is not DEFAULTS.get(k)}
    if isinstance(source, Pool):
        refuse("data that are already read", (), given)
        return source if name is None else replace(source, name=name)
    if not isinstance(source, str | Path) and not _paths(source):
        return memory_pool(source, labels, given, classes, sample_weight, name)
    if labels is not None:
        raise TypeError(f"labels cannot go with {quoted(str(source))}, which has its own; name their column with label")
    if sample_weight is not None:
        raise TypeError(
            f"sample_weight is for data in memory, not for {quoted(str(source))}; name its column with weight"
        )
    kind, read = _reader(source)
    refuse(kind, ALLOWED[kind], given, str(source))
    check_backbone(given)
    return read(classes=classes, name=name, **given)


def _paths(source: Any) -> bool:
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(s, Path) for s in source)


def kind_of(source: Any) -> str:
    """Return the kind of the data at a path or on the hub, a key of `options.ALLOWED`; errors as in `pool`."""
    return _reader(source)[0]


def _reader(source: Any) -> tuple[str, Callable[..., Pool]]:
    """The kind of the data at a path or on the hub, and the function that reads them."""
    if isinstance(source, str) and source.startswith(HUB):
        return "hub", partial(_hub, source.removeprefix(HUB))
    if isinstance(source, list | tuple):
        return "table", partial(table_pool, list(source))
    path = Path(source)
    if os.path.islink(path) and not os.path.exists(path):  # of a Path, a name too long for this system would raise
        status(path)  # says whether it leads back to itself or to nothing
    if path.suffix in array_files.SUFFIXES:
        return "array file", partial(array_file_pool, path)
    if holds_images(path):
        return "parquet of images", partial(_parquet_images, path)
    if is_table(path):
        return "table", partial(table_pool, path)
    if os.path.isdir(path) and is_clothing1m(path):
        return "Clothing1M", partial(_clothing1m, path)
    if os.path.isdir(path):
        return "images", partial(_images, path)
    if os.path.exists(path):
        raise ValueError(
            f"data file {str(source)!r} ends in {path.suffix or 'nothing'}, which is not read; "
            "known are .csv, .tsv, .parquet, .xlsx, .jsonl, .ndjson, .npz and .npy, and folders of images")  # fmt: skip
    near = difflib.get_close_matches(str(source), NAMES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known names: {', '.join(NAMES)}; or a path, or hub:owner/name"
    raise ValueError(f"data {str(source)!r} is neither a known name nor an existing file or folder; {hint}")


def _images(path: Path, *, classes: Any, name: str | None, mirror: bool = True, **options: Any) -> Pool:
    _no_classes(classes)
    return image_pool(path, name=name, augment=mirror, **options)


def _clothing1m(path: Path, *, classes: Any, name: str | None, mirror: bool = True, **options: Any) -> Pool:
    if any(options.get(name) is not None for name in LISTS):
        return _images(path, classes=classes, name=name, mirror=mirror, **options)
    _no_classes(classes)
    return clothing1m_pool(path, name=name, augment=mirror, **options)


def _parquet_images(path: Path, *, classes: Any, name: str | None, mirror: bool = True, **options: Any) -> Pool:
    _no_classes(classes)
    return parquet_image_pool(path, name=name, augment=mirror, **options)


def _hub(address: str, *, classes: Any, name: str | None, mirror: bool = True, **options: Any) -> Pool:
    _no_classes(classes)
    words = address.split("/")
    repository, config = ("/".join(words[:2]), words[2]) if len(words) == 3 and words[2] else (address, None)
    name = name or "-".join(words[1:]) or repository
    return replace(hub_pool(repository, config=config, augment=mirror, table=table_pool, **options), name=name)


def _no_classes(classes: Any) -> None:
    if classes is not None:
        raise ValueError("classes are named by the data here; leave the argument out")
