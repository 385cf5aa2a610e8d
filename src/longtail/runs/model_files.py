"""A model as files: tensors, JSON and the preparation's own files. Nothing in them is executed or unpickled."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from longtail import posthoc as rules
from longtail.engine.networks import build
from longtail.facts import files, json_documents
from longtail.facts.json_documents import Rule, is_list_of, violation
from longtail.facts.messages import quoted, visible
from longtail.facts.paths import regular
from longtail.models import Factory
from longtail.models.own import OWN, check_factory, make, structure_of
from longtail.version import __version__

POSTHOC = (
    "LogitAdjustment", "PluginThreshold", "ThresholdMoving", "TunedLogitAdjustment", "TauNormalization",
    "TunedTauNormalization",
)  # fmt: skip
"""The post-hoc rules that a saved model may name; no other is built from a file."""
CALIBRATIONS = ("TemperatureScaling", "VectorScaling", "IsotonicCalibration")
PARTS: dict[str, tuple[str, ...]] = {
    "calibration": CALIBRATIONS,
    "decision": ("Decision",),
    "sets": ("ConformalSets",),
}
"""What a model may have besides a rule: the names of the classes in `longtail.posthoc` that a file may name."""
SCHEMA = 3
"""1 and 2 had no checksum of meta.json itself, so that a changed one would not be noticed: they are refused."""
META, TENSORS = "meta.json", "model.safetensors"
LINKS = ("softmax", "sigmoid")
_RULES: dict[str, Rule] = {
    "classes": lambda value: isinstance(value, list) and len(value) > 0,
    "scale": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf,
    "link": lambda value: value in LINKS,
    "posthoc": (str, type(None)),
    "network": (dict, type(None)),
    "files": lambda value: isinstance(value, dict) and TENSORS in value,
}
_OWN: dict[str, Rule] = {
    "factory": str, "structure": str, "input_shape": is_list_of(int), "num_classes": int, "head": str,
}  # fmt: skip
WAY_OUT = "copy the folder again or train the model again in a new folder"
RUNS, FOLD = ("*", "*/seed-*", "*/*/seed-*"), "fold-"
"""Where models are below a folder of runs: that of a method, of a comparison, or one of several; and by fold."""


def write(
    folder: Path, meta: Mapping[str, Any], state: Mapping[str, Tensor], blobs: Mapping[str, bytes]
) -> tuple[str, ...]:
    """Write model.safetensors, the blobs, and last meta.json, which has the checksums of all files and its own.

    Returns:
        the names of the files.
    """
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
    contents = {TENSORS: safetensors.save(tensors), **blobs}
    for name, data in contents.items():
        files.write_bytes(folder / name, data)
    checksums = {name: files.checksum(data) for name, data in contents.items()}
    document = {"schema_version": SCHEMA, "longtail": __version__, **meta, "files": checksums}
    json_documents.write_sealed(folder / META, document)
    return (*contents, META)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, bytes]]:
    """Read what `write` wrote: meta, tensors, blobs.

    Raises:
        ValueError: a file is missing, damaged or changed, or another version of longtail wrote it.
    """
    meta = _meta(folder)
    blobs: dict[str, bytes] = {}
    for name, checksum in meta["files"].items():
        if Path(name).name != name:
            raise ValueError(f"{folder}/{META} names {name!r}, which is not in the folder; train the model again")
        blobs[name] = _bytes(folder, name)
        if files.checksum(blobs[name]) != checksum:
            raise ValueError(
                f"{name} in {folder} was changed since the model was saved (its checksum is off); {WAY_OUT}"
            )
    try:
        state = safetensors.load(blobs.pop(TENSORS))
    except (SafetensorError, ValueError, KeyError) as error:
        raise damaged(folder, error) from None
    return meta, state, blobs


def network_of(folder: Path, builder: dict[str, Any] | None, network: nn.Module | Factory | None) -> nn.Module:
    """Return the network of a model, not yet with its weights.

    Args:
        folder: of the model.
        builder: the network's entry in meta.json; None where the network had no builder.
        network: the network itself, or what makes it; None builds the one that meta.json names.

    Raises:
        ValueError: it is the user's own and not given, another one is given, or meta.json describes none.
        TypeError: `network` makes no networks.
    """
    if isinstance(network, nn.Module):
        return network
    if builder is None:
        raise ValueError(f"the network in {folder} is not one of longtail's; pass network= to load it")
    if network is not None:
        check_factory(network)
    if builder.get("name") != OWN:
        if network is not None and builder.get("name") != "estimator":  # whose run may be beside those of the network
            raise ValueError(f"network= is for models of networks of one's own, not for {folder}; leave it out")
        return _built(folder, builder)
    if (wrong := violation(builder, _OWN)) is not None:
        raise damaged(folder, wrong)
    if network is None:
        raise ValueError(
            f"the network in {folder} was made by {visible(builder['factory'])}, which is not part of longtail; "
            f"load the model in Python, longtail.load({str(folder)!r}, network=...), with that function"
        )
    model = make(network, builder["num_classes"], tuple(builder["input_shape"]))
    if structure_of(model) != builder["structure"]:
        raise ValueError(
            f"network must make the network in {folder}, made by {visible(builder['factory'])} in training, got one of "
            "another structure; pass that function"
        )
    return _built(folder, builder, network)


def _built(folder: Path, builder: dict[str, Any], factory: Factory | None = None) -> nn.Module:
    try:
        return build(builder, factory)
    except (LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise damaged(folder, error) from None


def rule_of(name: str | None, counts: Tensor, arguments: Mapping[str, Any] | None = None) -> nn.Module | None:
    """Return the post-hoc rule of a saved model, built from its class counts and arguments; None where it has none.

    Raises:
        ValueError: a name that is none of `POSTHOC`.
    """
    if name is None:
        return None
    if name not in POSTHOC:
        raise ValueError(
            f"the model's post-hoc rule must be one of {', '.join(POSTHOC)}, got {name!r}; "
            "load it with the version that saved it"
        )
    rule: nn.Module = getattr(rules, name)(counts, **(arguments or {}))
    return rule


def described_rule(rule: nn.Module | None) -> dict[str, Any]:
    """Return the entries of meta.json on the post-hoc rule: its class, and arguments that are not in its buffers."""
    name = None if rule is None else type(rule).__name__
    return {"posthoc": name, "posthoc_arguments": dict(getattr(rule, "arguments", {}))}


def described_parts(parts: Mapping[str, nn.Module | None]) -> dict[str, Any]:
    """Return the entry of meta.json on the parts that a model has: class and JSON arguments by place."""
    return {
        place: {"name": type(part).__name__, "arguments": part.arguments}
        for place, part in parts.items()
        if part is not None
    }


def parts_of(entry: Any) -> dict[str, Any]:
    """Return the parts of a saved model by place, built from their arguments, not yet with their state.

    Raises:
        ValueError: a place or a name that is not in `PARTS`.
    """
    parts: dict[str, nn.Module] = {}
    for place, one in dict(entry or {}).items():
        if one["name"] not in PARTS.get(place, ()):
            known = ", ".join(PARTS.get(place, ())) or "none"
            raise ValueError(
                f"the model's {visible(str(place))} must be one of {known}, got {quoted(one['name'])}; "
                "load it with the version that saved it"
            )
        parts[place] = getattr(rules, one["name"])(**one["arguments"])
    return parts


def damaged(folder: Path, reason: object) -> ValueError:
    """Return the error of a folder whose files do not describe a model; a KeyError is a missing entry."""
    text = f"it has no {reason}" if isinstance(reason, KeyError) else " ".join(str(reason).split())[:200]
    return ValueError(f"the model in {folder} is damaged ({text}); train it again in a new folder")


def _meta(folder: Path) -> dict[str, Any]:
    if not os.path.isdir(folder):  # of a Path, a name too long for this system would raise
        raise ValueError(
            f"model {quoted(str(folder))} is not a folder; name the folder that longtail train wrote (--out)"
        )
    if not (folder / META).exists():
        raise ValueError(f"{folder} holds no finished model ({META} is missing); {_way_out(folder)}")
    try:
        meta = json_documents.read_sealed(folder / META, SCHEMA, _RULES, WAY_OUT)
    except OSError as error:
        raise _unreadable(folder, META, error) from None
    classes, network = meta["classes"], meta["network"]
    # a checksum does not show whether somebody who made both fitted them to each other
    if network is not None and network.get("num_classes") != len(classes):
        raise damaged(folder, f"{len(classes)} class names for a network of {network.get('num_classes')!r} classes")
    return meta


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
        raise _unreadable(folder, name, error) from None


def _unreadable(folder: Path, name: str, error: OSError | ValueError) -> ValueError:
    reason = getattr(error, "strerror", None) or error
    return ValueError(f"{visible(name)} in {folder} cannot be read ({reason}); mend its permissions or copy it")


def _way_out(folder: Path) -> str:
    """Which folder was meant, where one that holds runs was named; or why this run has no model."""
    with suppress(OSError, ValueError):
        if "model" in (run := json_documents.read(folder / "run.json", WAY_OUT)):
            return f"it was {visible(str(run['model']))}; its scores are there, and for new rows fit it in Python"
    models = [path.parent for pattern in RUNS for path in sorted(folder.glob(f"{pattern}/{META}"))]
    whole = [path for path in models if not path.name.startswith(FOLD)]
    if whole:
        return f"name a run inside it, as in {whole[0]}"
    if models or any(any(folder.glob(f"{pattern}/{FOLD}*/{META}")) for pattern in RUNS):
        return "the models of folds have each seen a part of the rows; train the one to use with longtail train"
    return "name the folder that longtail train wrote (its --out), or a run of a comparison (<method>-<hash>/seed-0)"
