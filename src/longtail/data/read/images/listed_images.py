"""Read the images that lists name, from one folder, as a pool with declared parts."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

from longtail.data.pool import Pool
from longtail.data.read.column_roles import Roles
from longtail.data.read.images.decode import EncodedImages
from longtail.data.read.images.labelled_images import ImageReader
from longtail.data.read.images.list_files import Listed, read_lists
from longtail.data.read.options import LISTS
from longtail.facts.messages import quoted
from longtail.facts.paths import status


def listed_pool(
    folder: str | Path,
    lists: dict[str, Any],
    *,
    name: str | None = None,
    other: dict[str, Any] | None = None,
    **reading: Any,
) -> Pool:
    """Read the images of the lists, in their order; files that no list names are not looked at.

    Args:
        folder: what the paths in the lists are relative to.
        lists: train_list, val_list and test_list, at least the first; see `list_files.read_lists`. Where only the
            training list is given, no split is declared.
        name: what tables call it; None takes the folder's name.
        other: further arguments of an image folder, which must not be given, since the lists have labels and parts.
        reading: as in `ImageReader`.

    Raises:
        ValueError: what `read_lists` refuses; an image that is not there, with the line that names it.
    """
    reader, root = ImageReader(**reading), Path(folder)
    for option, value in (other or {}).items():
        if value is not None:
            raise ValueError(
                f"{option} (--{option}) cannot go with lists of images, which have the labels and parts, got "
                f"{quoted(str(value))}; leave one of them out"
            )
    given = [option for option in LISTS if lists.get(option) is not None]
    if LISTS[0] not in given:
        flag = f"--{given[0].replace('_', '-')}"
        raise ValueError(f"{given[0]} ({flag}) needs the list of the training images; add train_list (--train-list)")
    if not root.is_dir():
        raise ValueError(
            f"image folder {str(folder)!r} is no folder; name the one that the lists' paths are relative to"
        )
    facts = {"source": "images", "lists": [option.removesuffix("_list") for option in given]}
    return read_listed(root, read_lists(**lists), reader, name=name, facts=facts)


def read_listed(root: Path, listed: Listed, reader: ImageReader, *, name: str | None, facts: dict[str, Any]) -> Pool:
    """Return the images of lists as a pool.

    Args:
        root: what their paths are relative to.
        listed: the images, their labels and parts.
        reader: how images become inputs.
        name: what tables call the data; None takes the folder's name.
        facts: how the data were made.

    Raises:
        ValueError: an image that is not there, with the line that names it; or that cannot be decoded.
    """
    files = [root / path for path in listed.paths]
    images = EncodedImages(files, listed.paths)
    pool = reader.encoded(
        name or root.resolve().name or "images", images, listed.targets, listed.classes,
        Roles(listed.parts, None, None), identity=_identity(root, listed), facts=facts, notes=(),
    )  # fmt: skip
    return reader.decoded(pool, images, files)


def _identity(root: Path, listed: Listed) -> str:
    """Hash relative paths, sizes and times of change, as for a folder; every file is found here."""
    digest = hashlib.sha256()
    for path, place in zip(listed.paths, listed.places, strict=True):
        try:
            found = status(root / path, "image")
            if not stat.S_ISREG(found.st_mode):
                raise ValueError(f"image {path!r} is no file")
        except ValueError as error:
            raise ValueError(f"{place}: {error}; paths are relative to {str(root)!r}") from None
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
