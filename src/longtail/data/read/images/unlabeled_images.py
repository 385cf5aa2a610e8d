"""Images without labels: in a folder called unlabeled beside the class folders, or in a folder of their own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from longtail.data.read.array_labels import is_same
from longtail.data.read.column_roles import SPLIT_NAMES
from longtail.data.read.images.file_tree import Tree, scan

FOLDER = "unlabeled"


def without_class(tree: Tree, unlabeled: Any) -> Tree:
    """Return the tree without the images of a folder `unlabeled`, which lies beside the class or the part folders.

    Raises:
        ValueError: there is one, and `unlabeled` is not "same".
    """
    beside = [f for f in tree.folders if f == FOLDER or (f.endswith(f"/{FOLDER}") and _is_training_part(f))]
    images = [image for folder in beside for image in tree.images_below(folder)]
    if not images:
        return tree
    if not is_same(unlabeled):
        raise ValueError(
            f'folder {beside[0]!r} would be a class of its own; pass unlabeled="same" (--unlabeled same) to learn from '
            "its images without labels, or rename or move it"
        )
    apart = set(images)
    folders = [f for f in tree.folders if f not in beside and not any(f.startswith(f"{b}/") for b in beside)]
    return replace(tree, images=tuple(i for i in tree.images if i not in apart), folders=tuple(folders))


def further_images(tree: Tree, unlabeled: Any, features: Any) -> Tree | None:
    """Return the images below a folder of images without labels, at any depth; None where there is no such folder.

    Args:
        tree: the labelled images.
        unlabeled: None, "same" or the folder.
        features: the file of embeddings in place of pixels, if any.

    Raises:
        TypeError: not a path.
        ValueError: no image, a folder inside of the labelled one, or embeddings, which list the images of one folder.
    """
    if unlabeled is None or is_same(unlabeled):
        return None
    if not isinstance(unlabeled, str | os.PathLike):
        raise TypeError(
            f'unlabeled (--unlabeled) must be a folder of images or "same", got {type(unlabeled).__name__}; pass a path'
        )
    try:
        further = scan(Path(unlabeled))
    except ValueError as error:
        raise ValueError(f"unlabeled (--unlabeled): {error}") from None
    way_out = f'call it {FOLDER}, beside the class folders, and pass unlabeled="same" (--unlabeled same)'
    if not further.images:
        raise ValueError(f"unlabeled (--unlabeled) must be a folder of images, got {str(unlabeled)!r}; check it")
    if further.root.resolve().is_relative_to(tree.root.resolve()):
        raise ValueError(
            f"unlabeled (--unlabeled) must lie outside of the labelled images, got {str(unlabeled)!r}; move it, or "
            f"{way_out}"
        )
    if features is not None:
        raise ValueError(
            f"features (--features) list the images of one folder, and unlabeled (--unlabeled) is another; {way_out}"
        )
    return further


def _is_training_part(folder: str) -> bool:
    part, _, rest = folder.partition("/")
    return rest == FOLDER and SPLIT_NAMES.get(part.lower()) == "train"
