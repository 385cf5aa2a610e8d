"""Files of JSON objects, one a line (.jsonl, .ndjson), as tables."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from longtail.data.read.optional_packages import package
from longtail.data.read.tables import typed
from longtail.data.read.tables.delimited import utf8
from longtail.facts.messages import quoted

SUFFIXES = (".jsonl", ".ndjson")


def read_json_lines(path: Path) -> Any:
    """Return a frame with a row for every object; a key that an object lacks, null and NaN are missing cells.

    Columns are in the order in which their keys first occur. Empty lines are no rows.

    Raises:
        ValueError: an empty file, no UTF-8, a line that is no object, a nested value, a key twice in an object; the
            line and the key are named.
    """
    pandas = package("pandas", "tables")
    lines = utf8(path).removeprefix(codecs.BOM_UTF8).decode().split("\n")
    rows = [_row(path.name, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise ValueError(f"{path.name} holds no line with an object; write one object a line")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not columns:
        raise ValueError(f"{path.name} holds only empty objects; name the values of each row")
    return pandas.DataFrame({name: typed.series([row.get(name) for row in rows]) for name in columns})


def _row(name: str, number: int, line: str) -> dict[str, Any]:
    where = f"{name}, line {number}"
    try:
        row = json.loads(line, object_pairs_hook=_once, parse_constant=_constant)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except _RepeatedError as error:
        raise ValueError(f"{where}: key {quoted(str(error))} occurs twice in one object; rename one") from None
    except UnicodeEncodeError:
        raise ValueError(f"{where} holds half of a character (\\ud800 to \\udfff); write it again") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise ValueError(f'{where} must be a JSON object such as {{"a": 1}}, but cannot be read ({reason})') from None
    if not isinstance(row, dict):
        way = "write each of its objects in a line of its own" if isinstance(row, list) else 'name it, as in {"a": 1}'
        raise ValueError(f"{where} must be a JSON object, got {_named(row)}; {way}")
    for key, value in row.items():
        if isinstance(value, list | dict):
            raise ValueError(
                f"{where}: {quoted(key)} must be a number, text, true, false or null, got {_named(value)}; spread it "
                "over keys of its own, or leave it out"
            )
    return row


class _RepeatedError(ValueError):
    """A key that occurs twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedError(next(key for key in keys if keys.count(key) > 1))
    return row


def _constant(word: str) -> float | None:
    return None if word == "NaN" else float(word)


def _named(value: Any) -> str:
    kinds = {list: "a list", dict: "an object", str: "text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
