"""One folder per class, perhaps below train, val and test: which image has which label, and in which part it stands."""

from __future__ import annotations

import os
import tempfile

import numpy as np

from longtail.data.read.images.file_tree import METADATA, Tree, listed
from longtail.data.read.optional_packages import package, silenced

SYNONYMS = {
    "train": "train", "training": "train",
    "val": "val", "validation": "val", "valid": "val", "dev": "val", "eval": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What a part may be called, in either case -> what we call it."""


def part_folders(tree: Tree) -> dict[str, str]:
    """Folder -> part, where every folder at the top is called as a part and one of them is the training part.

    So a folder of vehicles with the classes bus, car and train is three classes, not a declared split.

    Raises:
        ValueError: two names of one part, a part without images, images beside the parts.
    """
    top = [folder for folder in tree.folders if "/" not in folder]
    parts = {folder: SYNONYMS.get(folder.lower(), "") for folder in top}
    if "" in parts.values() or "train" not in parts.values():
        return {}
    for part in set(parts.values()):
        same = [folder for folder in top if parts[folder] == part]
        if len(same) > 1:
            raise ValueError(f"folders {' and '.join(map(repr, same))} both mean the {part} part; merge or rename one")
    for folder in top:
        if not tree.inside(folder):
            raise ValueError(f"part folder {folder!r} holds no image; add images or remove it")
    beside = [path for path in tree.images if "/" not in path]
    if beside:
        raise ValueError(f"image {beside[0]!r} lies beside the folders {', '.join(top)}; move it into one of them")
    return parts


def folder_labels(tree: Tree, parts: dict[str, str]) -> list[str]:
    """The label of every image: the name of the folder it lies in, as `datasets` reads it.

    Raises:
        ValueError: an image outside of a class folder or deeper inside of one, an empty class folder.
    """
    depth = 2 if parts else 1
    way_out = f"one folder per class, or a {METADATA} with file_name and the label column named by label= (--label)"
    if not any(folder.count("/") == depth - 1 for folder in tree.folders):
        raise ValueError(f"folder {str(tree.root)!r} holds images and no class folders; make {way_out}")
    for path in tree.images:
        if path.count("/") < depth:
            raise ValueError(f"image {path!r} lies outside of the class folders, so it has no label; make {way_out}")
        if path.count("/") > depth:
            raise ValueError(
                f"image {path!r} lies in a folder inside of a class folder, so its class is not clear; move it up, "
                f"or give a {METADATA} with file_name and the label column named by label= (--label)"
            )
    filled = {os.path.dirname(path) for path in tree.images}
    empty = [f for f in tree.folders if f.count("/") == depth - 1 and f not in filled]
    if empty:
        raise ValueError(
            f"class folder {listed(empty)} holds no image{_other_files(tree, empty[0])}; "
            "add images of the class or remove the folder"
        )
    return read(tree, with_labels=True)


def read(tree: Tree, *, with_labels: bool) -> list[str]:
    """What `datasets`' image folder says of exactly these images, in their order: their labels, or "" each.

    Raises:
        ModuleNotFoundError: without longtail[data].
    """
    datasets = package("datasets")
    from datasets.data_files import DataFilesDict, DataFilesList
    from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

    files = [str(tree.root.absolute() / path) for path in tree.images]
    names = sorted({os.path.basename(os.path.dirname(path)) for path in files})
    features = {"image": datasets.Image(decode=False)}
    if with_labels:
        features["label"] = datasets.ClassLabel(names=names)
    # its own list type: a plain list would be read as patterns, and a class called a*[1] not be found
    wanted = DataFilesDict({"all": DataFilesList(files, [("", "")] * len(files))})
    with tempfile.TemporaryDirectory() as cache, silenced():
        builder = ImageFolder(
            cache_dir=cache,
            data_files=wanted,
            drop_labels=not with_labels,
            drop_metadata=True,
            features=datasets.Features(features),
        )
        rows = [(row["image"]["path"], row.get("label")) for row in builder.as_streaming_dataset("all")]
    if [path for path, _ in rows] != files:
        missing = sorted(set(files) - {path for path, _ in rows})
        raise ValueError(f"datasets does not find {len(missing)} of the images, such as {missing[:1]}; rename them")
    return [names[label] if with_labels else "" for _, label in rows]


def part_of(paths: tuple[str, ...], parts: dict[str, str]) -> np.ndarray | None:
    """(N,) the part of every image; None where nothing but a training part is declared."""
    if set(parts.values()) <= {"train"}:
        return None
    return np.array([parts[path.split("/", 1)[0]] for path in paths])


def _other_files(tree: Tree, folder: str) -> str:
    other = [path for path in tree.ignored if path.startswith(f"{folder}/")]
    deeper = tree.inside(folder)
    if deeper:
        return f" of its own (but {deeper[0]!r} deeper inside)"
    return f" (only other files, such as {other[0]!r})" if other else ""
