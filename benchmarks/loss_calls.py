"""How many operations a loss issues beside torch's own cross-entropy: what an eager loss costs on a GPU.

A GPU works on a batch of losses for less time than it takes to start one of its kernels, so what matters is how many
are started. Operations of ATen are counted by a dispatch mode in forward and backward; views and allocations, which
start none, are left out. `waits` counts operations that read a value of the device, or whose result has a shape that
depends on values. The counts are those of small logits on every device; many logits are processed in pieces on a CPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.losses import cases, inputs, kept
from benchmarks.machine import facts
from longtail import instance_weights

SHAPE = (128, 10)
FREE = {
    "alias", "detach", "empty", "empty_like", "empty_strided", "expand", "lift_fresh", "new_empty", "new_empty_strided",
    "permute", "scalar_tensor", "select", "slice", "split", "squeeze", "t", "transpose", "unsqueeze", "view",
    "_reshape_alias", "_unsafe_view",
}  # fmt: skip
"""Operations that start no kernel."""
WAITS = {"_local_scalar_dense", "equal", "is_nonzero", "nonzero", "unique", "_unique2", "masked_select"}


class Count(TorchDispatchMode):
    """Counts the operations that start a kernel, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name not in FREE:
            self.calls[name] += 1
        return func(*args, **(kwargs or {}))


def counted(loss: Callable[[Tensor], Tensor], logits: Tensor) -> dict[str, Any]:
    """Count the operations of a loss and of its way back; the second call counts, when constants are cached."""
    for _ in range(2):
        logits.grad = None
        with Count() as forward:
            value = loss(logits)
        with Count() as backward:
            value.backward()
    both = forward.calls + backward.calls
    return {
        "forward": forward.calls.total(),
        "backward": backward.calls.total(),
        "waits": sum(both[name] for name in WAITS),
        "calls": {"forward": dict(forward.calls), "backward": dict(backward.calls)},
    }


def variants(shape: tuple[int, ...]) -> dict[str, tuple[Callable[[Tensor], Tensor], Tensor]]:
    """By name: logits -> scalar, and the logits."""
    logits, cosines, targets = inputs(shape, "cpu")
    losses = cases(shape[1])
    own: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {}
    for name, loss in losses.items():
        given = cosines if name.startswith("LDAM") else logits
        own[name] = (lambda z, loss=loss: loss(z, targets), given)
    for name, loss in losses.items():
        if isinstance(loss, lt.losses.Loss):
            given = cosines if name.startswith("LDAM") else logits
            own[f"{name}, with its losses"] = (lambda z, loss=loss: loss.with_losses(z, targets)[0], given)
    each = torch.rand(shape[0], generator=torch.Generator().manual_seed(0)).requires_grad_()
    kept_rows = targets >= 0
    for name, weights in {"Mean": instance_weights.Mean(), "ABSGD": instance_weights.ABSGD(5.0)}.items():
        own[f"{name} of losses"] = (lambda z, weights=weights: weights(z, kept=kept_rows), each)
        own[f"{name} of losses, all kept"] = (lambda z, weights=weights: weights(z), each)
    return own


def main() -> None:
    parser = argument_parser(__doc__)
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": facts(), "shape": SHAPE, "losses": {}}
    print(f"{SHAPE!s:<50} {'forward':>8} {'backward':>9} {'waits':>6} {'large tensors saved':>20}")
    for name, (loss, logits) in variants(SHAPE).items():
        row = counted(loss, logits)
        saved = kept(lambda z, _, loss=loss: loss(z), logits, torch.empty(0)) if logits.ndim > 1 else {}
        row["kept_as_large_as_logits"] = saved.get("kept_as_large_as_logits", 0)
        result["losses"][name] = row
        print(
            f"  {name:<48} {row['forward']:8} {row['backward']:9} {row['waits']:6} {row['kept_as_large_as_logits']:20}"
        )
    save(given.out, result)


if __name__ == "__main__":
    main()
