"""Embed many images with a backbone: each content once, in batches of which the finished ones stay."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from longtail.data.read.backbone import pooling
from longtail.data.read.backbone.encoder import Encoder, Inputs
from longtail.data.read.backbone.folder import Backbone, transformers_version
from longtail.data.read.backbone.store import FeatureStore
from longtail.data.read.images.decode import Decoded, EncodedImages, threads, unreadable
from longtail.data.read.images.pixels import RULES, BadImage, full_size, quiet
from longtail.facts import files

log = logging.getLogger(__name__)

BATCH, BATCH_ON_GPU = 32, 128
"""Images that pass the network at a time."""
AHEAD = 16
"""Images decoded at a time, each at its full size for as long as it is prepared."""
KEPT = 10.0
"""Seconds of work that a killed process may lose; an interrupted one loses the batch it is in."""


@dataclass(frozen=True)
class Embedded:
    """Features (K, D) of the K `rows` that decode, the others with their reason, and which output features are."""

    features: Tensor
    rows: Tensor
    bad: list[tuple[str, str]]
    pooling: str

    def checked(self, skip_bad: bool, option: str = "skip_bad=True") -> Embedded:
        """Return itself, or raise ValueError as `Decoded.checked` does."""
        Decoded(self.features, self.rows, self.bad).checked(skip_bad, option)
        return self

    def notes(self) -> tuple[str, ...]:
        """Return a note on what was left out, where anything was."""
        return Decoded(self.features, self.rows, self.bad).notes()


def store_of(folder: Backbone) -> FeatureStore:
    """Return where the features of a backbone are kept: by its files, our rules and the version of transformers."""
    words = (folder.checksum, pooling.RULES, RULES, transformers_version())
    return FeatureStore(files.json_checksum(words)[:16])


def embed(images: EncodedImages, folder: Backbone, *, skip_bad: bool = False) -> Embedded:
    """Return the features of every image, from the cache where its content has been embedded before.

    Images are read at full size, by the rules of `pixels` without their last one, and prepared by the backbone's own
    preprocessing. Features are float32; their last bits depend on the machine, on torch, and on which images share
    a batch, so those in the cache are taken as they are.

    Raises:
        ValueError: images that cannot be decoded, unless `skip_bad`; none that can; a backbone that cannot be loaded.
    """
    store = store_of(folder)
    digests = _digests(images)
    first: dict[bytes, int] = {}
    for row, digest in enumerate(digests):
        first.setdefault(digest, row)
    found, about = store.known(first), store.about()
    missing = [row for digest, row in first.items() if digest not in found]
    reasons: dict[bytes, str] = {}
    if missing or about is None:
        encoder = Encoder(folder)
        about = {"pooling": encoder.pooling, "size": encoder.size, "processor": encoder.processor, "from": folder.name}
        store.describe(about)
        _embed_missing(images, missing, digests, encoder, folder, store, found, reasons)
    good = [row for row, digest in enumerate(digests) if digest in found]
    bad = [(images.names[row], reasons[digest]) for row, digest in enumerate(digests) if digest not in found]
    features = torch.stack([found[digests[row]] for row in good]) if good else torch.empty(0, int(about["size"]))
    return Embedded(features, torch.tensor(good, dtype=torch.int64), bad, str(about["pooling"])).checked(skip_bad)


def _embed_missing(
    images: EncodedImages,
    missing: list[int],
    digests: list[bytes],
    encoder: Encoder,
    folder: Backbone,
    store: FeatureStore,
    found: dict[bytes, Tensor],
    reasons: dict[bytes, str],
) -> None:
    """Embed rows in order, add them to what is found and to the store; of those that do not decode, say why."""
    size = BATCH if folder.device == "cpu" else BATCH_ON_GPU
    waiting: list[tuple[bytes, Inputs]] = []
    kept: list[bytes] = []  # embedded and not yet in the store
    start = written = time.monotonic()
    done, total = len(digests) - len(missing), len(digests)

    def pass_batch() -> None:
        for (digest, _), row in zip(waiting, encoder([inputs for _, inputs in waiting]), strict=True):
            found[digest] = row
            kept.append(digest)
        waiting.clear()

    def write() -> None:
        if kept:
            store.add(kept, torch.stack([found[digest] for digest in kept]))
            kept.clear()

    try:
        with closing(_prepared(images, missing, encoder)) as prepared:
            for count, (row, result) in enumerate(prepared, 1):
                if isinstance(result, str):
                    reasons[digests[row]] = result
                    continue
                waiting.append((digests[row], result))
                if len(waiting) < size:  # of decoded images alone, so that a batch is the same after an interruption
                    continue
                pass_batch()
                now = time.monotonic()
                log.info("%s", _progress(folder, done + count, total, (now - start) / count * (len(missing) - count)))
                if now - written > KEPT:
                    write()
                    written = now
        if waiting:
            pass_batch()
    finally:
        write()


def _progress(folder: Backbone, done: int, total: int, left: float) -> str:
    rest = f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"
    return f"embedding by {folder.name}: {done} of {total} images, about {rest} left"


def _digests(images: EncodedImages) -> list[bytes]:
    """Return the SHA-256 of every image: of its file's bytes, or of the pixels of one that Pillow has opened."""

    def one(row: int) -> bytes:
        source = images.sources[row]
        try:
            if isinstance(source, str | Path):
                with open(source, "rb") as file:
                    return hashlib.file_digest(file, "sha256").digest()
            if isinstance(source, bytes):
                return hashlib.sha256(source).digest()
            image = full_size(source)
            return hashlib.sha256(f"pixels {image.size}".encode() + image.tobytes()).digest()
        except BadImage:
            return hashlib.sha256(f"bad {row} {images.names[row]}".encode()).digest()
        except OSError as error:
            raise unreadable(images.names[row], error) from None

    with quiet(), ThreadPoolExecutor(threads()) as executor:
        return list(executor.map(one, range(len(images.names))))


def _prepared(
    images: EncodedImages, rows: list[int], encoder: Encoder
) -> Generator[tuple[int, Inputs | str], None, None]:
    """Yield each row as the network takes it, or the reason why it cannot be decoded; a few ahead, in threads."""

    def one(row: int) -> Inputs | str:
        try:
            return encoder.prepared(full_size(images.sources[row]))
        except BadImage as error:
            return str(error)
        except OSError as error:
            raise unreadable(images.names[row], error) from None

    remaining = iter(rows)
    with quiet(), ThreadPoolExecutor(threads()) as executor:
        while chunk := list(islice(remaining, AHEAD)):
            yield from zip(chunk, executor.map(one, chunk), strict=True)
