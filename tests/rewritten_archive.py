"""Archives of fitted objects that somebody changed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any


def rewritten(data: bytes, change: Callable[[Any], None], files: dict[str, bytes] | None = None) -> bytes:
    """The archive with its description changed, and some of its files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        schema = json.loads(old.read("schema.json"))
        change(schema)
        contents = {name: old.read(name) for name in old.namelist()} | {"schema.json": json.dumps(schema).encode()}
        for name, content in {**contents, **(files or {})}.items():
            new.writestr(name, content)
    return buffer.getvalue()
