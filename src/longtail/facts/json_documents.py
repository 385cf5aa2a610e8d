"""Read our JSON files strictly: standard JSON only, of the expected shape, and sealed with a checksum.

Whatever a file holds, reading it gives a value or a one-line error that names the file and the way out. A seal shows
damage; it is no signature, since whoever can write can seal.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from longtail.facts import files

SEAL = "sha256"
"""Name of the entry with the checksum of all other entries."""
Rule = type | tuple[type, ...] | Callable[[Any], bool]


class DamagedError(ValueError):
    """A file that is missing or not as it was written; `reason` is the message without the way out."""

    def __init__(self, reason: str, way_out: str) -> None:
        self.reason, self.way_out = reason, way_out
        super().__init__(f"{reason}; {way_out}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.way_out)


class OutdatedError(DamagedError):
    """A file of a version of longtail that wrote no checksums, so that it cannot be verified."""


def parse(data: bytes) -> Any:
    """Parse standard JSON: UTF-8, no NaN, no number too large for a float, no name twice in an object.

    Raises:
        ValueError: anything else, in a short line.
    """
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_number,
            parse_float=_float,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("brackets nested too deep") from None


def read(path: Path, way_out: str) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        DamagedError: the file is missing, holds no JSON, or JSON that is no object.
        OSError: it cannot be read.
    """
    return _object(path, _content(path, way_out), way_out)


def read_lines(path: Path, way_out: str) -> list[dict[str, Any]]:
    """Read the objects in a file of JSON lines; raises as `read` does."""
    lines = _content(path, way_out).splitlines()
    return [_object(path, line, way_out, f"line {number}: ") for number, line in enumerate(lines, 1)]


def _object(path: Path, data: bytes, way_out: str, where: str = "") -> dict[str, Any]:
    try:
        value = parse(data)
        if not isinstance(value, dict):
            raise ValueError(f"a {type(value).__name__} where an object belongs")
    except ValueError as error:
        raise DamagedError(f"{path} is damaged ({where}{error})", way_out) from None
    return value


def _content(path: Path, way_out: str) -> bytes:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing", way_out) from None
    if not stat.S_ISREG(mode):  # reading a pipe would wait for a writer
        raise DamagedError(f"{path} is damaged (no regular file)", way_out)
    return path.read_bytes()


def read_sealed(path: Path, version: int, rules: Mapping[str, Rule], way_out: str) -> dict[str, Any]:
    """Read a document that `write_sealed` wrote, and return it without its seal.

    Args:
        path: of the file.
        version: the `schema_version` that this code reads.
        rules: what its entries must be; see `violation`.
        way_out: what to do about a damaged one, for the error's text.

    Raises:
        DamagedError: it was changed since it was written, or breaks a rule (OutdatedError: it has no seal, as in
            older versions).
        ValueError: a newer version of longtail wrote it.
        OSError: it cannot be read.
    """
    document = read(path, way_out)
    written = document.get("schema_version")
    if SEAL not in document and type(written) is int and written < version:
        raise OutdatedError(f"{path} was written by an older version of longtail, without checksums", way_out)
    if document.pop(SEAL, None) != checksum(document):
        raise DamagedError(f"{path} was changed since it was written (its checksum is off)", way_out)
    if type(written) is int and written > version:
        raise ValueError(f"{path} was written by a newer version of longtail; update longtail, or name another folder")
    rules = {"schema_version": lambda value: type(value) is int and value == version, **rules}
    if (wrong := violation(document, rules)) is not None:
        raise DamagedError(f"{path} is damaged ({wrong})", way_out)
    return document


def write_sealed(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document with its own checksum as last entry, in one step."""
    files.write_json(path, sealed(document))


def violation(document: Any, rules: Mapping[str, Rule]) -> str | None:
    """Return the first rule that a document breaks, in words, or None.

    A rule is a type, several types, or a function that says whether a value fits. Its name is that of an entry: one
    that ends in "?" is optional, one with dots leads into nested objects.
    """
    for name, rule in rules.items():
        value, missing, entry = document, False, name.removesuffix("?")
        for part in entry.split("."):
            missing = not isinstance(value, dict) or part not in value
            if missing:
                break
            value = value[part]
        if missing and entry == name:
            return f"it has no {entry}"
        if not missing and not _fits(value, rule):
            return f"{entry} cannot be {repr(value)[:60]}"
    return None


def _fits(value: Any, rule: Rule) -> bool:
    if isinstance(rule, tuple | type):
        return isinstance(value, rule) and not (isinstance(value, bool) and rule is not bool)
    return rule(value)


def is_amount(value: Any) -> bool:
    """Return whether a value is a finite number >= 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def is_list_of(kind: Rule) -> Callable[[Any], bool]:
    """Return the rule of a list whose entries all fit a rule."""
    return lambda value: isinstance(value, list) and all(_fits(entry, kind) for entry in value)


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with its own checksum as last entry."""
    return {**document, SEAL: checksum(document)}


def checksum(document: Mapping[str, Any]) -> str:
    """SHA-256 of everything in a document but its seal; the order of its names and white space do not count."""
    # through JSON, so that names are sorted as the text that they are in the file
    plain = json.loads(json.dumps({key: value for key, value in document.items() if key != SEAL}))
    return files.json_checksum(plain, (",", ":"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)[:60]!r} occurs twice")
    return entries


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _integer(text: str) -> int:
    if len(text) > 300:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:60]} is too large for a float")
    return value
