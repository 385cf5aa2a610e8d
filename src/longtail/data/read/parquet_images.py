"""Parquet files with a column of images, such as those of a data set of the hub that lie in a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from longtail.data.pool import Pool
from longtail.data.read.images.image_tables import IMAGE_NAMES, image_columns, image_table_pool, joined, label_column
from longtail.data.read.images.labelled_images import ImageReader
from longtail.data.read.optional_packages import package, silenced
from longtail.data.read.tables.sources import is_table, sources

SUFFIX = ".parquet"


def holds_images(path: Path) -> bool:
    """Return whether a path is a parquet file, or a folder of such, with a column of images.

    The schema of the first file that can be read decides. A column counts that the metadata of `datasets` call an
    image, and one called image or img with the bytes of files. Where no file can be read, what reads tables says why.
    """
    if not is_table(path):
        return False
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.suffix.lower() != SUFFIX or file.name.startswith(".") or not file.is_file():
            continue
        try:
            schema = package("pyarrow.parquet", "tables").read_schema(file)
        except Exception:  # a missing package or a damaged file
            continue
        return any(_is_image(schema, name) for name in schema.names)
    return False


def _is_image(schema: Any, name: str) -> bool:
    pyarrow = package("pyarrow", "tables")
    kind, known = schema.field(name).type, (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        declared = json.loads(known)["info"]["features"][name]["_type"]
    except (ValueError, KeyError, TypeError):
        declared = None
    struct = pyarrow.types.is_struct(kind) and any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    binary = pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)
    return declared == "Image" or (name in IMAGE_NAMES and (struct or binary))


def parquet_image_pool(
    path: str | Path,
    *,
    label: str | None = None,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    name: str | None = None,
    **reading: Any,
) -> Pool:
    """Read images from a parquet file or a folder of them, whose names declare parts as those of tables do.

    Args:
        path: a file, or a folder with train-*.parquet, test-*.parquet and so on.
        label: the label column; None takes the only column of classes, or one called label, labels or fine_label.
        split, group, weight: further columns, as for `image_pool`.
        name: what tables call it; None takes that of the file or the folder.
        reading: size, skip_bad, augment, workers, share: as in `ImageReader`.

    Raises:
        ValueError: files that are no parquet, that cannot be read or that have other columns; as in
            `image_table_pool`.
        ModuleNotFoundError: without longtail[data].
    """
    reader, where = ImageReader(**reading), Path(path)
    found, notes = sources(where)
    if odd := [file.path.name for file in found if file.path.suffix.lower() != SUFFIX]:
        raise ValueError(f"{str(path)!r} must hold parquet files alone, got {odd[0]!r}, too; name the ones to read")
    files: dict[str, list[str]] = {}
    for file in found:
        files.setdefault(file.part or "train", []).append(str(file.path))
    datasets = package("datasets")
    with silenced():
        try:
            tables = dict(datasets.load_dataset("parquet", data_files=files))
        except Exception as error:  # whatever the parquet reader raises
            reason = f"{type(error).__name__}: {' '.join(str(error.__cause__ or error).split())[:120]}"
            raise ValueError(
                f"the parquet files of {str(path)!r} cannot be read ({reason}); write them again"
            ) from None
    whole, parts, more = joined(datasets, str(path), tables)
    columns = image_columns(datasets, whole.features)
    if not columns:
        raise ValueError(f"{str(path)!r} has no image column (it has {', '.join(list(whole.features)[:8])}); check it")
    named = name or where.resolve().stem
    paths = [file.path for file in found]
    return image_table_pool(
        str(path), whole, parts, reader, columns=columns,
        label=label_column(datasets, str(path), whole.features, label), split=split, group=group, weight=weight,
        notes=(*notes, *more), facts={"source": "parquet"}, identity=lambda *_: _identity(paths), sources=paths,
        named=named,
    )  # fmt: skip


def _identity(files: list[Path]) -> str:
    """Hash names, sizes and times of change: it survives moving the folder."""
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(f"{file.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
