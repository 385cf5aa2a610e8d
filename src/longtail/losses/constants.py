"""What a loss knows about the classes: their counts and the constants that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from longtail.facts.arrays import COUNT, like_labels
from longtail.facts.counts import as_counts


class ClassConstants(nn.Module):
    """Constants per class, computed in float64 from the class counts.

    Each lives twice: as a buffer of the default dtype, which follows the device but no `.half()`, and
    exactly, for float64 logits. Only `class_counts` (float64) is state; the rest is computed anew whenever
    the counts are loaded or set.
    """

    class_counts: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}
        self.register_buffer("class_counts", None)

    def constants(self, counts: Tensor | None) -> Mapping[str, Tensor | None]:
        """Slot: the constants (C,) by name, float64 or bool, on the CPU; counts may be None."""
        raise NotImplementedError

    def set_class_counts(self, class_counts: Any) -> None:
        """Take other counts (online, estimated, surrogate) and compute anew what follows from them."""
        counts = as_counts(class_counts, classes=getattr(self, "classes", None))
        if self.class_counts is not None and len(counts) != len(self.class_counts):
            hint = like_labels(counts.cpu().numpy())
            raise ValueError(
                f"class_counts must keep {len(self.class_counts)} classes, got {len(counts)}; "
                + (f"{hint}: {COUNT}" if hint else "build a new loss for other classes")
            )
        self._hold(counts, self._device())

    def constant(self, name: str, like: Tensor) -> Tensor:
        """A constant in the dtype and on the device of `like`, exact for float64."""
        held: Tensor = getattr(self, name)
        if like.dtype == torch.float64 and held.dtype != torch.float64:
            held = self._exact[name]
        return held.to(like.device, like.dtype)

    def _hold(self, counts: Tensor | None, device: torch.device) -> None:
        exact = None if counts is None else counts.detach().cpu()
        named = {"class_counts": exact, **self.constants(exact)}
        self._exact = {name: value.detach().cpu().clone() for name, value in named.items() if value is not None}
        for name in {*named, *self._buffers}:
            self.register_buffer(name, None, persistent=name == "class_counts")
        self._place(device)

    def _place(self, device: torch.device) -> None:
        for name, exact in self._exact.items():
            wide = name == "class_counts" and device.type != "mps"  # which has no float64
            dtype = torch.bool if exact.dtype == torch.bool else torch.float64 if wide else torch.get_default_dtype()
            self._buffers[name] = exact.to(dtype, copy=True).to(device)

    def _device(self) -> torch.device:
        held = next((buffer for buffer in self._buffers.values() if buffer is not None), None)
        return held.device if held is not None else torch.get_default_device()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        held, self._buffers = self._buffers, {}  # their dtype is ours to choose
        try:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        finally:
            self._buffers = held
        self._place(fn(torch.empty(0, device=self._device())).device)
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if self.class_counts is not None and f"{prefix}class_counts" in state_dict:
            self._hold(self.class_counts, self._device())
