"""What a loss costs beside torch's own cross-entropy: forward + backward, as ratios within one run.

Shapes (128, 100) and (1024, 8142); the median over rounds in which every loss takes its turn, so that a machine
that speeds up or slows down does so for all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

import longtail as lt
from benchmarks.machine import facts

SHAPES = {"small": (128, 100), "large": (1024, 8142)}


def cases(num_classes: int) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    counts = lt.profiles.long_tail(5000, num_classes, 1000)
    deferred = lt.losses.LDAMLoss(counts, class_weight="effective", reweight=lt.schedules.switch(0.8, 0.0, 1.0))
    return {
        "F.cross_entropy": F.cross_entropy,
        "CrossEntropyLoss": lt.losses.CrossEntropyLoss(),
        "LogitAdjustedLoss": lt.losses.LogitAdjustedLoss(counts),
        "LDAMLoss": lt.losses.LDAMLoss(counts),
        "LDAMLoss, deferred weights": lambda z, y: deferred(z, y, progress=0.9),
        "FocalLoss": lt.losses.FocalLoss(),
        "ClassBalancedLoss, softmax": lt.losses.ClassBalancedLoss(counts),
        "binary_cross_entropy_with_logits": lambda z, y: F.binary_cross_entropy_with_logits(
            z, F.one_hot(y, z.shape[1]).to(z.dtype), reduction="sum"
        ),
        "ClassBalancedLoss, sigmoid": lt.losses.ClassBalancedLoss(counts, base="sigmoid"),
        "ClassBalancedLoss, focal": lt.losses.ClassBalancedLoss(counts, base="focal"),
    }


def measure(shape: tuple[int, int], rounds: int, repeats: int, device: str) -> dict[str, float]:
    """Median seconds of one forward + backward per loss."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator).to(device).requires_grad_()
    targets = torch.randint(shape[1], (shape[0],), generator=generator).to(device)
    losses = {k: v.to(device) if isinstance(v, torch.nn.Module) else v for k, v in cases(shape[1]).items()}
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for i in range(rounds + 1):
        for name, loss in losses.items():
            start = _clock(device)
            for _ in range(repeats):
                logits.grad = None
                loss(logits, targets).backward()
            if i:  # the first round warms up
                seconds[name].append((_clock(device) - start) / repeats)
    return {name: median(values) for name, values in seconds.items()}


def _clock(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    result = {"machine": facts(), "device": given.device, "threads": given.threads}
    for name, shape in SHAPES.items():
        found = measure(shape, given.rounds, 50 if name == "small" else 2, given.device)
        base = found["F.cross_entropy"]
        result[name] = {
            loss: {"ms": round(1000 * s, 4), "ratio": round(s / base, 3), "extra_ms": round(1000 * (s - base), 4)}
            for loss, s in found.items()
        }
        print(f"\n{shape}, forward + backward, {given.device}, {given.threads} thread(s)")
        for loss, s in found.items():
            print(f"  {loss:<34} {1000 * s:8.3f} ms  {s / base:5.2f}x  {1000 * (s - base):+.3f} ms")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
