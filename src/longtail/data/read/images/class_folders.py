"""Labels and declared parts from folder names: one folder per class, perhaps below train, val and test."""

from __future__ import annotations

import os

import numpy as np

from longtail.data.read.column_roles import SPLIT_NAMES
from longtail.data.read.images.file_tree import METADATA, Tree, first_few


def part_folders(tree: Tree) -> dict[str, str]:
    """Return folder -> part, where every top folder is named after a part and one of them is the training part.

    So a folder of vehicles with the classes bus, car and train is three classes, not a declared split.

    Raises:
        ValueError: two names of one part, a part without images, images beside the parts.
    """
    top = [folder for folder in tree.folders if "/" not in folder]
    parts = {folder: SPLIT_NAMES.get(folder.lower(), "") for folder in top}
    if "" in parts.values() or "train" not in parts.values():
        return {}
    for part in set(parts.values()):
        same = [folder for folder in top if parts[folder] == part]
        if len(same) > 1:
            raise ValueError(f"folders {' and '.join(map(repr, same))} both mean the {part} part; merge or rename one")
    for folder in top:
        if not tree.images_below(folder):
            raise ValueError(f"part folder {folder!r} holds no image; add images or remove it")
    beside = [path for path in tree.images if "/" not in path]
    if beside:
        raise ValueError(f"image {beside[0]!r} lies beside the folders {', '.join(top)}; move it into one of them")
    return parts


def folder_labels(tree: Tree, parts: dict[str, str]) -> list[str]:
    """Return the label of every image: the name of the folder it lies in.

    Raises:
        ValueError: an image outside of a class folder or deeper inside of one, an empty class folder.
    """
    depth = 2 if parts else 1
    way_out = f"a {METADATA} with file_name and the label column named by label= (--label)"
    classes = [folder for folder in tree.folders if folder.count("/") == depth - 1]
    if not classes:
        raise ValueError(
            f"folder {str(tree.root)!r} holds images and no class folders; make one folder per class, or {way_out}"
        )
    for path in tree.images:
        if path.count("/") < depth:
            raise ValueError(
                f"image {path!r} lies outside of the class folders, so it has no label; make one folder per class, "
                f"or {way_out}"
            )
        if path.count("/") > depth:
            raise ValueError(
                f"image {path!r} lies in a folder inside of a class folder, so its class is not clear; move it up, "
                f"or give {way_out}"
            )
    empty = sorted(set(classes) - {os.path.dirname(path) for path in tree.images})
    if empty:
        other = [path for path in tree.ignored if path.startswith(f"{empty[0]}/")]
        only = f" (only other files, such as {other[0]!r})" if other else ""
        raise ValueError(
            f"class folder {first_few(empty)} holds no image{only}; add images of the class or remove the folder"
        )
    return [path.split("/")[-2] for path in tree.images]


def folder_parts(tree: Tree, parts: dict[str, str]) -> np.ndarray | None:
    """Return (N,) the part of every image; None where nothing but a training part is declared."""
    if set(parts.values()) <= {"train"}:
        return None
    return np.array([parts[path.split("/", 1)[0]] for path in tree.images])
