"""What capturing a step as a CUDA graph would do, on the CPU: record its operations once, and run them again.

Operations that would wait for a GPU, or whose result has a shape that depends on values, are listed; so are tensors
made from numbers of the host, which would be copied to the GPU in every step.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

WAITING = {
    "_local_scalar_dense", "allclose", "bincount", "equal", "is_nonzero", "item", "lift_fresh", "masked_select",
    "nonzero", "repeat_interleave", "_unique2", "unique_consecutive", "unique_dim",
}  # fmt: skip
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
HOST = {"__array__", "cpu", "numpy", "tolist"}


class Recorded(TorchDispatchMode):
    """The operations between entry and exit: `waits` lists those that a GPU would wait for, `replay` runs all again."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self._operations: list[tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        masked = name in INDEXING and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if name in WAITING or masked:
            self.waits.append(f"{name}{' by a mask' if masked else ''} in {_caller()}")
        result = func(*args, **(kwargs or {}))
        self._operations.append((func, args, kwargs or {}, _tensors(result)))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Run the operations again on the tensors of the recording, whose contents may have changed."""
        for func, args, kwargs, results in self._operations:
            for old, new in zip(results, _tensors(func(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():  # not a view of another's memory
                    old.copy_(new)


class Replayed:
    """In place of `longtail.engine.capture.CudaGraph`: records and replays on the CPU.

    `made`: one of each shape of each stage, in order; `replays`: how often it ran again.
    """

    made: ClassVar[list[Replayed]] = []

    def __init__(self) -> None:
        self.replays = 0
        self.made.append(self)

    def record(self, function: Callable[[], None]) -> None:
        """Record, and fail for what would wait for a device."""
        with recording() as self._recorded:
            function()
        assert self._recorded.waits == []

    def replay(self) -> None:
        """Run it again."""
        self.replays += 1
        self._recorded.replay()


class _Host(TorchFunctionMode):
    """Lists what leaves torch on a path that no dispatch mode sees."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in HOST:
            self.waits.append(f"{func.__name__} in {_caller()}")
        return func(*args, **(kwargs or {}))


@contextmanager
def recording() -> Iterator[Recorded]:
    """Inside, operations are recorded."""
    recorded = Recorded()
    with recorded, _Host(recorded.waits):
        yield recorded


def _tensors(result: Any) -> list[Tensor]:
    """Those that an operation returns; nearly all return one, which is not searched."""
    found = [result] if isinstance(result, Tensor) else tree_leaves(result)
    return [leaf for leaf in found if isinstance(leaf, Tensor)]


def copied(tree: Any) -> Any:
    """The same tree with tensors of its own."""
    return tree_map_only(Tensor, torch.clone, tree)


def written(tree: Any, values: Any) -> None:
    """Copy the values of another tree of the same structure into the tensors of this one."""
    for old, new in zip(tree_leaves(tree), tree_leaves(values), strict=True):
        old.copy_(new)


def _caller() -> str:
    """The innermost line of longtail."""
    frames = [f for f in traceback.extract_stack() if "/src/longtail/" in f.filename or "/tests/" in f.filename]
    own = [f for f in frames if not f.filename.endswith("recorded_step.py")]
    return f"{own[-1].filename.rpartition('/')[2]}: {own[-1].line}" if own else "torch"
