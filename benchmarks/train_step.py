"""What a CIFAR training step of ours costs beside the floor and beside a plain loop, in one run.

The floor: forward and backward of the same ResNet-32 in the same memory format and precision, on one batch, under the
same memory settings, and nothing else. The plain loop: a DataLoader over PIL images, crop and flip in PIL, float32,
contiguous. Ours: batches, augmentation, loss, watch and optimiser step, as `fit` runs them. Evaluation is timed too:
1,024 rows with batch norms folded away, and as a plain loop in eval mode does it. Each variant has a process of its
own; they take turns, a few steps each; the ratios are medians over rounds of the ratio within a round. Images are
random: what is measured does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from benchmarks.turns import Stepper, Variant, measure
from longtail.data import Examples
from longtail.data.read.cifar import MEAN, STD
from longtail.data.views import CropFlip
from longtail.engine.default_recipe import LDAM
from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.precision import resolved
from longtail.engine.recipe import build
from longtail.learners import SupervisedLearner
from longtail.runs.predictor import Predictor
from longtail.updates import Descend

BATCH, ROWS, CLASSES = 128, 4096, 10
EVALUATED = 1024


def pool() -> Examples:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8, generator=generator)
    targets = torch.randint(CLASSES, (ROWS,), generator=generator)
    return Examples(images, targets, tuple(map(str, range(CLASSES))), batch_size=BATCH, augment=CropFlip())


def endless(data: Examples) -> Iterator[Any]:
    """Batches of one epoch after another."""
    generator = torch.Generator().manual_seed(1)
    while True:
        yield from data.batches(0.5, generator)


def network(precision: str, device: str, head: str = "linear") -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = {"name": "resnet32", "input_shape": [3, 32, 32], "num_classes": CLASSES, "head": head}
    found = build({**arguments, **({"precision": precision} if precision == "bfloat16" else {})}).to(device)
    for buffer, values in zip((found.standardize.mean, found.standardize.std), (MEAN, STD), strict=True):
        buffer.copy_(torch.tensor(values))
    return found


def ours(precision: str, device: str, *, compiled: bool = False) -> Stepper:
    data = pool().to(device)
    counts = lt.profiles.long_tail(5000, CLASSES, 100)
    learner = SupervisedLearner(network(precision, device), lt.losses.LDAMLoss(counts).to(device))
    if compiled:
        learner.network.body.compile(mode="reduce-overhead", dynamic=False)
    optimizer, update, watch = LDAM.make_optimizer(learner.trainable()), Descend(), EpochMonitor(CLASSES, device)
    batches = endless(data)

    def step() -> None:
        batch = next(batches)
        watch.note(update(learner, batch, optimizer, 0.5), batch)

    return step


def floor(precision: str, device: str) -> Stepper:
    data = pool()
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


def plain(precision: str, device: str) -> Stepper:
    data = pool()
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


def evaluation(precision: str, device: str) -> Stepper:
    data = pool()
    predictor = Predictor(network(precision, device), data.classes, data.class_counts).to(device)
    inputs = data.inputs[:EVALUATED]

    def step() -> None:
        predictor.scores(inputs)

    return step


def plain_evaluation(precision: str, device: str) -> Stepper:
    data = pool()
    model, inputs = network(precision, device).eval(), data.inputs[:EVALUATED].to(device)

    def step() -> None:
        with torch.no_grad():
            model(inputs)

    return step


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--compile", action="store_true", help="also measure our step with a compiled network")
    given = parser.parse_args()
    device, precision = given.device, resolved("auto", "resnet32", given.device)
    variants = {
        f"floor, {precision}": Variant(partial(floor, precision)),
        f"ours, {precision}": Variant(partial(ours, precision)),
        f"ours, {precision}, memory given back": Variant(partial(ours, precision), kept=False),
        "floor, float32": Variant(partial(floor, "float32")),
        "ours, float32": Variant(partial(ours, "float32")),
        "plain DataLoader + PIL, float32": Variant(partial(plain, "float32"), kept=False),
    }
    if given.compile:
        variants[f"ours, {precision}, compiled"] = Variant(partial(ours, precision, compiled=True))
    evaluations = {
        f"evaluation, {precision}": Variant(partial(evaluation, precision)),
        f"evaluation, {precision}, memory given back": Variant(partial(evaluation, precision), kept=False),
        f"plain evaluation, {precision}": Variant(partial(plain_evaluation, precision), kept=False),
    }
    result = {"machine": facts(), "device": device, "threads": given.threads, "batch": BATCH, "variants": {}}
    print(f"ResNet-32, {device}, {given.threads} thread(s)")
    for images, group, base in (
        (BATCH, variants, f"ours, {precision}"),
        (EVALUATED, evaluations, f"evaluation, {precision}"),
    ):
        measured = measure(group, given.rounds, given.steps, given.threads, device)
        for name, timed in measured.items():
            row = timed.row(measured[base])
            if "ms" in row:
                row |= {"images_per_second": round(1000 * images / row["ms"], 3), "time_beside_ours": row.pop("ratio")}
            result["variants"][name] = row
            print(f"  {name:<40} " + ", ".join(f"{key} {value}" for key, value in row.items()))
    save(given.out, result)


if __name__ == "__main__":
    main()
