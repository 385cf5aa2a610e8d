"""Features of images that a backbone has embedded: by the content of each image, in files that are verified."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from longtail.data.read import cache
from longtail.facts import files, json_documents

log = logging.getLogger(__name__)

ABOUT = "about.json"
DIGEST = 32
"""Bytes of the SHA-256 of an image."""


class FeatureStore:
    """The features of one backbone, in a folder of the cache.

    A file has the features of some images with the SHA-256 of each, and a checksum over both. Files are written whole
    and never changed, each by one process, so that several may embed at once; a damaged one counts as absent.

    Args:
        key: of the backbone: its files, the rules of pooling and decoding.
    """

    def __init__(self, key: str) -> None:
        self.folder = cache.folder() / f"backbone-{key}"

    def about(self) -> dict[str, Any] | None:
        """Return what `describe` wrote; None where that was never, or is damaged."""
        try:
            known = json_documents.parse((self.folder / ABOUT).read_bytes())
        except (OSError, ValueError):
            return None
        whole = isinstance(known, dict) and isinstance(known.get("size"), int) and isinstance(known.get("pooling"), str)
        return known if whole else None

    def describe(self, about: dict[str, Any]) -> None:
        """Write what all features here are."""
        with suppress(OSError):  # the warning of `add` says it
            self.folder.mkdir(parents=True, exist_ok=True)
            files.write_json(self.folder / ABOUT, about)

    def known(self, digests: Iterable[bytes]) -> dict[bytes, Tensor]:
        """Return the features of those images that are here."""
        wanted = set(digests)
        found: dict[bytes, Tensor] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            for digest, row in self._read(path):
                if digest in wanted:
                    found.setdefault(digest, row)
        return found

    def add(self, digests: Sequence[bytes], features: Tensor) -> None:
        """Write the features (n, D) of n images; where that fails, it is logged."""
        names = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8).reshape(-1, DIGEST)
        path = self.folder / f"{files.checksum(*digests)[:16]}.safetensors"
        content = {"features": features.contiguous(), "digests": names}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            files.remove_unfinished(self.folder, shared=True)
            with files.replacing(path) as temporary:
                save_file(content, temporary, metadata={"sha256": _checksum(**content)})
        except (OSError, SafetensorError) as error:  # a full disk is the latter
            log.warning("cache %s cannot be written (%s); these images will be embedded again", path, error)

    def _read(self, path: Path) -> list[tuple[bytes, Tensor]]:
        try:
            with safe_open(path, framework="pt") as file:
                features, names = file.get_tensor("features"), file.get_tensor("digests")
                if (file.metadata() or {})["sha256"] != _checksum(features, names):
                    raise ValueError("its checksum is off")
            every = names.numpy().tobytes()
            rows = [every[i : i + DIGEST] for i in range(0, len(every), DIGEST)]
            return list(zip(rows, features, strict=True))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            log.warning("cache %s cannot be used (%s); its images are embedded again", path, error)
            with suppress(OSError):
                os.unlink(path)  # else no better one would take its place
            return []


def _checksum(features: Tensor, digests: Tensor) -> str:
    return files.checksum(features.contiguous().numpy().data, digests.contiguous().numpy().data)
