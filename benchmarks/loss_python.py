"""What a loss takes in Python and in torch before a GPU has anything to do, measured without one.

Triton's driver is replaced by one that starts nothing, so a call does everything but start its kernels; the logits are
(1, 2), whose arithmetic takes torch no time. The kernels are compiled for compute capability 8.0 once. Add what a start
takes on the machine, for the numbers of starts that `benchmarks.loss_calls` counts. The best of many rounds, in which
each loss takes its turn, since other work only adds.
"""

from __future__ import annotations

import time
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler.compiler import CompiledKernel

from benchmarks.command import argument_parser, save
from benchmarks.losses import cases, inputs, step
from benchmarks.machine import facts
from longtail.functional import gpu, launch


class NoDriver:
    """A driver of a GPU that is not there."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 80, 32)

    def get_device_interface(self) -> Any:
        return torch.cuda


def start_nothing() -> None:
    triton.runtime.driver.set_active(NoDriver())
    CompiledKernel._init_handles = lambda self: None
    CompiledKernel.launch_metadata = lambda self, *given: None
    CompiledKernel.run = property(lambda self: lambda *given: None)
    gpu.INTERPRETED = True
    launch.WORKS["cpu"] = True


def best(rounds: int, steps: int = 10) -> dict[str, dict[str, float]]:
    """Microseconds of the loss alone, and with its gradient."""
    logits, _, targets = inputs((1, 2), "cpu")
    losses = cases(2)
    found = {name: {"forward": float("inf"), "both": float("inf")} for name in losses}
    for _ in range(rounds):
        for name, loss in losses.items():
            for part, run in (("forward", loss), ("both", lambda z, y, loss=loss: step(loss, z, y))):
                found[name][part] = min(found[name][part], _each(run, logits, targets, steps))
    return {name: {part: round(us, 1) for part, us in row.items()} for name, row in found.items()}


def _each(run: Any, logits: Tensor, targets: Tensor, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        run(logits, targets)
    return (time.perf_counter() - start) / steps * 1e6


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    start_nothing()
    kernels = best(given.rounds)
    gpu.INTERPRETED = False
    operations = best(given.rounds)
    result = {"machine": facts(), "triton": triton.__version__, "by_kernels": kernels, "by_operations": operations}
    print(f"{'microseconds, forward (with its gradient)':<42} {'by kernels':>16} {'by operations':>16}")
    for name, row in kernels.items():
        parts = (f"{r['forward']:.0f} ({r['both']:.0f})" for r in (row, operations[name]))
        print(f"  {name:<40} " + " ".join(f"{part:>16}" for part in parts))
    save(given.out, result)


if __name__ == "__main__":
    main()
