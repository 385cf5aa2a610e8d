"""Read metadata.csv beside images: a column file_name, and columns for label, split, group and weight, all as text."""

from __future__ import annotations

import codecs
import csv
import io
import posixpath

from longtail.data.read.images.file_tree import METADATA, Tree, listed_order
from longtail.facts.paths import regular

FILE_NAME = "file_name"


def read_columns(tree: Tree, wanted: list[str]) -> dict[str, list[str]]:
    """Return column name -> one text per image of the tree, in its order.

    Cells are not parsed: a class called "nan" or "007" is called so. `file_name` is relative to the folder of its
    metadata.csv; several of these (one per part, for instance) are read as one.

    Raises:
        ValueError: no metadata.csv, one that is not UTF-8 text with a header and whole rows, a column that is
            missing or present twice, an image listed twice, listed but absent, or present but not listed.
    """
    if not tree.metadata:
        raise ValueError(
            f"column {wanted[0]!r} is read from a {METADATA} beside the images, and {str(tree.root)!r} has none; "
            f"write one with {FILE_NAME} and this column, or leave the option out"
        )
    rows = [(file, row) for file in tree.metadata for row in _rows(tree, file, wanted)]
    paths = [
        posixpath.normpath(posixpath.join(posixpath.dirname(file), row[FILE_NAME].replace("\\", "/")))
        for file, row in rows
    ]
    order = listed_order(METADATA, paths, tree.images)
    return {column: [rows[i][1][column] for i in order] for column in wanted}


def _rows(tree: Tree, file: str, wanted: list[str]) -> list[dict[str, str]]:
    lines = _table(_text(tree, file), file)
    if len(lines) < 2:
        what = "is empty" if not lines else "has a header and no rows"
        raise ValueError(f"{file} {what}; write a row for every image")
    header = [name.strip() for name in lines[0]]
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise ValueError(f"{file} has the column {twice[0]!r} twice; rename one")
    for column in (FILE_NAME, *wanted):
        if column not in header:
            raise ValueError(
                f"{file} has no column {column!r}; it has {', '.join(header[:8])}"
                + (" (is it separated by something other than commas?)" if len(header) == 1 else "")
            )
    for number, line in enumerate(lines[1:]):
        if len(line) != len(header):
            raise ValueError(
                f"row {number} of {file} must have {len(header)} cells as the header has, got {len(line)}; correct it"
            )
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def _text(tree: Tree, file: str) -> str:
    try:
        data = regular(tree.root / file).read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}); give yourself the right to read it") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{file} is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text; save it as UTF-8") from None


def _table(text: str, file: str) -> list[list[str]]:
    try:
        return [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise ValueError(f"{file} cannot be read as CSV ({error}); save it again") from None
