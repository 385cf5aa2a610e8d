"""No default recipe makes a method of its preset a no-op: each one moves the scores of what it is built on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cases import cases
from tests.tiny_cifar import png
from torch import Tensor

import longtail as lt
from longtail.comparison.evidence.decisions import load_decisions
from longtail.runs.run import Run

pytestmark = pytest.mark.slow
BASES = {"focal-drw": "focal", "ldam-drw": "ldam", "trees-cw": "trees", "trees-posthoc": "trees"} | {
    f"logistic-{change}": "logistic" for change in ("cw", "posthoc")
}
"""What a method changes, where that is not plain training."""
SIZES = (90, 30, 9)


def digits(folder: Path) -> dict[str, object]:
    return {"data": "digits"}


def table(folder: Path) -> dict[str, object]:
    """Three classes that overlap, numbers and a category."""
    generator = np.random.default_rng(0)
    lines = [
        f"{a:.3f},{b:.3f},{generator.choice(['red', 'green'])},{name}"
        for k, (name, count) in enumerate(zip("abc", SIZES, strict=True))
        for a, b in generator.normal(0.8 * k, 1.0, (2 * count, 2))
    ]
    path = folder / "table.csv"
    path.write_text("\n".join(["first,second,colour,label", *lines]))
    return {"data": path, "label": "label"}


def images(folder: Path) -> dict[str, object]:
    """Three classes of noise whose brightness overlaps."""
    generator = np.random.default_rng(0)
    for k, (name, count) in enumerate(zip(("cat", "dog", "lynx"), SIZES, strict=True)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(2 * count):
            pixels = generator.normal(100 + 8 * k + generator.normal(0, 6), 30, (8, 8, 3)).clip(0, 255)
            (folder / "photos" / name / f"{i}.png").write_bytes(png(pixels.astype(np.uint8)))
    return {"data": folder / "photos"}
