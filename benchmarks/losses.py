"""What a loss costs beside torch's own cross-entropy: time, memory, and what it keeps for the way back.

Forward + backward, as ratios within one run: in every round each loss takes its turn, so that a machine that speeds
up or slows down does so for all of them. Margin losses get cosines, as their heads give them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from benchmarks.turns import seconds_of
from longtail.functional import launch

SHAPES = {
    (128, 10): 50,
    (128, 100): 50,
    (1024, 1000): 5,
    (1024, 8142): 1,
    (8, 21, 256, 256): 1,
}
"""Shape of the logits -> steps a round."""
GPU_SHAPES = {(128, 1000): 50}
"""Also on a GPU, where starting kernels is what counts up to here."""
BASE = "F.cross_entropy"
Loss = Callable[[Tensor, Tensor], Tensor]


def cases(num_classes: int) -> dict[str, Loss]:
    counts = lt.profiles.long_tail(5000, num_classes, 1000)
    deferred = lt.losses.LDAMLoss(counts, class_weight="effective", reweight=lt.schedules.switch(0.8, 0.0, 1.0))
    return {
        BASE: F.cross_entropy,
        "CrossEntropyLoss": lt.losses.CrossEntropyLoss(),
        "LogitAdjustedLoss": lt.losses.LogitAdjustedLoss(counts),
        "BalancedSoftmaxLoss": lt.losses.BalancedSoftmaxLoss(counts),
        "LDAMLoss": lt.losses.LDAMLoss(counts),
        "LDAMLoss, deferred weights": Deferred(deferred),
        "FocalLoss": lt.losses.FocalLoss(),
        "ClassBalancedLoss, softmax": lt.losses.ClassBalancedLoss(counts),
        "F.binary_cross_entropy_with_logits": binary,
        "ClassBalancedLoss, sigmoid": lt.losses.ClassBalancedLoss(counts, base="sigmoid"),
        "ClassBalancedLoss, focal": lt.losses.ClassBalancedLoss(counts, base="focal"),
    }


class Deferred(torch.nn.Module):
    """A loss in the last fifth of its stage."""

    def __init__(self, loss: torch.nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.loss(logits, targets, progress=0.9)


def binary(logits: Tensor, targets: Tensor) -> Tensor:
    hot = torch.zeros_like(logits).scatter_(1, targets.unsqueeze(1), 1.0)
    return F.binary_cross_entropy_with_logits(logits, hot, reduction="sum") / targets.numel()


def inputs(shape: tuple[int, ...], device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, cosines, targets."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator)
    targets = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    cosines = (logits / 6).clamp(-1, 1)
    return logits.to(device).requires_grad_(), cosines.to(device).requires_grad_(), targets.to(device)


def measure(shape: tuple[int, ...], rounds: int, device: str, steps: int) -> dict[str, dict[str, Any]]:
    """Per loss: milliseconds of a step, ratio (median over rounds of that within a round), bytes, saved tensors."""
    logits, cosines, targets = inputs(shape, device)
    losses = {k: v.to(device) if isinstance(v, torch.nn.Module) else v for k, v in cases(shape[1]).items()}
    given = {name: cosines if name.startswith("LDAM") else logits for name in losses}
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for i in range(rounds + 2):
        for name, loss in losses.items():
            spent = seconds_of(partial(repeat, steps, loss, given[name], targets), device)
            if i > 1:  # the first rounds warm up
                seconds[name].append(spent / steps)
    base = seconds[BASE]
    return {
        name: {
            "ms": round(1000 * median(own), 4),
            "min_ms": round(1000 * min(own), 4),
            "ratio": round(median(a / b for a, b in zip(own, base, strict=True)), 3),
            "min_ratio": round(min(own) / min(base), 3),
            "extra_ms": round(1000 * median(a - b for a, b in zip(own, base, strict=True)), 4),
            "min_extra_ms": round(1000 * (min(own) - min(base)), 4),
            "peak_mb": round(peak(losses[name], given[name], targets, device) / 1e6, 3),
            **kept(losses[name], given[name], targets),
        }
        for name, own in seconds.items()
    }


def repeat(steps: int, loss: Loss, logits: Tensor, targets: Tensor) -> None:
    for _ in range(steps):
        step(loss, logits, targets)


def step(loss: Loss, logits: Tensor, targets: Tensor) -> None:
    logits.grad = None
    loss(logits, targets).backward()


def peak(loss: Loss, logits: Tensor, targets: Tensor, device: str) -> int:
    """Bytes above what stood before the step, at most; the gradient itself is one (N, C) of them."""
    logits.grad = None
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(loss, logits, targets)
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step(loss, logits, targets)
    now = most = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


def kept(loss: Loss, logits: Tensor, targets: Tensor) -> dict[str, Any]:
    """Tensors saved for the way back, logits and targets left out: how many, their bytes, how many are (N, C)."""
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss(logits, targets)
    for given in (logits, targets):
        saved.pop(given.untyped_storage().data_ptr(), None)
    size = sum(t.untyped_storage().nbytes() for t in saved.values())
    large = sum(t.untyped_storage().nbytes() >= logits.numel() for t in saved.values())
    return {"kept": len(saved), "kept_mb": round(size / 1e6, 3), "kept_as_large_as_logits": large}


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    result: dict[str, Any] = {"machine": facts(), "device": given.device, "threads": given.threads}
    if given.device.startswith("cuda"):
        result["gpu"] = torch.cuda.get_device_name()
    shapes = SHAPES | GPU_SHAPES if given.device.startswith("cuda") else SHAPES
    for shape, steps in shapes.items():
        result[str(shape)] = found = measure(shape, given.rounds, given.device, steps)
        print(f"\n{shape}, forward + backward, {given.device}, {given.threads} thread(s)")
        print(f"  {'':<34} {'ms':>9} {'ratio':>6} {'(min)':>6} {'extra ms':>9} {'peak MB':>8} {'kept MB':>8}")
        for name, row in found.items():
            print(
                f"  {name:<34} {row['ms']:9.3f} {row['ratio']:6.2f} {row['min_ratio']:6.2f} {row['extra_ms']:+9.3f}"
                f" {row['peak_mb']:8.2f} {row['kept_mb']:8.2f}"
            )
    result["kernels"] = launch.WORKS.get(torch.device(given.device).type, False)
    print(f"\nlosses by their Triton kernels: {'yes' if result['kernels'] else 'no'}")
    save(given.out, result)


if __name__ == "__main__":
    main()
