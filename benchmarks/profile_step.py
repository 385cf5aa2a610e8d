"""Where the time of a ResNet-32 step and of an evaluation goes: the profiler's tables, before and after.

Before: memory given back to the system after every operation, evaluation 1,024 rows at a time with its batch norms.
After: freed memory kept (`longtail.engine.malloc`), 256 rows at a time, batch norms folded into the convolutions.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.command import argument_parser
from benchmarks.machine import facts
from benchmarks.train_step import evaluation, ours, plain_evaluation
from benchmarks.turns import Variant
from longtail.engine.precision import resolved

ROWS = 12


def table(variant: Variant, steps: int, rows: int = ROWS) -> str:
    torch.set_num_threads(1)
    with variant.settings():
        step = variant.make("cpu")
        for _ in range(2):
            step()
        with profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(steps):
                step()
    events = sorted(found.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in events)
    lines = [f"{'operation':<34} {'share':>6} {'ms a step':>10} {'calls a step':>13}"]
    for event in events[:rows]:
        time = event.self_cpu_time_total
        lines.append(
            f"{event.key[:34]:<34} {time / total:>6.1%} {time / 1000 / steps:>10.1f} {event.count / steps:>13.0f}"
        )
    return "\n".join([*lines, f"{'all':<34} {1:>6.0%} {total / 1000 / steps:>10.1f}"])


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    precision = resolved("auto", "resnet32", "cpu")
    variants = {
        "a training step of 128 rows, before": Variant(partial(ours, precision), kept=False),
        "a training step of 128 rows, after": Variant(partial(ours, precision)),
        "an evaluation of 1,024 rows, before": Variant(partial(plain_evaluation, precision), kept=False),
        "an evaluation of 1,024 rows, after": Variant(partial(evaluation, precision)),
    }
    pages = [f"ResNet-32, {precision}, one thread. Machine: {facts()}"]
    for name, variant in variants.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:  # a heap of its own
            pages.append(f"{name}\n{process.submit(table, variant, given.steps).result()}")
    text = "\n\n".join(pages) + "\n"
    print(text)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text)


if __name__ == "__main__":
    main()
