"""Read a folder of images as a pool."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from longtail.data.pool import Pool, labelled
from longtail.data.prepare.images import FeaturePreparation
from longtail.data.read.array_labels import SAME, check_some, is_same
from longtail.data.read.candidates import check_separator, parse_sets
from longtail.data.read.column_roles import filled, read_roles
from longtail.data.read.images.class_folders import folder_labels, folder_parts, part_folders
from longtail.data.read.images.decode import EncodedImages
from longtail.data.read.images.embeddings import features_of
from longtail.data.read.images.file_tree import METADATA, Tree, first_few, scan
from longtail.data.read.images.labelled_images import ImageReader, class_indices
from longtail.data.read.images.listed_images import listed_pool
from longtail.data.read.images.metadata import read_columns
from longtail.data.read.images.unlabeled_images import further_images, without_class
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
    unlabeled: str | Path | None = None,
    candidates: str | None = None,
    train_list: str | Path | None = None,
    val_list: str | Path | None = None,
    test_list: str | Path | None = None,
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
        unlabeled: "same" where a folder `unlabeled` beside the class folders, or empty cells of the label column, mean
            images without a label; or a folder of further images without labels.
        candidates: what separates class names in labels that name several.
        train_list, val_list, test_list: files with "relative/path.jpg 17" in each line; see `listed_pool`.
        reading: size, skip_bad, augment, workers, share: as in `ImageReader`.

    Raises:
        ValueError: one line that names the file, folder or column, the rule and the way out.
        ModuleNotFoundError: without longtail[data].
    """
    lists = {"train_list": train_list, "val_list": val_list, "test_list": test_list}
    if any(path is not None for path in lists.values()):
        given = {"label": label, "split": split, "group": group, "weight": weight, "features": features}
        given |= {"unlabeled": unlabeled, "candidates": candidates}
        return listed_pool(folder, lists, name=name, other=given, **reading)
    reader = ImageReader(**reading)
    tree = scan(folder)
    if not tree.images:
        other = f" (only other files, such as {tree.ignored[0]!r})" if tree.ignored else ""
        raise ValueError(f"folder {str(folder)!r} holds no image{other}; check the path")
    wanted = [column for column in (label, split, group, weight) if column is not None]
    columns = read_columns(tree, wanted) if wanted else {}
    in_classes = tree if label is not None else without_class(tree, unlabeled)
    further = further_images(tree, unlabeled, features)
    names, files = list(tree.images), [tree.root / path for path in tree.images]
    folders = part_folders(in_classes)
    declared = folder_parts(in_classes, folders)
    parts = None if declared is None else _of_all(names, in_classes.images, declared.tolist(), "train")
    if label is None:
        labels = _of_all(names, in_classes.images, folder_labels(in_classes, folders), "")
    elif is_same(unlabeled):
        labels = [text.strip() and text for text in columns[label]]
    else:
        labels = list(filled("label", label, columns[label], tree.images, unlabeled_option=True))
    if further is not None:
        shared = [column for column in (group, weight) if column is not None]
        columns = _joined(columns, read_columns(further, shared) if shared else {}, split, len(further.images))
        names += [f"{further.name}/{path}" for path in further.images]
        files += [further.root / path for path in further.images]
        labels += [""] * len(further.images)
        parts = None if parts is None else parts + ["train"] * len(further.images)
    roles = read_roles(
        columns, split=split, group=group, weight=weight, names=names,
        declared=None if parts is None else np.array(parts), declared_by=f"the folders {', '.join(sorted(folders))}",
    )  # fmt: skip
    targets, classes, facts = _targets(labels, unlabeled, further, candidates)
    images, identity = EncodedImages(files, tuple(names)), _identity(tree)
    pool = reader.encoded(
        name or tree.name, images, targets, classes, roles,
        identity=identity if further is None else f"{identity} {_identity(further)}",
        facts={"source": "images", **facts}, notes=_ignored(tree, bool(wanted)),
    )  # fmt: skip
    pool = reader.decoded(pool, images, files) if features is None else _with_features(pool, tree, features)
    return labelled(pool, (pool.targets < 0).numpy()) if pool.targets.ndim == 1 else pool


def _targets(
    labels: list[str], unlabeled: Any, further: Tree | None, separator: str | None
) -> tuple[Tensor, tuple[str, ...], dict[str, str]]:
    """Return targets, class names and facts on the task; "" is a missing label."""
    if separator is not None:
        if unlabeled is not None:
            raise ValueError("unlabeled (--unlabeled) cannot go with candidates (--candidates); pass one of them")
        return *parse_sets(labels, check_separator(separator), "labels of images"), {"candidates": separator}
    classes = tuple(sorted({label for label in labels if label}))
    targets = class_indices(labels, classes)
    if is_same(unlabeled):
        check_some((targets < 0).numpy(), "the images")
    facts = {} if unlabeled is None else {"unlabeled": SAME if further is None else further.name}
    return targets, classes, facts


def _of_all(names: list[str], some: Sequence[str], values: Sequence[str], default: str) -> list[str]:
    """Return a value for every name, given those of some."""
    known = dict(zip(some, values, strict=True))
    return [known.get(name, default) for name in names]


def _joined(columns: dict[str, list[str]], more: dict[str, list[str]], split: str | None, size: int) -> dict[str, Any]:
    """Return columns of metadata.csv with those of further training images below."""
    more = more | ({} if split is None else {split: ["train"] * size})
    return {name: values + more[name] for name, values in columns.items() if name in more}


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
