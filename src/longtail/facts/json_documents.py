"""JSON as our files hold it: read strictly, checked for its shape, sealed with a checksum of its own.

Whatever stands in such a file, from nothing to brackets without end, reading it gives a value or one line that
names the file and the way out. A seal notices damage; it is no signature, since whoever can write can seal.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SEAL = "sha256"
"""The name under which a document keeps the checksum of everything else in it."""
Rule = type | tuple[type, ...] | Callable[[Any], bool]


class DamagedError(ValueError):
    """A file that is not what was written, or that is gone; `reason` is the line without the way out."""

    def __init__(self, reason: str, way_out: str) -> None:
        self.reason, self.way_out = reason, way_out
        super().__init__(f"{reason}; {way_out}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.way_out)


class OutdatedError(DamagedError):
    """A file of a version of longtail that wrote no checksums, so that nobody can tell whether it is whole."""


def parse(data: bytes) -> Any:
    """JSON as the standard has it: UTF-8, no NaN, no number that no float holds, no name twice.

    Raises:
        ValueError: anything else, in a short line.
    """
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=lambda text: _finite(float(text), text),
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("brackets nested too deep") from None


def read(path: Path, way_out: str) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DamagedError: it is missing, holds no JSON, or JSON that is no object.
        OSError: it cannot be read.
    """
    data = _content(path, way_out)
    try:
        found = parse(data)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged ({error})", way_out) from None
    if not isinstance(found, dict):
        raise DamagedError(f"{path} is damaged (a {type(found).__name__} where an object belongs)", way_out)
    return found


def _content(path: Path, way_out: str) -> bytes:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing", way_out) from None
    if not stat.S_ISREG(mode):  # a pipe would be waited for
        raise DamagedError(f"{path} is damaged (no regular file)", way_out)
    return path.read_bytes()


def read_lines(path: Path, way_out: str) -> list[dict[str, Any]]:
    """The objects in a file of JSON lines; raises as `read` does."""
    lines = _content(path, way_out).splitlines()
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            value = parse(line)
        except ValueError as error:
            raise DamagedError(f"{path} is damaged (line {number}: {error})", way_out) from None
        if not isinstance(value, dict):
            raise DamagedError(f"{path} is damaged (line {number}: no object)", way_out)
        found.append(value)
    return found


def read_sealed(path: Path, version: int, rules: Mapping[str, Rule], way_out: str) -> dict[str, Any]:
    """A document that `sealed` made, without its seal.

    Args:
        path: of the file.
        version: the `schema_version` that is read here.
        rules: what its entries must be; see `misfit`.
        way_out: what to do about a damaged one.

    Raises:
        DamagedError: it was changed since it was written, or is not what it should be (OutdatedError: had no seal yet).
        ValueError: a newer version of longtail wrote it.
        OSError: it cannot be read.
    """
    found = read(path, way_out)
    theirs = found.get("schema_version")
    if SEAL not in found and type(theirs) is int and theirs < version:
        raise OutdatedError(f"{path} was written by an older version of longtail, without checksums", way_out)
    if found.pop(SEAL, None) != checksum(found):
        raise DamagedError(f"{path} was changed since it was written (its checksum is off)", way_out)
    if type(theirs) is int and theirs > version:
        raise ValueError(f"{path} was written by a newer version of longtail; update longtail, or name another folder")
    if (wrong := misfit(found, {"schema_version": lambda value: value == version, **rules})) is not None:
        raise DamagedError(f"{path} is damaged ({wrong})", way_out)
    return found


def misfit(found: Any, rules: Mapping[str, Rule], where: str = "") -> str | None:
    """What in an object is not as ruled, in words; None where all is.

    A rule is a type, several types, or a function that says whether a value fits; a name that ends in "?" may be
    missing, one with dots leads into the objects inside.
    """
    for name, rule in rules.items():
        value, missing = found, False
        for part in name.removesuffix("?").split("."):
            missing = not isinstance(value, dict) or part not in value
            if missing:
                break
            value = value[part]
        plain = name.removesuffix("?")
        if missing and plain == name:
            return f"it has no {where}{plain}"
        if not missing and not _fits(value, rule):
            return f"{where}{plain} cannot be {repr(value)[:60]}"
    return None


def _fits(value: Any, rule: Rule) -> bool:
    if isinstance(rule, tuple | type):
        return isinstance(value, rule) and not (isinstance(value, bool) and rule is not bool)
    return rule(value)


def is_amount(value: Any) -> bool:
    """Whether a value is a number >= 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def is_list_of(kind: Rule) -> Callable[[Any], bool]:
    """The rule of a list whose entries all fit a rule."""
    return lambda value: isinstance(value, list) and all(_fits(entry, kind) for entry in value)


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its own checksum as last entry."""
    return {**document, SEAL: checksum(document)}


def checksum(document: Mapping[str, Any]) -> str:
    """SHA-256 of what a document says beside its checksum; the order of its names and white space do not count."""
    plain = json.loads(json.dumps({key: value for key, value in document.items() if key != SEAL}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, which may be larger than memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)[:60]!r} stands there twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _integer(text: str) -> int:
    if len(text) > 300:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{text[:60]} is no number that can be held")
    return value
