"""Save nested state dicts as one safetensors file of tensors and JSON, and load them; nothing is pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor

from longtail.facts import files


def pack(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """Split a tree of dicts, lists, tensors and plain values into its tensors and a JSON skeleton."""
    tensors: dict[str, Tensor] = {}
    used: set[int] = set()

    def walk(node: Any, path: str) -> Any:
        if isinstance(node, Tensor):
            name = f"{len(tensors)}{path}"  # numbered: the keys "a.b" and "a" -> "b" have one path
            tensors[name] = _alone(node.detach().cpu().contiguous(), used)
            return {"tensor": name}
        if isinstance(node, dict):
            items = [[key, walk(value, f"{path}.{key}")] for key, value in node.items()]
            return {"dict": items}  # pairs, since keys of a JSON object are strings
        if isinstance(node, list | tuple):
            kind = "list" if isinstance(node, list) else "tuple"
            return {kind: [walk(value, f"{path}.{i}") for i, value in enumerate(node)]}
        if node is None or isinstance(node, bool | int | float | str):
            return {"value": node}
        raise TypeError(f"state at {path} must be tensors and plain values, got {type(node).__name__}")

    return tensors, walk(tree, "")


def _alone(tensor: Tensor, used: set[int]) -> Tensor:
    """Return the tensor, copied only where it shares memory, which safetensors refuses: a store of labels is large."""
    memory = tensor.untyped_storage()
    if memory.nbytes() != tensor.nbytes or memory.data_ptr() in used:
        tensor = tensor.clone()
    used.add(memory.data_ptr())
    return tensor


def unpack(tensors: dict[str, Tensor], skeleton: Any) -> Any:
    """Return the tree that `pack` split."""
    ((kind, body),) = skeleton.items()
    if kind == "tensor":
        return tensors[body]
    if kind == "dict":
        return {key: unpack(tensors, value) for key, value in body}
    if kind in ("list", "tuple"):
        values = [unpack(tensors, value) for value in body]
        return values if kind == "list" else tuple(values)
    return body


def save(path: Path, tree: Any) -> None:
    """Write a tree to one safetensors file in one step, with a checksum."""
    tensors, skeleton = pack(tree)
    text = json.dumps(skeleton)
    files.write_bytes(
        path, safetensors.save(tensors, metadata={"skeleton": text, "checksum": _checksum(tensors, text)})
    )


def load(path: Path) -> Any:
    """Read a tree that `save` wrote.

    Raises:
        ValueError: the file is truncated, changed, or not such a file.
        OSError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata["checksum"] != _checksum(tensors, metadata["skeleton"]):
            raise ValueError("its checksum is off")
        return unpack(tensors, json.loads(metadata["skeleton"]))
    except OSError as error:
        raise OSError(f"{path} cannot be read ({error}); mend its permissions or delete it, and run again") from None
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and run the same command again") from None


def _checksum(tensors: dict[str, Tensor], skeleton: str) -> str:
    parts: list[Any] = [skeleton.encode()]
    for name in sorted(tensors):
        tensor = tensors[name]
        # dtype and shape too: with another header the same bytes are another tensor
        parts.append(f"{name!r} {tensor.dtype} {tuple(tensor.shape)}".encode())
        parts.append(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return files.checksum(*parts)


def cloned(tree: Any) -> Any:
    """Return a copy of a tree of dicts, lists and tensors that training does not change."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: cloned(value) for key, value in tree.items()}
    return type(tree)(map(cloned, tree)) if isinstance(tree, list | tuple) else tree


def restore(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state into an optimiser, with its averages in memory as the parameters are.

    A file has them row by row. Where a parameter has its channels last, a fused step refuses such an average.
    """
    optimizer.load_state_dict(state)
    for parameter, own in optimizer.state.items():
        for name, value in own.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                own[name] = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
