"""Run folders as somebody would forge them: changed, with every checksum made anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from longtail.facts.files import file_checksum
from longtail.facts.json_documents import SEAL, sealed

Document = dict[str, Any]


def resealed(path: Path, change: Callable[[Document], object] = lambda document: None) -> None:
    """Change a sealed document, and let it vouch for the files as they are now."""
    document = json.loads(path.read_text())
    del document[SEAL]
    for name in document.get("files", {}):
        document["files"][name] = file_checksum(path.parent / name)
    change(document)
    path.write_text(json.dumps(sealed(document)))


def unsealed(path: Path) -> None:
    """As the version before wrote it, which knew no checksums."""
    document = json.loads(path.read_text())
    del document[SEAL]
    document.pop("files", None)
    path.write_text(json.dumps({**document, "schema_version": 1}))
