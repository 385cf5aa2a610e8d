"""How many operations a loss issues beside torch's own cross-entropy: what an eager loss costs on a GPU.

A GPU works on a batch of losses for less time than it takes to start one of its kernels, so what matters is how many
are started. Operations of ATen are counted by a dispatch mode in forward and backward; views and allocations, which
start none, are left out. `waits` counts operations that read a value of the device, or whose result has a shape that
depends on values. The counts are those of small logits on every device; many logits are processed in pieces on a CPU.

With --kernels the losses run by the Triton kernels that a GPU uses, without one in Triton's interpreter. Their starts
are counted where Triton makes them, `kernel[grid]`; what the interpreter does inside of one is not counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.losses import cases, inputs, kept
from benchmarks.machine import facts
from longtail import instance_weights
from longtail.functional import gpu

SHAPE = (128, 10)
FREE = {
    "alias", "detach", "empty", "empty_like", "empty_strided", "expand", "lift_fresh", "new_empty", "new_empty_strided",
    "permute", "scalar_tensor", "select", "slice", "split", "squeeze", "t", "transpose", "unsqueeze", "view",
    "_reshape_alias", "_unsafe_view",
}  # fmt: skip
"""Operations that start no kernel."""
WAITS = {"_local_scalar_dense", "equal", "is_nonzero", "nonzero", "unique", "_unique2", "masked_select"}


class Count(TorchDispatchMode):
    """Counts the operations that start a kernel, by name, and starts of Triton's own where there are any."""

    def __init__(self, kernels: bool = False) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.started = kernels_started(lambda name: self.calls.update([f"kernel {name}"])) if kernels else nullcontext()

    def __enter__(self) -> Count:
        self.started.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.started.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name not in FREE and not Started.running:
            self.calls[name] += 1
        return func(*args, **(kwargs or {}))


class Started:
    """A Triton kernel with its grid, while it is counted."""

    running = False

    def __init__(self, start: Callable[..., Any]) -> None:
        self.start = start

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        Started.running = True
        try:
            return self.start(*args, **kwargs)
        finally:
            Started.running = False


@contextmanager
def kernels_started(note: Callable[[str], None]) -> Iterator[None]:
    """Pass the name of every Triton kernel that is started meanwhile, compiled or interpreted."""
    from triton.runtime.jit import KernelInterface

    original = KernelInterface.__getitem__

    def noted(kernel: Any, grid: Any) -> Started:
        note(kernel.fn.__name__)
        return Started(original(kernel, grid))

    KernelInterface.__getitem__ = noted
    try:
        yield
    finally:
        KernelInterface.__getitem__ = original


def use_kernels() -> str:
    """Let losses run by their kernels, before Triton is imported; return the device that has them."""
    if torch.cuda.is_available():
        return "cuda"
    os.environ["TRITON_INTERPRET"] = "1"
    gpu.INTERPRETED = True
    return "cpu"


def counted(loss: Callable[[Tensor], Tensor], logits: Tensor, *, kernels: bool = False) -> dict[str, Any]:
    """Count the operations of a loss and of its way back; the second call counts, when constants are cached."""
    for _ in range(2):
        logits.grad = None
        with Count(kernels) as forward:
            value = loss(logits)
        with Count(kernels) as backward:
            value.backward()
    both = forward.calls + backward.calls
    return {
        "forward": forward.calls.total(),
        "backward": backward.calls.total(),
        "waits": sum(both[name] for name in WAITS),
        "calls": {"forward": dict(forward.calls), "backward": dict(backward.calls)},
    }


def variants(shape: tuple[int, ...], device: str = "cpu") -> dict[str, tuple[Callable[[Tensor], Tensor], Tensor]]:
    """By name: logits -> scalar, and the logits."""
    logits, cosines, targets = inputs(shape, device)
    losses = {k: v.to(device) if isinstance(v, torch.nn.Module) else v for k, v in cases(shape[1]).items()}
    own: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {}
    for name, loss in losses.items():
        given = cosines if name.startswith("LDAM") else logits
        own[name] = (lambda z, loss=loss: loss(z, targets), given)
    for name, loss in losses.items():
        if isinstance(loss, lt.losses.Loss):
            given = cosines if name.startswith("LDAM") else logits
            own[f"{name}, with its losses"] = (lambda z, loss=loss: loss.with_losses(z, targets)[0], given)
    each = torch.rand(shape[0], generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    kept_rows = targets >= 0
    for name, weights in {"Mean": instance_weights.Mean(), "ABSGD": instance_weights.ABSGD(5.0)}.items():
        own[f"{name} of losses"] = (lambda z, weights=weights: weights(z, kept=kept_rows), each)
        own[f"{name} of losses, all kept"] = (lambda z, weights=weights: weights(z), each)
    return own


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--kernels", action="store_true", help="by the kernels of a GPU")
    given = parser.parse_args()
    device = use_kernels() if given.kernels else "cpu"
    result: dict[str, Any] = {"machine": facts(), "shape": SHAPE, "kernels": given.kernels, "losses": {}}
    print(f"{SHAPE!s:<50} {'forward':>8} {'backward':>9} {'waits':>6} {'large tensors saved':>20}")
    for name, (loss, logits) in variants(SHAPE, device).items():
        row = counted(loss, logits, kernels=given.kernels)
        saved = kept(lambda z, _, loss=loss: loss(z), logits, torch.empty(0, device=device)) if logits.ndim > 1 else {}
        row["kept_as_large_as_logits"] = saved.get("kept_as_large_as_logits", 0)
        result["losses"][name] = row
        print(
            f"  {name:<48} {row['forward']:8} {row['backward']:9} {row['waits']:6} {row['kept_as_large_as_logits']:20}"
        )
    save(given.out, result)


if __name__ == "__main__":
    main()
