"""What SimCLR's training step costs beside its floor, and our contrastive view beside kornia's, each in one run.

The floor: ResNet-18 (stem for 32 x 32) with its projector on views that are there already: one backward pass after two
forward passes of N rows ("split"), or after one of both views, 2N rows ("joint", as our step does). The step: rows, two
views, forward, loss, backward, watch and optimiser, as `fit` runs them; "views" is what the first two take alone.
kornia's operations are those of `Contrast`, per image too, but for the order of the jitter, which kornia draws once a
batch; it is no dependency: without it (`pip install kornia` by hand) its rows are left out. Each variant has a process
of its own; they take turns; ratios are medians over rounds of the ratio within a round. Images are random.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from benchmarks.turns import Stepper, Timed, Variant, measure
from longtail.data import Examples, TrainingSet
from longtail.data.read.cifar import MEAN, STD
from longtail.data.views import Contrast
from longtail.engine import Built, Recipe
from longtail.engine.epoch_monitor import EpochMonitor
from longtail.engine.precision import resolved
from longtail.methods import method

CLASSES, ROWS, VIEWED = 10, 1024, 512
"""Classes and rows of the data; images of a batch of which views alone are made."""
Row = dict[str, Any]


def encoder(batch: int, precision: str) -> tuple[Built, Recipe]:
    """Return what SimCLR trains, as its method builds it."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8, generator=generator)
    targets = torch.randint(CLASSES, (ROWS,), generator=generator)
    data = Examples(images, targets, tuple(map(str, range(CLASSES))), batch_size=batch)
    recipe = Recipe(batch_size=batch, model="resnet18", precision=precision, standardize=(MEAN, STD))
    torch.manual_seed(0)
    return method("simclr").stages(recipe)[0].build(TrainingSet(data), None), recipe


def endless(built: Built) -> Iterator[Any]:
    """Batches with their views, of one epoch after another."""
    generator = torch.Generator().manual_seed(1)
    while True:
        yield from built.data.batches(0.5, generator)


def simclr_step(batch: int, precision: str, device: str) -> Stepper:
    built, recipe = encoder(batch, precision)
    batches, watch = endless(built), EpochMonitor(CLASSES, device)
    optimizer = recipe.make_optimizer(built.learner.trainable())

    def step() -> None:
        rows = next(batches)
        watch.note(built.update(built.learner, rows, optimizer, 0.5), rows)

    return step


def views_alone(batch: int, device: str) -> Stepper:
    batches = endless(encoder(batch, "float32")[0])
    return lambda: done(next(batches))


def floor(batch: int, precision: str, device: str, *, passes: int) -> Stepper:
    built, _ = encoder(batch, precision)
    model: Any = built.learner.get_submodule("network")
    views = torch.cat(next(endless(built))["inputs"])
    inputs = model.standardize(views).contiguous(memory_format=torch.channels_last).chunk(passes)
    half = precision == "bfloat16"

    def step() -> None:
        model.zero_grad(set_to_none=True)
        z = []
        for x in inputs:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
                features = model.body(x)
            z.append(model.head(features.float()))
        torch.cat(z).square().mean().backward()

    return step


def our_view(dtype: torch.dtype, device: str) -> Stepper:
    images, generator, contrast = pictures(dtype), torch.Generator().manual_seed(0), Contrast()
    return lambda: done(contrast(images, generator))


def kornia_view(device: str, *, cropping: str) -> Stepper:
    from kornia import augmentation

    images = pictures(torch.float32)
    change = augmentation.AugmentationSequential(
        augmentation.RandomResizedCrop((32, 32), scale=(0.1, 1.0), ratio=(3 / 4, 4 / 3), cropping_mode=cropping),
        augmentation.RandomHorizontalFlip(p=0.5),
        augmentation.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        augmentation.RandomGrayscale(p=0.2),
        data_keys=["input"],
    )
    return lambda: done(change(images))


def pictures(dtype: torch.dtype) -> Tensor:
    images = torch.randint(0, 256, (VIEWED, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    return images.to(torch.uint8) if dtype == torch.uint8 else images.float() / 255


def done(made: object) -> None:
    """Drop what was made."""


def row(timed: Timed, base: Timed) -> Row:
    """Return median and least milliseconds, and ratios to another variant: within rounds, and of the least times."""
    if not timed.seconds or not base.seconds:
        return {"error": timed.error or base.error}
    return {
        "ms": round(1000 * median(timed.seconds), 2),
        "min_ms": round(1000 * min(timed.seconds), 2),
        "ratio": round(median(timed.ratios(base)), 3),
        "min_ratio": round(min(timed.seconds) / min(base.seconds), 3),
    }


def timed_rows(variants: dict[str, Variant], base: str, rounds: int, steps: int, threads: int) -> dict[str, Row]:
    """Measure variants in turn, print them, and return their rows."""
    found = measure(variants, rounds, steps, threads, "cpu")
    rows = {name: row(timed, found[base]) for name, timed in found.items()}
    for name, values in rows.items():
        print(f"  {name:<34} " + ", ".join(f"{key} {value}" for key, value in values.items()), flush=True)
    return rows


def main() -> None:
    parser = argument_parser(__doc__, "contrast.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32, help="rows N; a step sees 2N images")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1, help="of a turn")
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": facts(), "threads": given.threads, "batch": given.batch, "step": {}}
    for precision in dict.fromkeys(("float32", resolved("auto", "resnet18", "cpu"))):
        print(f"SimCLR, ResNet-18, N = {given.batch}, {precision}, {given.threads} thread(s)")
        variants = {
            "floor, split": Variant(partial(floor, given.batch, precision, passes=2)),
            "floor, joint": Variant(partial(floor, given.batch, precision, passes=1)),
            "step": Variant(partial(simclr_step, given.batch, precision)),
            "views": Variant(partial(views_alone, given.batch)),
        }
        rows = timed_rows(variants, "floor, joint", given.rounds, given.steps, given.threads)
        if "ms" in rows["views"] and "ms" in rows["step"]:
            rows["views"]["share_of_step"] = round(rows["views"]["ms"] / rows["step"]["ms"], 4)
        result["step"][precision] = rows
    print(f"one view of {VIEWED} images of 32 x 32")
    ways = {
        "Contrast, float32": Variant(partial(our_view, torch.float32)),
        "Contrast, uint8": Variant(partial(our_view, torch.uint8)),
    }
    if find_spec("kornia") is None:
        print("  kornia is not installed, its row is left out; pip install kornia in an environment of its own")
    else:
        import kornia

        result["machine"]["kornia"] = kornia.__version__
        for cropping in ("slice", "resample"):
            ways[f"kornia, {cropping}, float32"] = Variant(partial(kornia_view, cropping=cropping))
    result["view"] = timed_rows(ways, "Contrast, float32", 2 * given.rounds, 3, given.threads)
    save(given.out, result)


if __name__ == "__main__":
    main()
