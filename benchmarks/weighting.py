"""What instance weights cost: steps of ResNet-32 with them beside plain SGD steps, in one run.

Each variant is our training step (batch, augmentation, loss, watch, optimiser) in a process of its own; they take
turns, a few steps each; the ratios are medians over rounds of the ratio within a round. "sgd again" is the same step
once more: how far its ratio is from 1 is the noise of all of them, which comes from where a process finds its memory.
What the weights take by themselves, one call on a batch of losses with its way back, is timed at the end. Images are
random.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from benchmarks.train_step import BATCH, CLASSES, ROWS, endless, network, pool
from benchmarks.turns import Stepper, Variant, measure
from longtail import instance_weights, losses, optim
from longtail.engine.default_recipe import LDAM
from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.precision import resolved
from longtail.facts.schedules import switch
from longtail.learners import SupervisedLearner
from longtail.updates import Descend


def _ours(precision: str, device: str, weights: torch.nn.Module | None) -> Stepper:
    data = pool().to(device)
    learner = SupervisedLearner(network(precision, device), losses.CrossEntropyLoss(), weights=weights).to(device)
    optimizer, update, watch = LDAM.make_optimizer(learner.trainable()), Descend(), EpochMonitor(CLASSES, device)
    batches = endless(data)

    def step() -> None:
        batch = next(batches)
        watch.note(update(learner, batch, optimizer, 0.5), batch)

    return step


def sgd(precision: str, device: str) -> Stepper:
    return _ours(precision, device, None)


def absgd(precision: str, device: str) -> Stepper:
    return _ours(precision, device, instance_weights.ABSGD(5.0))


def waiting(precision: str, device: str) -> Stepper:
    """Two stages, before the switch."""
    return _ours(precision, device, instance_weights.ABSGD(switch(0.8, float("inf"), 5.0)))


def term(precision: str, device: str) -> Stepper:
    return _ours(precision, device, instance_weights.TERM(1.0, by_class=True))


def eg(precision: str, device: str) -> Stepper:
    return _ours(precision, device, instance_weights.EG(1.0, True, size=ROWS))


def small_loss(precision: str, device: str) -> Stepper:
    return _ours(precision, device, instance_weights.SmallLoss(0.8))


def as_optimizer(precision: str, device: str) -> Stepper:
    """`optim.ABSGD` in a loop of one's own on one batch: no watch, no augmentation."""
    return _loop(precision, device, weighted=True)


def plain_loop(precision: str, device: str) -> Stepper:
    """The same loop with torch's SGD."""
    return _loop(precision, device, weighted=False)


def _loop(precision: str, device: str, *, weighted: bool) -> Stepper:
    model = network(precision, device)
    batch = pool().to(device).batch(torch.arange(BATCH))
    inputs, targets = batch["inputs"], batch["targets"]
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4}
    cross_entropy = torch.nn.functional.cross_entropy

    if weighted:
        ours = optim.ABSGD(model.parameters(), lam=5.0, gamma=0.5, **settings)

        def step() -> None:
            ours.step(lambda: cross_entropy(model(inputs).logits, targets, reduction="none"))

        return step
    theirs = torch.optim.SGD(model.parameters(), **settings)

    def plain() -> None:
        theirs.zero_grad()
        cross_entropy(model(inputs).logits, targets).backward()
        theirs.step()

    return plain


ALONE: dict[str, Callable[[], torch.nn.Module]] = {
    "plain mean": instance_weights.Mean,
    "absgd": lambda: instance_weights.ABSGD(5.0),
    "term by class": lambda: instance_weights.TERM(1.0, by_class=True),
    "eg, persistent": lambda: instance_weights.EG(1.0, True, size=10_000),
    "small-loss": lambda: instance_weights.SmallLoss(0.8),
}


def alone(make: Callable[[], torch.nn.Module], device: str, calls: int = 300, repeats: int = 20) -> float:
    """Seconds of one call and its way back, the median over repeats."""
    weights = make()
    losses = torch.rand(BATCH, device=device, requires_grad=True)
    batch = {"targets": torch.arange(BATCH, device=device) % CLASSES, "index": torch.arange(BATCH, device=device)}
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            weights(losses, **batch).backward()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append((time.perf_counter() - start) / calls)
    return median(found)


GROUPS: dict[str, dict[str, Callable[..., Stepper]]] = {
    "sgd": {
        "sgd": sgd, "sgd again": sgd, "absgd": absgd, "absgd before the switch": waiting, "term by class": term,
        "eg, persistent": eg, "small-loss": small_loss,
    },
    "plain loop": {"plain loop": plain_loop, "optim.ABSGD": as_optimizer},
}  # fmt: skip
"""What every variant of a group is compared with -> the variants."""


def main() -> None:
    parser = argument_parser(__doc__, "weighting-cpu.json")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=3)
    given = parser.parse_args()
    precision = resolved("auto", "resnet32", given.device)
    result = {
        "machine": facts(), "device": given.device, "threads": given.threads, "batch": BATCH, "precision": precision,
        "variants": {},
    }  # fmt: skip
    print(f"ResNet-32, batch {BATCH}, {given.device}, {precision}, {given.threads} thread(s)")
    for base, group in GROUPS.items():
        variants = {name: Variant(partial(make, precision)) for name, make in group.items()}
        measured = measure(variants, given.rounds, given.steps, given.threads, given.device)
        for name, timed in measured.items():
            row = timed.row(measured[base], digits=4)
            if "ratio" in row:
                low, high = interval(timed.ratios(measured[base]))
                row |= {"low": round(low, 4), "high": round(high, 4)}
            result["variants"][name] = row
            print(f"  {name:<26} beside {base}: " + ", ".join(f"{key} {value}" for key, value in row.items()))
    torch.set_num_threads(given.threads)
    result["alone_ms"] = {name: round(1000 * alone(make, given.device), 4) for name, make in ALONE.items()}
    print("  alone: " + ", ".join(f"{name} {ms:.3f} ms" for name, ms in result["alone_ms"].items()))
    save(given.out, result)


def interval(ratios: list[float]) -> tuple[float, float]:
    """95 % of the median over resampled rounds."""
    rounds = np.array(ratios)
    drawn = np.random.default_rng(0).integers(len(rounds), size=(2000, len(rounds)))
    low, high = np.quantile(np.median(rounds[drawn], axis=1), (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main()
