"""What other kinds of steps cost: ResNet-32, batch 128, time and peak memory beside the plain step, in one run.

Each variant is our training step (batch, augmentation, loss, watch, optimiser) in a process of its own; they take
turns, a few steps each; the ratios are medians over rounds of the ratio within a round, with their 95 % interval over
resampled rounds. "plain again" is the same step once more: how far its ratio is from 1 is the noise of all of them.
THEORY counts passes: two a step cost 2; ImbSAM has a third backward pass; a step that looks ahead has a meta batch of
100 rows, the gradient of its look-ahead (none for L2RW) and the derivative along the meta gradient, as much as two
forward passes. Peak memory on a GPU is that of its allocator; on a CPU that of all tensors of one step, those before it
left out. Images are random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import accumulate
from multiprocessing import get_context
from typing import Any

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from benchmarks.train_step import BATCH, CLASSES, endless, network, pool
from benchmarks.turns import Stepper, Variant, measure
from benchmarks.weighting import interval
from longtail import losses
from longtail.engine.default_recipe import LDAM
from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.precision import resolved
from longtail.facts.types import Batch, Update
from longtail.learners import SupervisedLearner
from longtail.updates import (
    RECOVER,
    SAM,
    ByClass,
    Descend,
    ImbSAM,
    LearningToReweight,
    MetaWeightNet,
    Reweight,
    forward_mode,
)
from longtail.updates.look_ahead import LookAhead

PLAIN = "plain"
META = 100
"""Rows of a meta batch."""
EVERY = 5
SECOND, COMPOSED = "mwn, second derivative", "mwn, torch's own forward mode"
"""The same step, its derivative by two backward passes, or with batch norms as torch composes them."""
HEAD = "learner.network.head"
UPDATES: dict[str, Callable[[], Update]] = {
    PLAIN: Descend,
    "plain again": Descend,
    "sam": SAM,
    "sam, both statistics": lambda: SAM(statistics="both"),
    "asam": lambda: SAM(0.5, adaptive=True, eta=0.01, biases=False),
    "sam-a": lambda: SAM(ascent=ByClass(1 + torch.arange(CLASSES).float())),
    "imbsam": lambda: ImbSAM(torch.arange(CLASSES) >= CLASSES // 2),
    "recover": RECOVER,
    "l2rw": lambda: Reweight(LearningToReweight()),
    "mwn": lambda: Reweight(MetaWeightNet()),
    "mwn, every 5th step": lambda: Reweight(MetaWeightNet(every=EVERY)),
    "mwn, last layer": lambda: Reweight(MetaWeightNet(layer=HEAD)),
    SECOND: lambda: Reweight(MetaWeightNet()),
    COMPOSED: lambda: Reweight(MetaWeightNet()),
}
"""Name -> the kind of step."""
LOOK_AHEAD = (3 + 2 + 3 * META / BATCH + 2) / 3
THEORY = {
    PLAIN: 1.0,
    "plain again": 1.0,
    **dict.fromkeys(("sam", "sam, both statistics", "asam", "sam-a", "recover"), 2.0),
    "imbsam": 8 / 3,
    "l2rw": LOOK_AHEAD - 2 / 3,
    **dict.fromkeys(("mwn", SECOND, COMPOSED), LOOK_AHEAD),
    "mwn, every 5th step": 1 + (LOOK_AHEAD - 1) / EVERY,
    "mwn, last layer": 1 + META / BATCH / 3,
}
"""Name -> passes of the step over those of a plain one, a backward pass counted as two forward ones."""


def stepper(name: str, precision: str, device: str) -> Stepper:
    """Return one of our training steps."""
    if name == SECOND:
        LookAhead._along_meta_gradient = _refused  # type: ignore[method-assign]
    if name == COMPOSED:
        forward_mode._batch_norm = F.batch_norm  # type: ignore[assignment, misc]
    data = pool().to(device)
    learner = SupervisedLearner(network(precision, device), losses.CrossEntropyLoss()).to(device)
    optimizer, update, watch = LDAM.make_optimizer(learner.trainable()), UPDATES[name](), EpochMonitor(CLASSES, device)
    if isinstance(update, torch.nn.Module):
        update.to(device)
    batches = endless(data)
    first = next(batches)
    meta = Batch(inputs=first["inputs"][:META], targets=first["targets"][:META], index=first["index"][:META])

    def step() -> None:
        batch = next(batches)
        watch.note(update(learner, Batch(**batch, meta=meta), optimizer, 0.5), batch)

    return step


def _refused(ahead: LookAhead, weights: Any) -> Any:
    raise NotImplementedError


def peak(name: str, precision: str, threads: int) -> float:
    """Return by how many megabytes tensors exceed, at the peak of a step, those that exist before it."""
    torch.set_num_threads(threads)
    step = stepper(name, precision, "cpu")
    for _ in range(EVERY):
        step()  # the next one looks ahead
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    results: Any = profiled.profiler
    events = [event for event in results.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate(event.nbytes() for event in events)) / 1e6


def peaks(names: Iterable[str], precision: str, threads: int) -> dict[str, float]:
    """Return the peak of each variant, in a fresh process."""
    found = {}
    for name in names:
        with get_context("spawn").Pool(1) as process:
            found[name] = process.apply(peak, (name, precision, threads))
    return found


def main() -> None:
    parser = argument_parser(__doc__, "updates-cpu.json")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument(
        "--only", nargs="+", choices=[*UPDATES], default=[*UPDATES], metavar="STEP", help="beside plain"
    )
    given = parser.parse_args()
    precision = resolved(given.precision, "resnet32", given.device)
    result: dict[str, Any] = {
        "machine": facts(), "device": given.device, "threads": given.threads, "batch": BATCH, "precision": precision,
        "variants": {},
    }  # fmt: skip
    print(f"ResNet-32, batch {BATCH}, {given.device}, {precision}, {given.threads} thread(s)")
    variants = {name: Variant(partial(stepper, name, precision)) for name in dict.fromkeys([PLAIN, *given.only])}
    measured = measure(variants, given.rounds, given.steps, given.threads, given.device)
    memory = peaks(variants, precision, given.threads) if given.device == "cpu" else {}
    for name, timed in measured.items():
        row = timed.row(measured[PLAIN])
        if "ratio" in row:
            low, high = interval(timed.ratios(measured[PLAIN]))
            row |= {"low": round(low, 3), "high": round(high, 3)}
        if name in memory:
            row["peak_mb"] = round(memory[name], 1)
        if "peak_mb" in row and "peak_mb" in (first := result["variants"].get(PLAIN, row)):
            row["memory_ratio"] = round(row["peak_mb"] / first["peak_mb"], 3)
        result["variants"][name] = row
        print(f"  {name:<22} " + ", ".join(f"{key} {value}" for key, value in row.items()))
    save(given.out, result)


if __name__ == "__main__":
    main()
