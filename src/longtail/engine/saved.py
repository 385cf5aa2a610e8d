"""A model as files: tensors, JSON and the preparation's own files. Nothing in them is executed or unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from longtail.engine import packing
from longtail.version import __version__

SCHEMA = 2
TENSORS = "model.safetensors"
REQUIRED = ("classes", "scale", "link", "posthoc", "network")


def write(folder: Path, meta: Mapping[str, Any], state: Mapping[str, Tensor], blobs: Mapping[str, bytes]) -> None:
    """model.safetensors, the blobs, and last meta.json, which names them all with their checksums."""
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
    files = {TENSORS: safetensors.save(tensors), **blobs}
    for name, data in files.items():
        packing.write_bytes(folder / name, data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    packing.write_json(folder / "meta.json", {"schema_version": SCHEMA, "longtail": __version__, **meta, "files": sums})


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, bytes]]:
    """What `write` wrote: meta, tensors, blobs.

    Raises:
        ValueError: a file is missing, damaged or changed, or a newer version of longtail wrote it.
    """
    meta = _meta(folder)
    found: dict[str, bytes] = {}
    for name, expected in meta["files"].items():
        if Path(name).name != name:
            raise ValueError(f"{folder}/meta.json names {name!r}, which is not in the folder; train the model again")
        found[name] = _bytes(folder, name)
        if hashlib.sha256(found[name]).hexdigest() != expected:
            raise ValueError(
                f"{name} in {folder} was changed since the model was saved (its checksum is off); "
                "copy the folder again or train the model again"
            )
    try:
        state = safetensors.load(found.pop(TENSORS))
    except (SafetensorError, ValueError, KeyError) as error:
        raise _damaged(folder, error) from None
    return meta, state, found


def _meta(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ValueError(f"model {str(folder)!r} is not a folder; name the folder that longtail train wrote (--out)")
    try:
        meta = json.loads(_bytes(folder, "meta.json"))
    except ValueError as error:
        raise error if str(error).startswith(str(folder)) else _damaged(folder, error) from None
    version = meta.get("schema_version") if isinstance(meta, dict) else None
    if not isinstance(version, int):
        raise _damaged(folder, "meta.json has no schema_version")
    if version > SCHEMA:
        raise ValueError(
            f"the model in {folder} comes from a newer version of longtail ({meta.get('longtail', 'unknown')}, "
            f"schema {version}; this one reads up to {SCHEMA}); update longtail"
        )
    missing = [key for key in (*REQUIRED, "files") if key not in meta]
    if missing or not isinstance(meta["files"], dict):
        raise _damaged(folder, f"meta.json has no {missing[0] if missing else 'list of files'}")
    if not isinstance(meta["scale"], int | float) or not isinstance(meta["classes"], list):
        raise _damaged(folder, "meta.json has values of another kind")
    return dict(meta)


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no finished model ({name} is missing)") from None


def _damaged(folder: Path, reason: object) -> ValueError:
    return ValueError(f"the model in {folder} is damaged ({reason}); train it again in a new folder")
