"""A folder of images as a pool: scanned, listed through `datasets`, decoded once."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from longtail.data.pool import Pool
from longtail.data.prepare.images import FeaturePreparation
from longtail.data.read.images import metadata, metadata_columns
from longtail.data.read.images.class_folders import folder_labels, part_folders, part_of, read
from longtail.data.read.images.decode import Files
from longtail.data.read.images.embeddings import features_of
from longtail.data.read.images.file_tree import METADATA, Tree, listed, scan
from longtail.data.read.images.labelled_images import Decoder, Labelled
from longtail.data.read.images.memory import SHARE
from longtail.data.rows import Examples


def image_pool(
    folder: str | Path,
    *,
    label: str | None = None,
    split: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    size: int = 32,
    skip_bad: bool = False,
    augment: bool = True,
    features: str | Path | None = None,
    workers: int = 0,
    share: float = SHARE,
    name: str | None = None,
) -> Pool:
    """One folder per class, with or without train, val and test folders above; or a metadata.csv.

    Rows stand in the order of their relative paths, whatever the file system says. How an image is decoded:
    `longtail.data.read.images.pixels`. Files that are not images, and hidden ones, are ignored and counted in a note.

    Args:
        folder: where the images are. Nothing is written into it, no image is copied.
        label: the column of metadata.csv with the labels; None takes the names of the folders.
        split, group, weight: columns of metadata.csv: train, val or test; what must not be parted; a weight >= 0.
        size, skip_bad, augment, workers, share: as in `Decoder`.
        features: an .npz of embeddings that stand in place of pixels (see `features_of`); nothing is decoded.
        name: what tables call it; None takes the folder's name.

    Raises:
        ValueError: one line that names the file, folder or column, the rule and the way out.
        ModuleNotFoundError: without longtail[data].
    """
    decoder = Decoder(size, skip_bad, augment, workers, share)
    tree = scan(folder)
    if not tree.images:
        other = f" (only other files, such as {tree.ignored[0]!r})" if tree.ignored else ""
        raise ValueError(f"folder {str(folder)!r} holds no image{other}; check the path")
    images = _labelled(tree, label, split, group, weight, name or tree.name).checked()
    if features is not None:
        return _with_features(images, features)
    files = [tree.root / path for path in tree.images]
    return decoder.pool(images, Files(str(tree.root), tree.images), files, lambda: _identity(tree))


def _labelled(
    tree: Tree, label: str | None, split: str | None, group: str | None, weight: str | None, name: str
) -> Labelled:
    wanted = [column for column in (label, split, group, weight) if column is not None]
    text = metadata.columns(tree, wanted) if wanted else {}
    folders = part_folders(tree)
    parts = part_of(tree.images, folders)
    if split is not None:
        if parts is not None:
            raise ValueError(
                f"the split is declared twice, by folders ({', '.join(sorted(folders))}) and by column {split!r}; "
                "leave the option out or move the images out of these folders"
            )
        parts = metadata_columns.as_parts(text[split], split, tree.images)
    if label is None:
        labels = folder_labels(tree, folders)
    else:
        read(tree, with_labels=False)  # what datasets cannot read is told before anything is decoded
        labels = metadata_columns.filled(text[label], label, tree.images)
    return Labelled(
        name,
        tree.images,
        labels,
        tuple(sorted(set(labels))),
        parts,
        None if group is None else metadata_columns.as_groups(text[group], group, tree.images),
        None if weight is None else metadata_columns.as_weights(text[weight], weight, tree.images),
        _ignored(tree, bool(wanted)),
        {"source": "images"},
    )


def _ignored(tree: Tree, read_metadata: bool) -> tuple[str, ...]:
    notes = []
    if tree.ignored:
        count = len(tree.ignored)
        one = "file that is" if count == 1 else "files that are"
        notes.append(f"{count} {one} not images or hidden, ignored: {listed(tree.ignored)}")
    if tree.metadata and not read_metadata:
        notes.append(f"{METADATA} was not read, since no column of it was named")
    return tuple(notes)


def _with_features(images: Labelled, path: str | Path) -> Pool:
    inputs = features_of(path, images.names)
    rows = Examples(inputs, images.targets, images.classes, images.weight)
    notes = (*images.notes, f"features of {len(inputs)} images from {Path(path).name} stand in place of their pixels")
    described = replace(images, notes=notes, facts={**images.facts, "features": True})
    return described.pool(rows, FeaturePreparation(tuple(inputs.shape[1:]), "float32"))


def _identity(tree: Tree) -> str:
    """A hash of relative paths, sizes and times of change: it survives moving the folder."""
    digest = hashlib.sha256()
    for path in tree.images:
        found = os.stat(tree.root / path)
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
