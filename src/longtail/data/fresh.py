"""New rows for a trained model, as its preparation takes them: labels are not needed and not looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail.data.preparation import Preparation
from longtail.places import regular


def rows(
    source: Any, preparation: Preparation | None, *, delimiter: str | None = None, header: bool | None = None
) -> Any:
    """What stands at a path, read by the kind of data that the model was trained on; anything else is handed on.

    Args:
        source: a path, or rows in memory.
        preparation: of the model.
        delimiter, header: of text files.

    Raises:
        ValueError: nothing there, or data of another kind.
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
        from longtail.data.tables import is_table, read_table

        if not is_table(path):
            raise ValueError(
                f"the model was trained on a table, got {str(source)!r}; pass a .csv, .tsv or .parquet file"
            )
        # a file is cut into columns as the training's was, whose names tell a header from a row
        names = [c.name for c in getattr(preparation, "columns", ())]
        return read_table(path, delimiter=delimiter, header=header, expected=names).frame
    if delimiter is not None or header is not None:
        raise ValueError(f"--delimiter and --header are for tables, and the model was trained on {kind or 'tensors'}")
    if kind == "features" and path.suffix not in (".npz", ".npy"):
        raise ValueError(f"the model was trained on features, got {str(source)!r}; pass an .npz or .npy file")
    return path
