"""What a CIFAR training step of ours costs beside the floor and beside a plain loop, in one run.

The floor: forward and backward of the same ResNet-32 in the same memory format and precision, on one batch, under the
same memory settings, and nothing else. The plain loop: a DataLoader over PIL images, crop and flip in PIL, float32,
contiguous. Ours: batches, augmentation, loss, watch and optimiser step, as `fit` runs them. Evaluation is timed too:
1,024 rows with batch norms folded away, and as a plain loop in eval mode does it. Each variant has a process of its
own; they take turns, a few steps each; the ratios are medians over rounds of the ratio within a round. Images are
random: what is measured does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

import longtail as lt
from benchmarks.machine import facts
from longtail.data import Examples
from longtail.data.read.cifar import MEAN, STD
from longtail.data.views import CropFlip
from longtail.engine import malloc
from longtail.engine.default_recipe import LDAM
from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.precision import resolved
from longtail.engine.recipe import build
from longtail.learners import SupervisedLearner
from longtail.runs.predictor import Predictor
from longtail.updates import Descend

BATCH, ROWS, CLASSES = 128, 4096, 10
EVALUATED = 1024
Stepper = Callable[[], None]


def pool() -> Examples:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8, generator=generator)
    targets = torch.randint(CLASSES, (ROWS,), generator=generator)
    return Examples(images, targets, tuple(map(str, range(CLASSES))), batch_size=BATCH, augment=CropFlip())


def network(precision: str, device: str) -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = {"name": "resnet32", "input_shape": [3, 32, 32], "num_classes": CLASSES, "head": "linear"}
    found = build({**arguments, **({"precision": precision} if precision == "bfloat16" else {})}).to(device)
    for buffer, values in zip((found.standardize.mean, found.standardize.std), (MEAN, STD), strict=True):
        buffer.copy_(torch.tensor(values))
    return found


def ours(data: Examples, precision: str, device: str, *, compiled: bool = False) -> Stepper:
    counts = lt.profiles.long_tail(5000, CLASSES, 100)
    learner = SupervisedLearner(network(precision, device), lt.losses.LDAMLoss(counts).to(device))
    if compiled:
        learner.network.body.compile(mode="reduce-overhead", dynamic=False)
    optimizer, update, watch = LDAM.make_optimizer(learner.trainable()), Descend(), EpochMonitor(CLASSES, device)

    def forever() -> Iterator[object]:
        generator = torch.Generator().manual_seed(1)
        while True:
            yield from data.to(device).batches(0.5, generator)

    batches = forever()

    def step() -> None:
        batch = next(batches)
        watch.note(update(learner, batch, optimizer, 0.5), batch)

    return step


def floor(data: Examples, precision: str, device: str) -> Stepper:
    model = network(precision, device)
    inputs = model.standardize(data.inputs[:BATCH].to(device)).contiguous(memory_format=torch.channels_last)
    targets = data.targets[:BATCH].to(device)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            features = model.body(inputs)
        F.cross_entropy(model.head(features.float()), targets).backward()

    return step


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """One PIL image at a time, the way the papers' repositories read CIFAR."""

    def __init__(self, data: Examples) -> None:
        self.images = [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in data.inputs]
        self.targets = data.targets.tolist()
        self.mean, self.std = (np.array(v, dtype=np.float32) for v in (MEAN, STD))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        x, y = (int(v) for v in torch.randint(0, 9, (2,)))
        image = ImageOps.expand(self.images[row], 4).crop((x, y, x + 32, y + 32))
        if torch.rand(()) < 0.5:
            image = ImageOps.mirror(image)
        pixels = (np.asarray(image, dtype=np.float32) / 255 - self.mean) / self.std
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), self.targets[row]


def plain(data: Examples, precision: str, device: str) -> Stepper:
    model = network(precision, device).to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    loader = DataLoader(Pictures(data), batch_size=BATCH, shuffle=True, drop_last=True)

    def forever() -> Iterator[list[torch.Tensor]]:
        while True:
            yield from loader

    batches = forever()

    def step() -> None:
        inputs, targets = (t.to(device) for t in next(batches))
        optimizer.zero_grad()
        F.cross_entropy(model.head(model.body(inputs)), targets).backward()
        optimizer.step()

    return step


