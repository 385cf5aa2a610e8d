"""Features of new rows by a trained network, as a file that `--features` reads."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from longtail.data.prepare import new_rows
from longtail.facts import files
from longtail.runs.predictor import Predictor


def write_embeddings(predictor: Predictor, data: Any, path: Path, *, skip_bad: bool = False) -> dict[str, Any]:
    """Write X (N, D) float32 and, of images, `files` (N,), their paths in the folder; return what was written.

    Args:
        predictor: a trained model.
        data: rows, as `Predictor.prepared` takes them.
        path: ends in .npz.
        skip_bad: leave out images that cannot be decoded.

    Raises:
        ValueError: a model without features, or rows that do not fit it.
        OSError: the file cannot be written.
    """
    read = new_rows.read(data, predictor.preparation, skip_bad=skip_bad)
    arrays = {"X": predictor.features(read.inputs).cpu().numpy()}
    if read.names is not None:
        arrays["files"] = np.array([name for row, name in enumerate(read.names) if row not in read.skipped])
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, buffer.getvalue())
    rows, width = arrays["X"].shape
    skipped = {str(row) if read.names is None else read.names[row]: why for row, why in read.skipped.items()}
    return {"out": str(path), "rows": rows, "width": width, "files": read.names is not None, "skipped": skipped}
