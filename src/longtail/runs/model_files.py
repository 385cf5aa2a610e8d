"""A model as files: tensors, JSON and the preparation's own files. Nothing in them is executed or unpickled."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from longtail.engine import state_files
from longtail.facts.json_documents import SEAL as SUM
from longtail.facts.json_documents import checksum, parse, sealed
from longtail.facts.messages import quoted, visible
from longtail.facts.paths import regular
from longtail.version import __version__

SCHEMA = 3
"""1 and 2 had no checksum of meta.json itself, so that a changed one would not be noticed: they are not read."""
META, TENSORS = "meta.json", "model.safetensors"
REQUIRED = ("classes", "scale", "link", "posthoc", "network", "files")
LINKS = ("softmax", "sigmoid")
RUNS, FOLD = ("*", "*/seed-*", "*/*/seed-*"), "fold-"
"""Where models stand below a folder of runs: that of a method, of a comparison, or one of several; and by fold."""


def write(
    folder: Path, meta: Mapping[str, Any], state: Mapping[str, Tensor], blobs: Mapping[str, bytes]
) -> tuple[str, ...]:
    """model.safetensors, the blobs, and last meta.json, which names them all with their checksums and its own.

    Returns:
        the names of the files.
    """
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
    files = {TENSORS: safetensors.save(tensors), **blobs}
    for name, data in files.items():
        state_files.write_bytes(folder / name, data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    whole = {"schema_version": SCHEMA, "longtail": __version__, **meta, "files": sums}
    state_files.write_json(folder / META, sealed(whole))
    return (*files, META)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, bytes]]:
    """What `write` wrote: meta, tensors, blobs.

    Raises:
        ValueError: a file is missing, damaged or changed, or another version of longtail wrote it.
    """
    meta = _meta(folder)
    found: dict[str, bytes] = {}
    for name, expected in meta["files"].items():
        if Path(name).name != name:
            raise ValueError(f"{folder}/{META} names {name!r}, which is not in the folder; train the model again")
        found[name] = _bytes(folder, name)
        if hashlib.sha256(found[name]).hexdigest() != expected:
            raise _changed(folder, name)
    try:
        state = safetensors.load(found.pop(TENSORS))
    except (SafetensorError, ValueError, KeyError) as error:
        raise damaged(folder, error) from None
    return meta, state, found


def damaged(folder: Path, reason: object) -> ValueError:
    """The error of a model that is no model of ours; a name that is missing somewhere is said to be."""
    said = f"it has no {reason}" if isinstance(reason, KeyError) else " ".join(str(reason).split())[:200]
    return ValueError(f"the model in {folder} is damaged ({said}); train it again in a new folder")


def _changed(folder: Path, name: str) -> ValueError:
    return ValueError(
        f"{name} in {folder} was changed since the model was saved (its checksum is off); "
        "copy the folder again or train the model again"
    )


def _meta(folder: Path) -> dict[str, Any]:
    if not os.path.isdir(folder):  # of a Path, a name too long for this system would raise
        raise ValueError(
            f"model {quoted(str(folder))} is not a folder; name the folder that longtail train wrote (--out)"
        )
    if not (folder / META).exists():
        raise ValueError(f"{folder} holds no finished model ({META} is missing); {_way_out(folder)}")
    data = _bytes(folder, META)
    try:
        meta = parse(data)
    except ValueError as error:
        raise damaged(folder, f"{META}: {error}") from None
    version = meta.get("schema_version") if isinstance(meta, dict) else None
    if type(version) is not int:
        raise damaged(folder, f"{META} has no schema_version")
    if version != SCHEMA:
        writer = f"version of longtail ({meta.get('longtail', 'unknown')}, schema {version}; this one reads"
        if version > SCHEMA:
            raise ValueError(
                f"the model in {folder} comes from a newer {writer} schema {SCHEMA}); update longtail, or load the "
                "model with the version that saved it"
            )
        raise ValueError(
            f"the model in {folder} comes from an older {writer} schema {SCHEMA}), whose {META} had no checksum; "
            "train it again in a new folder"
        )
    if meta.get(SUM) != checksum(meta):
        raise _changed(folder, META)
    _check(folder, meta)
    return dict(meta)


def _check(folder: Path, meta: dict[str, Any]) -> None:
    """What a checksum cannot tell: whether somebody who made both fits them to each other."""
    missing = [key for key in REQUIRED if key not in meta]
    if missing:
        raise damaged(folder, f"{META} has no {missing[0]}")
    classes, scale, files, network = meta["classes"], meta["scale"], meta["files"], meta["network"]
    if not isinstance(files, dict) or TENSORS not in files:
        raise damaged(folder, f"{META} does not name {TENSORS} among its files")
    if not isinstance(classes, list) or not classes:
        raise damaged(folder, f"{META} has no class names")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise damaged(folder, f"scale must be a number > 0, got {scale!r}")
    if meta["link"] not in LINKS:
        raise damaged(folder, f"link must be {' or '.join(LINKS)}, got {meta['link']!r}")
    if network is not None and not isinstance(network, dict):
        raise damaged(folder, f"{META} does not describe its network")
    if network is not None and network.get("num_classes") != len(classes):
        raise damaged(folder, f"{len(classes)} class names for a network of {network.get('num_classes')!r} classes")


def _bytes(folder: Path, name: str) -> bytes:
    try:
        if (folder / name).exists():
            regular(folder / name, "model file")
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise ValueError(
            f"{folder} holds no whole model ({name} is missing); copy the folder again or train the model again"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a pipe, a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{visible(name)} in {folder} cannot be read ({reason}); mend its permissions or copy it"
        ) from None


def _way_out(folder: Path) -> str:
    """Which folder was meant, where one that holds runs was named."""
    models = [path.parent for pattern in RUNS for path in sorted(folder.glob(f"{pattern}/{META}"))]
    whole = [path for path in models if not path.name.startswith(FOLD)]
    if whole:
        return f"name a run inside it, as in {whole[0]}"
    if models or any(any(folder.glob(f"{pattern}/{FOLD}*/{META}")) for pattern in RUNS):
        return "the models of folds have each seen a part of the rows; train the one to use with longtail train"
    return "name the folder that longtail train wrote (its --out), or a run of a comparison (<method>-<hash>/seed-0)"
