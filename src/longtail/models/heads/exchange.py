"""Find the head of a network and put another in its place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TypeVar

from torch import nn

from longtail.facts.messages import quoted
from longtail.models.heads.cosine import CosineClassifier
from longtail.models.heads.frame import FrameClassifier
from longtail.models.heads.nearest import NearestClassMean

M = TypeVar("M", bound=nn.Module)
Head = nn.Module | Callable[[int, int], nn.Module]
"""A module, or a factory (in_features, out_features) -> module: `nn.Linear`, `CosineClassifier`, a lambda."""

HEADS = (nn.Linear, CosineClassifier, FrameClassifier, NearestClassMean)
"""Layers that count as the classifier where none is named."""


def find_head(model: nn.Module, name: str | None = None) -> tuple[str, nn.Module]:
    """Return the dotted name of a network's classifier, and the classifier.

    Without a name it is the last `nn.Linear`, `CosineClassifier`, `FrameClassifier` or `NearestClassMean` in the order
    of registration, which is the order in which an ordinary network computes.

    Raises:
        ValueError: no such layer, or no module of that name.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {quoted(model)}; pass the network itself")
    if name is None:
        heads = [(n, m) for n, m in model.named_modules() if isinstance(m, HEADS)]
        if not heads:
            raise ValueError(
                f"model must contain an nn.Linear to use as its head, got none in {type(model).__name__}; pass name="
            )
        return heads[-1]
    head = dict(model.named_modules()).get(name) if isinstance(name, str) and name else None
    if head is None:
        names = ", ".join([n for n, _ in model.named_modules() if n][-8:])
        raise ValueError(f"name must be a module of the model, got {quoted(name)}; the last ones are {names}")
    return name, head


def swap_head(model: M, head: Head, name: str | None = None) -> M:
    """Put another head into a network, in place.

    Args:
        model: any network; it is changed and returned, the same object.
        head: a class or factory, called as head(in_features, out_features) of the old head; or a module. It
            is moved to the old head's device and dtype. Optimisers made before do not train it.
        name: dotted name of the head, where it is not the last `nn.Linear` (see `find_head`).

    Raises:
        ValueError: no head, a model that is itself the head, or a module's sizes differ from the old
            head's.
    """
    name, old = find_head(model, name)
    if not callable(head):
        raise TypeError(f"head must be a module, a class or a factory, got {quoted(head)}; as in CosineClassifier")
    sizes = _sizes(old, name)
    if isinstance(head, nn.Module):
        for which, size in zip(("in_features", "out_features"), sizes, strict=True):
            if getattr(head, which, size) != size:
                raise ValueError(
                    f"head must have {which}={size} as the old one, got {getattr(head, which)}; "
                    "pass a class or a factory"
                )
        new = head
    else:
        new = head(*sizes)
        if not isinstance(new, nn.Module):
            raise TypeError(f"head must make an nn.Module, got {quoted(new)}; as nn.Linear and CosineClassifier do")
    like = next(value for value in chain(old.parameters(), old.buffers()) if value.is_floating_point())
    replace_module(model, old, new.to(like.device, like.dtype).train(old.training))
    return model


def replace_module(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` where `old` is, under every name it is registered by."""
    if model is old:
        raise ValueError(f"model must contain its head, got a bare {type(model).__name__}; make the new head yourself")
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module is old:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, new)


def _sizes(head: nn.Module, name: str) -> tuple[int, int]:
    sizes = getattr(head, "in_features", None), getattr(head, "out_features", None)
    if not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(
            f"name must be a layer with in_features and out_features >= 1, got {type(head).__name__} at "
            f"{name!r}; name the linear layer, and run one batch through a lazy model first"
        )
    return sizes  # type: ignore[return-value]
