"""`dumps` and `loads`: skops archives, checked before skops reads them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from longtail.facts.trusted import depth
from longtail.facts.trusted.types import LOADERS, NAMES

PROTOCOLS = (2,)
"""The protocols of skops that the list was made for; older ones have other, less strict readers."""
LARGEST = 4 << 30
"""Bytes that an archive may unpack to."""


def dumps(estimator: Any) -> bytes:
    """Return a fitted scikit-learn object as an archive; two equal fits give the same bytes.

    Only what prediction needs is saved: see `trusted.depth`.

    Args:
        estimator: made, at any depth, of the types of `trusted.types`.

    Raises:
        ValueError: the object has a part of another type, which `loads` would refuse.
        ModuleNotFoundError: without longtail[data].
    """
    try:
        schema, archive = _described(estimator)
    except depth.UnreadableError as found:
        raise ValueError(_not_trusted(found)) from None
    with archive:
        odd = _untrusted(schema)
        if odd is not None:
            raise ValueError(_not_trusted(odd))
        return _repacked(schema, archive)


def _not_trusted(odd: object) -> str:
    return f"a saved estimator must be made of trusted types, got {odd}; see longtail.trusted.types"


def storable(estimator: Any) -> str | None:
    """Return why `dumps` cannot save an object: its first type that is not trusted; None where it can.

    Raises:
        ModuleNotFoundError: without longtail[data].
    """
    _skops()
    try:
        schema, archive = _described(estimator)
    except depth.UnreadableError as odd:
        return str(odd)
    except Exception as error:  # whatever an object of somebody else raises when it is asked for its state
        said = (str(error).splitlines() or [type(error).__name__])[0]
        return f"{type(estimator).__module__}.{type(estimator).__qualname__} ({said})"
    with archive:
        return _untrusted(schema)


def _described(estimator: Any) -> tuple[Any, zipfile.ZipFile]:
    archive = zipfile.ZipFile(io.BytesIO(_skops().dumps(depth.packed(estimator))))
    return _without_ids(json.loads(archive.read("schema.json"))), archive


def loads(data: bytes, what: str) -> Any:
    """Load the object that `dumps` saved.

    Args:
        data: the archive.
        what: names it in an error.

    Raises:
        ValueError: it is damaged, of another version, or names a type that is not trusted; nothing has been executed.
        ModuleNotFoundError: without longtail[data].
    """
    skops = _skops()
    try:
        _check_archive(data, what)
        return depth.unpacked(skops.loads(data, trusted=list(NAMES)))
    except _RefusedError as refused:
        raise ValueError(str(refused)) from None
    except Exception as error:  # whatever a damaged archive makes zipfile, json, NumPy or skops raise
        reason = (str(error).splitlines() or [""])[0]
        said = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise ValueError(f"{what} is damaged ({said}); train it again in a new folder") from None


class _RefusedError(Exception):
    """The archive is intact but must not be read."""


def _check_archive(data: bytes, what: str) -> None:
    """Refuse an archive by its size and its description, before anything is built from it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        _check_size(sum(sizes.values()), what)
        schema = json.loads(archive.read("schema.json"))
    _check_size(sum(sizes.get(name, 0) for name in _files(schema)), what)
    protocol = schema.get("protocol")
    if type(protocol) is not int or protocol not in PROTOCOLS:
        raise _RefusedError(
            f"{what} must be of skops protocol {', '.join(map(str, PROTOCOLS))}, got {protocol!r}; load it with the "
            "version of longtail that saved it"
        )
    odd = _untrusted(schema)
    if odd is not None:
        raise _RefusedError(f"{what} must be made of trusted types, got {odd}; nothing of it was executed")


def _check_size(size: int, what: str) -> None:
    if size > LARGEST:
        raise _RefusedError(f"{what} must unpack to at most {LARGEST} bytes, got {size}; do not trust this file")


def _files(schema: Any) -> Iterator[str]:
    """The file of every array of a description; equal arrays share one."""
    for node in _nodes(schema):
        if isinstance(name := node.get("file"), str):
            yield name


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every dict of a description, in its order."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(reversed(node))
        elif isinstance(node, dict):
            yield node
            waiting.extend(reversed(node.values()))


def _untrusted(schema: Any) -> str | None:
    """The first type in a description, at any depth, that is not on the list."""
    for node in _nodes(schema):
        if not node.keys().isdisjoint(("__loader__", "__class__", "__module__")):
            loader, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
            if not isinstance(loader, str) or name not in LOADERS.get(loader, ()):
                return f"{name} ({loader})"
    return None


def _without_ids(node: Any) -> Any:
    """The description without the addresses of objects in memory, which differ between processes.

    skops then loads an object that two others share as two equal ones; its content is the same.
    """
    if isinstance(node, dict):
        return {key: _without_ids(value) for key, value in node.items() if key != "__id__"}
    return [_without_ids(value) for value in node] if isinstance(node, list) else node


def _repacked(schema: Any, archive: zipfile.ZipFile) -> bytes:
    """The archive with files numbered in the order of the description, compressed, without time stamps.

    Files of equal content become one.
    """
    contents: dict[bytes, str] = {}
    numbers: dict[str, str] = {}
    for node in _nodes(schema):
        if isinstance(name := node.get("file"), str):
            if name not in numbers:
                numbers[name] = contents.setdefault(archive.read(name), f"{len(contents)}.npy")
            node["file"] = numbers[name]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        files = {number: content for content, number in contents.items()}
        for name, content in {"schema.json": json.dumps(schema).encode(), **files}.items():
            out.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _skops() -> Any:
    try:
        import skops.io
    except ModuleNotFoundError:
        raise ModuleNotFoundError("saving scikit-learn objects needs skops; install longtail[data]") from None
    return skops.io
