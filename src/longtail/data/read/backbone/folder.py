"""The folder of a transformers model: what it must hold, what is refused unread, and the checksum of its files."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from longtail.facts import files, json_documents
from longtail.facts.messages import quoted, visible

CONFIG, ADAPTER = "config.json", "adapter_config.json"
PREPROCESSING = ("preprocessor_config.json", "processor_config.json")
WEIGHTS, INDEX = ".safetensors", "model.safetensors.index.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""Weights that are pickles: reading one can run any code."""
NEEDS = "backbone (--backbone) needs transformers and pillow; pip install transformers pillow"


@dataclass(frozen=True)
class Backbone:
    """A pretrained network by its folder, not loaded.

    Args:
        path: of the folder.
        device: where images are embedded; no part of what the features are.
    """

    path: Path
    device: str = "cpu"

    @property
    def name(self) -> str:
        """The folder's name, for sentences."""
        return visible(self.path.resolve().name or str(self.path))

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over the names and contents of the files that are read: configuration, preprocessing, weights."""
        read = [CONFIG, *PREPROCESSING, INDEX, *(path.name for path in self.path.glob(f"*{WEIGHTS}"))]
        present = sorted({name for name in read if (self.path / name).is_file()})
        try:
            return files.json_checksum([(name, files.file_checksum(self.path / name)) for name in present])
        except OSError as error:
            raise ValueError(
                f"backbone (--backbone) {quoted(str(self.path))} cannot be read ({error.strerror}); mend its "
                "permissions or copy it"
            ) from None


def backbone(path: Any, device: str = "cpu") -> Backbone:
    """Return the backbone in a local folder, checked as far as that goes without loading it.

    Raises:
        TypeError: not a path.
        ValueError: no such folder, no configuration, preprocessing or weights in it, pickled weights, an adapter.
        ModuleNotFoundError: without transformers.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"backbone (--backbone) must be the path of a folder, got {type(path).__name__}; pass a path")
    where, place = f"backbone (--backbone) {quoted(str(path))}", Path(path)
    if not os.path.isdir(place):  # of a Path, a name too long for this system would raise
        raise ValueError(
            f"{where} is no folder; name the local folder of a transformers model ({CONFIG}, {PREPROCESSING[0]}, "
            f"model{WEIGHTS}): nothing is downloaded"
        )
    if (place / ADAPTER).exists():
        raise ValueError(f"{where} holds an adapter ({ADAPTER}) of another model; merge both and save the whole model")
    if not (place / CONFIG).is_file():
        raise ValueError(f"{where} has no {CONFIG}; name the folder that save_pretrained wrote")
    if not any((place / name).is_file() for name in PREPROCESSING):
        raise ValueError(
            f"{where} has no {PREPROCESSING[0]}, which says how images are prepared; save the model's image processor "
            "there, too (save_pretrained)"
        )
    _check_weights(where, place)
    if any(importlib.util.find_spec(package) is None for package in ("transformers", "PIL")):
        raise ModuleNotFoundError(NEEDS)
    return Backbone(place, device)


def transformers_version() -> str:
    """The version of transformers, without importing it."""
    return metadata.version("transformers")


def _check_weights(where: str, place: Path) -> None:
    """Raise ValueError where the folder has no whole weights in safetensors files of its own."""
    names = sorted(path.name for path in place.iterdir())
    weights = [name for name in names if name.endswith(WEIGHTS)]
    if not weights and (pickled := [name for name in names if name.endswith(PICKLED)]):
        raise ValueError(
            f"{where} holds pickled weights ({visible(pickled[0])}), and reading a pickle can run any code; save the "
            "model again with save_pretrained, which writes safetensors, where you trust it"
        )
    if not weights:
        raise ValueError(f"{where} holds no weights (*{WEIGHTS}); copy the folder again, or save the model there")
    if not (place / INDEX).is_file():
        return
    try:
        shards = set(json_documents.parse((place / INDEX).read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{where} has a damaged {INDEX}; copy the folder again") from None
    if missing := sorted(str(shard) for shard in shards if shard not in weights):
        raise ValueError(f"{where} lacks {quoted(missing[0])}, which {INDEX} names; copy the folder again")
