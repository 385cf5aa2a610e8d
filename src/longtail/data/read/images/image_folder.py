"""Read a folder of images as a pool."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from longtail.data.pool import Pool
from longtail.data.prepare.images import FeaturePreparation
from longtail.data.read.column_roles import filled, read_roles
from longtail.data.read.images.class_folders import folder_labels, folder_parts, part_folders
from longtail.data.read.images.decode import EncodedImages
from longtail.data.read.images.embeddings import features_of
from longtail.data.read.images.file_tree import METADATA, Tree, first_few, scan
from longtail.data.read.images.labelled_images import ImageReader
from longtail.data.read.images.metadata import read_columns
from longtail.data.rows import Examples


def image_pool(
    folder: str | Path,
    *,
    label: str | None = None,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    features: str | Path | None = None,
    name: str | None = None,
    **reading: Any,
) -> Pool:
    """Read one folder per class, with or without train, val and test folders above; or a metadata.csv.

    Rows are in the order of their relative paths, whatever the order of the file system. How an image is decoded:
    `longtail.data.read.images.pixels`. Files that are not images, and hidden ones, are ignored and counted in a note.

    Args:
        folder: where the images are. Nothing is written into it, no image is copied.
        label: the column of metadata.csv with the labels; None takes the names of the folders.
        split, group, weight: columns of metadata.csv: train, val or test; rows to keep together; a weight >= 0.
        features: an .npz of embeddings in place of pixels (see `features_of`); nothing is decoded.
        name: what tables call it; None takes the folder's name.
        reading: size, skip_bad, augment, workers, share: as in `ImageReader`.

    Raises:
        ValueError: one line that names the file, folder or column, the rule and the way out.
        ModuleNotFoundError: without longtail[data].
    """
    reader = ImageReader(**reading)
    tree = scan(folder)
    if not tree.images:
        other = f" (only other files, such as {tree.ignored[0]!r})" if tree.ignored else ""
        raise ValueError(f"folder {str(folder)!r} holds no image{other}; check the path")
    wanted = [column for column in (label, split, group, weight) if column is not None]
    columns = read_columns(tree, wanted) if wanted else {}
    folders = part_folders(tree)
    roles = read_roles(
        columns, split=split, group=group, weight=weight, names=tree.images,
        declared=folder_parts(tree, folders), declared_by=f"the folders {', '.join(sorted(folders))}",
    )  # fmt: skip
    if label is None:
        labels = folder_labels(tree, folders)
    else:
        labels = list(filled("label", label, columns[label], tree.images))
    files = [tree.root / path for path in tree.images]
    images, classes = EncodedImages(files, tree.images), tuple(sorted(set(labels)))
    facts, notes = {"source": "images"}, _ignored(tree, bool(wanted))
    pool = reader.encoded(
        name or tree.name, images, labels, classes, roles, identity=_identity(tree), facts=facts, notes=notes
    )
    return reader.decoded(pool, images, files) if features is None else _with_features(pool, tree, features)


def _ignored(tree: Tree, read_metadata: bool) -> list[str]:
    notes = []
    if tree.ignored:
        count = len(tree.ignored)
        files = "file that is" if count == 1 else "files that are"
        notes.append(f"{count} {files} not images or hidden, ignored: {first_few(tree.ignored)}")
    if tree.metadata and not read_metadata:
        notes.append(f"{METADATA} was not read, since no column of it was named")
    return notes


def _with_features(pool: Pool, tree: Tree, path: str | Path) -> Pool:
    inputs = features_of(path, tree.images)
    return replace(
        pool,
        rows=Examples(inputs, pool.targets, pool.classes, pool.sample_weight),
        preparation=FeaturePreparation(tuple(inputs.shape[1:]), "float32"),
        facts={**pool.facts, "features": True},
        notes=(*pool.notes, f"features of {len(inputs)} images from {Path(path).name} stand in place of their pixels"),
    )


def _identity(tree: Tree) -> str:
    """Hash relative paths, sizes and times of change: it survives moving the folder."""
    digest = hashlib.sha256()
    for path in tree.images:
        status = os.stat(tree.root / path)
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
