"""No default recipe makes a method of its preset a no-op: each one moves the probabilities of what it is built on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from tests.tiny_cifar import png
from torch import Tensor

import longtail as lt
from longtail.methods import PRESETS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]
BASES = {
    "ldam": "ldam(max_margin=0.0)", "ldam-drw": "ldam", "focal-drw": "focal", "trees-cw": "trees",
    "trees-posthoc": "trees", "logistic-cw": "logistic", "logistic-posthoc": "logistic",
}  # fmt: skip
"""What a method changes, where that is not plain training."""
MOVED = 0.005
"""Mean total variation of the probabilities of a test row; on the table below ce-drw and ce-drs have 0.004 at most
under drops of 100x, and 0.02 under a cosine."""
SIZES = (300, 100, 30)


def digits(folder: Path) -> dict[str, Any]:
    """In a few of the default's epochs, here and below: what moves the probabilities in these moves them in more."""
    return {"data": "digits", "epochs": 15}


def table(folder: Path) -> dict[str, Any]:
    """Three classes that overlap; eight numbers and a category."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], SIZES)
    numbers = generator.normal(size=(len(labels), 8))
    numbers[np.arange(len(labels)), labels] += 1.5
    colours = generator.choice(["red", "green"], len(labels))
    lines = [
        ",".join([*(f"{x:.4f}" for x in row), colour, "abc"[label]])
        for row, colour, label in zip(numbers, colours, labels, strict=True)
    ]
    path = folder / "table.csv"
    path.write_text("\n".join([",".join([*(f"x{i}" for i in range(8)), "colour", "label"]), *lines]))
    return {"data": path, "label": "label", "epochs": 10}


def images(folder: Path) -> dict[str, Any]:
    """Three classes of noise whose brightness overlaps; a narrow network."""
    generator = np.random.default_rng(0)
    for k, (name, count) in enumerate(zip(("cat", "dog", "lynx"), SIZES, strict=True)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = generator.normal(100 + 8 * k + generator.normal(0, 6), 30, (8, 8, 3)).clip(0, 255)
            (folder / "photos" / name / f"{i}.png").write_bytes(png(pixels.astype(np.uint8)))
    return {"data": folder / "photos", "epochs": 10, "model_args": {"width": 4}}


def moved(folder: Path, methods: list[str], *, base: str = "ce", **options: Any) -> dict[str, float]:
    """Method -> mean total variation between its probabilities and its base's, one seed each."""
    bases = {m: BASES.get(m.split("(")[0], base) for m in methods if m not in ("ce", "logistic", "trees")}
    specs = dict.fromkeys([base, *methods, *bases.values()])
    result = lt.compare(methods=list(specs), seeds=1, jobs=1, out=folder / "runs", **options)
    assert not result.summary["failed"]
    probabilities: dict[str, Tensor] = {}
    for row in result.rows:
        arrays = load_file(folder / "runs" / row["runs"][0]["folder"] / "predictions.safetensors")
        probabilities[row["method"]] = arrays.get("adjusted_scores", arrays["scores"]).softmax(1)
    by_spec = {spec: probabilities[lt.method(spec).spec] for spec in specs}
    return {m: float((by_spec[m] - by_spec[b]).abs().sum(1).mean() / 2) for m, b in bases.items()}


@pytest.mark.parametrize("make", [digits, table, images])
def test_every_method_of_the_preset_moves_the_probabilities_of_its_base(
    make: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    presets = [*PRESETS.keys["quick"], *(PRESETS.keys["estimators"] if make is table else ())]
    methods = [*(m for m in presets if lt.method(m).task == "supervised"), "focal-drw"]
    shares = moved(tmp_path, methods, **make(tmp_path))
    assert not {method: share for method, share in shares.items() if share < MOVED}


@pytest.mark.parametrize(
    ("task", "base", "options"),
    [("semi-supervised", "ce", {"labeled": 0.2, "epochs": 12}), ("partial", "cc", {"ambiguity": 0.3, "epochs": 20})],
)
def test_methods_of_other_tasks_move_the_probabilities_of_their_reference(
    task: str, base: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """In a few of the epochs, as above."""
    methods = [m for m in PRESETS.keys["quick"] if lt.method(m).task == task and m != base]
    assert methods
    shares = moved(tmp_path, methods, base=base, data="digits", **options)
    assert not {method: share for method, share in shares.items() if share < MOVED}


def test_under_drops_of_100x_deferred_methods_are_nearly_plain_training(tmp_path: Path) -> None:
    whole = table(tmp_path) | {"epochs": None}
    shares = moved(tmp_path, ["ce-drw", "ce-drs", "ce-drw(at=1.0)"], **whole, decay="steps")
    assert all(share < MOVED for share in shares.values())
    assert shares["ce-drw(at=1.0)"] == 0
