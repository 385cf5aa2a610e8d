"""The folder of Clothing1M as it is distributed: lists of keys, two files of labels, the names of 14 classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail.data.pool import Pool
from longtail.data.read.images.labelled_images import ImageReader
from longtail.data.read.images.list_files import Listed, list_line, relative_path, text_lines
from longtail.data.read.images.listed_images import read_listed
from longtail.facts.messages import quoted

NAMES = "category_names_eng.txt"
ANNOTATIONS = "annotations"
NOISY, CLEAN, BOTH = "noisy", "clean", "noisy+clean"
TRAINED = {NOISY: ("noisy_train",), CLEAN: ("clean_train",), BOTH: ("noisy_train", "clean_train")}
"""Which labels are trained on -> the lists of their images."""
EVALUATED = {"clean_val": "val", "clean_test": "test"}

Entry = tuple[str, int, str]
"""Path, class index and where both are written."""


def is_clothing1m(folder: Path) -> bool:
    """Return whether a folder, or `annotations` in it, has the list of the noisy training images."""
    return _annotations(folder) is not None


def clothing1m_pool(folder: str | Path, *, label: str | None = None, name: str | None = None, **reading: Any) -> Pool:
    """Read Clothing1M: noisy training images, the clean validation and test images, by its own lists.

    A part is read from noisy_train_kv.txt, clean_val_kv.txt and clean_test_kv.txt, "images/0/01/a.jpg 5" a line, or,
    where there is none, from noisy_train_key_list.txt (a path a line) with noisy_label_kv.txt, and the clean ones
    likewise with clean_label_kv.txt. Files lie in the folder or in `annotations` in it; paths are relative to the
    folder. The labels of the training images are as they came: which of them are wrong is not known.

    Args:
        folder: has `images` and the lists.
        label: "noisy" (the default), "clean" (the clean training images alone) or "noisy+clean", first the noisy ones.
        name: what tables call it; None takes the folder's name.
        reading: as in `ImageReader`.

    Raises:
        ValueError: another `label`, a list or label that is missing, a line of another form, an image listed twice, a
            class index that has no name, a class without a training image, an image that is not there.
    """
    label = NOISY if label is None else label
    if label not in TRAINED:
        raise ValueError(
            f"label (--label) of Clothing1M must be one of {', '.join(TRAINED)}, got {quoted(label)}; leave it out"
        )
    root = Path(folder)
    lists = _annotations(root)
    if lists is None:
        raise ValueError(
            f"folder {str(folder)!r} must hold noisy_train_key_list.txt or noisy_train_kv.txt, got neither; check "
            "the path"
        )
    classes = tuple(line for _, line in text_lines(lists / NAMES, f"class names {NAMES}"))
    entries = [(entry, "train") for part in TRAINED[label] for entry in _entries(lists, part)]
    entries += [(entry, part) for list_name, part in EVALUATED.items() for entry in _entries(lists, list_name)]
    _check(entries, classes)
    listed = Listed(
        tuple(path for (path, _, _), _ in entries),
        torch.tensor([index for (_, index, _), _ in entries]),
        np.array([part for _, part in entries], dtype="U5"),
        classes,
        tuple(place for (_, _, place), _ in entries),
    )
    facts = {"source": "clothing1m", "labels": label}
    return read_listed(root, listed, ImageReader(**reading), name=name, facts=facts)


def _annotations(folder: Path) -> Path | None:
    for place in (folder, folder / ANNOTATIONS):
        if any((place / f"noisy_train_{end}.txt").is_file() for end in ("kv", "key_list")):
            return place
    return None


def _entries(lists: Path, part: str) -> list[Entry]:
    """Return the images of a part in the order of its list."""
    pairs = lists / f"{part}_kv.txt"
    if pairs.is_file():
        return _pairs(pairs)
    keys = lists / f"{part}_key_list.txt"
    labels_file = lists / f"{part.partition('_')[0]}_label_kv.txt"
    labels = {path: index for path, index, _ in _pairs(labels_file)}
    entries = []
    for place, line in text_lines(keys, f"list of images {keys.name}"):
        path = relative_path(line, place)
        if path not in labels:
            raise ValueError(
                f"{place} lists {path!r}, which has no label in {labels_file.name}; add it, or take the line out"
            )
        entries.append((path, labels[path], place))
    return entries


def _pairs(file: Path) -> list[Entry]:
    return [(*list_line(line, place), place) for place, line in text_lines(file, f"labels {file.name}")]


def _check(entries: Sequence[tuple[Entry, str]], classes: Sequence[str]) -> None:
    """Raise ValueError for an image listed twice, an index without a name, and a class without a training image."""
    seen: dict[str, str] = {}
    trained: Mapping[int, None] = {index: None for (_, index, _), part in entries if part == "train"}
    for (path, index, place), _ in entries:
        if (first := seen.setdefault(path, place)) is not place:
            raise ValueError(f"{place} lists {path!r}, which {first} lists, too; keep one of them")
        if index >= len(classes):
            raise ValueError(
                f"{place} must have the index of one of the {len(classes)} classes of {NAMES}, got {index}; correct one"
            )
    for j, name in enumerate(classes):
        if j not in trained:
            raise ValueError(f"every class must have a training image, got none of {name!r}; take it out of {NAMES}")
