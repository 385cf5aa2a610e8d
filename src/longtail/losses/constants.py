"""What a loss knows about the classes: their counts and the constants that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from longtail.facts.arrays import COUNT, like_labels
from longtail.facts.counts import as_counts
from longtail.facts.fixed_dtype import FixedDtype, widest_float
from longtail.functional.closed_form import in_functorch

Made = TypeVar("Made")


class ClassConstants(FixedDtype):
    """Constants per class, computed in float64 from the class counts.

    Each has two copies: a buffer of the default dtype, which `.half()` does not change, and an exact one for
    float64 logits. Only `class_counts` (float64) is state; the rest is recomputed whenever the counts are
    loaded or set.
    """

    class_counts: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}
        self._cached: dict[str, tuple[Any, Any]] = {}  # name -> what it was made for, what was made
        self.register_buffer("class_counts", None)

    def constants(self, counts: Tensor | None) -> Mapping[str, Tensor | None]:
        """Slot: the constants (C,) by name, float64 or bool, on the CPU; counts may be None."""
        raise NotImplementedError

    def set_class_counts(self, class_counts: Any) -> None:
        """Replace the counts (online, estimated, surrogate) and recompute the constants."""
        counts = as_counts(class_counts, classes=getattr(self, "classes", None))
        if self.class_counts is not None and len(counts) != len(self.class_counts):
            hint = like_labels(counts.cpu().numpy())
            raise ValueError(
                f"class_counts must keep {len(self.class_counts)} classes, got {len(counts)}; "
                + (f"{hint}: {COUNT}" if hint else "build a new loss for other classes")
            )
        before = (
            self.class_counts
        )  # kept until the new ones exist: their address differs, which a CUDA graph is told by
        self._compute(counts, self.buffer_device())
        del before

    def constant(self, name: str, like: Tensor) -> Tensor:
        """Return a constant in the dtype and on the device of `like`, exact for float64."""
        constant: Tensor = getattr(self, name)
        if like.dtype == torch.float64 and constant.dtype != torch.float64:
            constant = self._exact[name]
        return constant.to(like.device, like.dtype)

    def cached(self, name: str, like: Tensor, values: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """Return what `make` computes from the constants for `like` and these values of knobs, computed once.

        Computed on every call where a value is a tensor, which is not compared, and inside transformations of torch,
        whose tensors have no meaning outside.
        """
        if torch.compiler.is_compiling() or in_functorch() or any(isinstance(v, Tensor) for v in values):
            return make()
        key = (like.device, like.dtype, values)
        entry = self._cached.get(name)
        if entry is not None and entry[0] == key:
            made: Made = entry[1]
            return made
        with torch.inference_mode(False), torch.no_grad():
            made = make()
        if not (like.is_cuda and torch.cuda.is_current_stream_capturing()):  # there it has its values in a replay only
            self._cached[name] = (key, made)
        return made

    def _compute(self, counts: Tensor | None, device: torch.device) -> None:
        """Compute all constants from the counts and put them on a device."""
        exact = None if counts is None else counts.detach().cpu()
        named = {"class_counts": exact, **self.constants(exact)}
        self._exact = {name: value.detach().cpu().clone() for name, value in named.items() if value is not None}
        for name in {*named, *self._buffers}:
            self.register_buffer(name, None, persistent=name == "class_counts")
        self.move_buffers(device)

    def move_buffers(self, device: torch.device) -> None:
        """Put the constants on a device, from their exact copies."""
        self._cached = {}
        for name, exact in self._exact.items():
            dtype = widest_float(device) if name == "class_counts" else torch.get_default_dtype()
            dtype = torch.bool if exact.dtype == torch.bool else dtype
            self._buffers[name] = exact.to(dtype, copy=True).to(device)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if self.class_counts is not None and f"{prefix}class_counts" in state_dict:
            self._compute(self.class_counts, self.buffer_device())