def evaluation(data: Examples, precision: str, device: str) -> Stepper:
    predictor = Predictor(network(precision, device), data.classes, data.class_counts).to(device)
    inputs = data.inputs[:EVALUATED]

    def step() -> None:
        predictor.scores(inputs)

    return step


def plain_evaluation(data: Examples, precision: str, device: str) -> Stepper:
    model, inputs = network(precision, device).eval(), data.inputs[:EVALUATED].to(device)

    def step() -> None:
        with torch.no_grad():
            model(inputs)

    return step


@dataclass(frozen=True)
class Variant:
    """What is timed: how to make its step, from which pool on which device, and under which memory settings."""

    make: Callable[..., Stepper]
    precision: str
    kept: bool = True
    arguments: tuple[tuple[str, bool], ...] = ()

    def settings(self) -> AbstractContextManager[None]:
        return malloc.keep_freed_memory() if self.kept else nullcontext()

    def step(self, device: str) -> Stepper:
        return self.make(pool(), self.precision, device, **dict(self.arguments))


def serve(variant: Variant, threads: int, device: str, line: Connection) -> None:
    """A process of its own for each variant: what one leaves in the heap would change the next one's page faults."""
    torch.set_num_threads(threads)
    with variant.settings():
        step = variant.step(device)
        step()
        while (steps := line.recv()) is not None:
            start = _clock(device)
            for _ in range(steps):
                step()
            line.send((_clock(device) - start) / steps)


def measure(variants: dict[str, Variant], rounds: int, steps: int, threads: int, device: str) -> dict[str, list[float]]:
    """Seconds of a step, per variant and round; they take turns, and the first round warms up."""
    spawn = get_context("spawn")
    lines: dict[str, Connection] = {}
    for name, variant in variants.items():
        lines[name], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(variant, threads, device, theirs), daemon=True).start()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for i in range(rounds + 1):
        for name, line in lines.items():
            line.send(steps)
            spent = line.recv()
            if i:
                seconds[name].append(spent)
    for line in lines.values():
        line.send(None)
    return seconds


def _clock(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--compile", action="store_true", help="also measure our step with a compiled network")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    device, precision = given.device, resolved("auto", "resnet32", given.device)
    variants = {
        f"floor, {precision}": Variant(floor, precision),
        f"ours, {precision}": Variant(ours, precision),
        f"ours, {precision}, memory given back": Variant(ours, precision, kept=False),
        "floor, float32": Variant(floor, "float32"),
        "ours, float32": Variant(ours, "float32"),
        "plain DataLoader + PIL, float32": Variant(plain, "float32", kept=False),
    }
    if given.compile:
        variants[f"ours, {precision}, compiled"] = Variant(ours, precision, arguments=(("compiled", True),))
    looking = {
        f"evaluation, {precision}": Variant(evaluation, precision),
        f"evaluation, {precision}, memory given back": Variant(evaluation, precision, kept=False),
        f"plain evaluation, {precision}": Variant(plain_evaluation, precision, kept=False),
    }
    result = {"machine": facts(), "device": device, "threads": given.threads, "batch": BATCH, "variants": {}}
    print(f"ResNet-32, {device}, {given.threads} thread(s)")
    for rows, group, base in (
        (BATCH, variants, f"ours, {precision}"),
        (EVALUATED, looking, f"evaluation, {precision}"),
    ):
        seconds = measure(group, given.rounds, given.steps, given.threads, device)
        for name, times in seconds.items():
            ratio = median(t / b for t, b in zip(times, seconds[base], strict=True))
            row = {"ms": 1000 * median(times), "images_per_second": rows / median(times), "time_beside_ours": ratio}
            result["variants"][name] = {k: round(v, 3) for k, v in row.items()}
            print(f"  {name:<40} {row['ms']:8.1f} ms  {row['images_per_second']:7.0f} images/s  {ratio:5.2f}x ours")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
