"""New rows for a trained model, as its preparation takes them; labels are not needed, and noted where given."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from longtail.data.prepare.preparation import Preparation, Read
from longtail.data.read.array_files import LABELS, array_names
from longtail.facts.paths import regular

log = logging.getLogger(__name__)


def rows(
    source: Any, preparation: Preparation | None, *, delimiter: str | None = None, header: bool | None = None,
    worksheet: str | None = None,
) -> Any:  # fmt: skip
    """Read new rows from a path, by the kind of data that the model was trained on; return rows in memory as they are.

    Args:
        source: a path, or rows in memory.
        preparation: of the model.
        delimiter, header: of text files; worksheet: of an .xlsx file.

    Raises:
        ValueError: no such file or folder, or data of another kind.
    """
    if not isinstance(source, str | Path):
        return source
    path = Path(source)
    if not path.exists():
        raise ValueError(f"data {str(source)!r} do not exist; check the path")
    if not path.is_dir():
        regular(path)
    kind = None if preparation is None else preparation.kind
    if kind == "table":
        from longtail.data.read.tables.read import read_table
        from longtail.data.read.tables.sources import SUFFIXES, is_table
        from longtail.data.read.tables.workbook import SUFFIX as WORKBOOK

        if not is_table(path):
            raise ValueError(
                f"the model was trained on a table, got {str(source)!r}; pass a {', '.join(SUFFIXES)} file"
            )
        # the names of the training columns tell a header from a row
        names = [c.name for c in getattr(preparation, "columns", ())]
        reading = read_table(path, delimiter=delimiter, header=header, expected=names, worksheet=worksheet)
        if any(name.lower().endswith(WORKBOOK) for name, _ in reading.files):
            for note in reading.notes:  # which sheet was read, and rows that were left out, so that they have no number
                log.warning("%s", note)
        return reading.frame
    if delimiter is not None or header is not None or worksheet is not None:
        raise ValueError(
            f"--delimiter, --header and --worksheet are for tables, and the model was trained on {kind or 'tensors'}"
        )
    if kind == "features" and path.suffix not in (".npz", ".npy"):
        raise ValueError(f"the model was trained on features, got {str(source)!r}; pass an .npz or .npy file")
    return path


def read(data: Any, preparation: Preparation | None, *, skip_bad: bool = False) -> Read:
    """Turn rows (a frame, a path, arrays, images) into the inputs of a network.

    Args:
        data: rows that the preparation takes; a tensor for a model without one.
        preparation: of the model.
        skip_bad: leave out images that cannot be decoded.

    Raises:
        ValueError, TypeError: data that do not fit the model (other columns, dtypes, shapes or modes, named), or
            `skip_bad` for data that are no images.
    """
    if (images := getattr(preparation, "read", None)) is not None:
        decoded: Read = images(data, skip_bad=skip_bad)
        return decoded
    if skip_bad:
        kind = "tensors" if preparation is None else preparation.kind.replace("table", "a table")
        raise ValueError(f"skip_bad (--skip-bad) is for images, and the model was trained on {kind}; leave it out")
    if preparation is not None:
        return Read(preparation(data))
    if not isinstance(data, Tensor):
        raise TypeError(
            f"data must be a tensor of the network's inputs for a model without preparation, got "
            f"{type(data).__name__}; pass a tensor"
        )
    return Read(data)


def labels_beside(
    data: Any, label: str | None, names: Sequence[str] | None = None, classes: Sequence[str] = ()
) -> tuple[str, ...]:
    """A sentence where the rows to predict come with labels, which are not used.

    Args:
        data: as `read` takes them.
        label: the label column of training, if any.
        names: of the rows, as in `Read`: images may lie in folders with the names of the classes.
        classes: the class names.
    """
    where = None
    if label is not None and hasattr(data, "columns") and label in {str(c) for c in data.columns}:
        where = f"column {label!r} holds labels"
    elif isinstance(data, str | Path) and Path(data).suffix == ".npz" and (name := _labels_in(Path(data))) is not None:
        where = f"array {name!r} of {Path(data).name} holds labels"
    elif names and Path(str(data)).is_dir() and {Path(name).parent.name for name in names} <= {*classes}:
        where = "the images lie in folders that are called as the classes"
    if where is None:
        return ()
    return (f"{where}; they were not used to predict, and longtail evaluate scores the model against them",)


def _labels_in(path: Path) -> str | None:
    try:
        return next((name for name in LABELS if name in array_names(path)), None)
    except ValueError:  # reported where its features were read
        return None
