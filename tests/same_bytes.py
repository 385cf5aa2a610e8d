"""The bytes of every method's predictions, before and after a change that must not move them.

    python -m tests.same_bytes record before.json     # at the old commit (PYTHONPATH=old/src does)
    python -m tests.same_bytes record after.json
    python -m tests.same_bytes compare before.json after.json

Each case is a comparison of the command line, over all methods: digits, a table with categories and blanks, CIFAR's
layout, a folder of images, folds. What is recorded is a SHA-256 of every tensor of every predictions.safetensors,
under case/run/tensor. The same machine and thread count are meant: other last bits elsewhere are no change of ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from safetensors import numpy as safetensors
from tests.tiny_cifar import TINY, png, write

from longtail.cli import run
from longtail.data.read import cifar

Case = Callable[[Path], list[str]]
EVERY = ["--methods", "all", "--seeds", "1", "--val", "0.2"]


def digits(_: Path) -> list[str]:
    return ["digits", *EVERY]


def table(folder: Path) -> list[str]:
    """Numbers, categories, blanks and words in 300 rows of three classes."""
    generator = np.random.default_rng(0)
    labels = np.repeat(["common", "medium", "rare"], [200, 70, 30])
    numbers = generator.normal(size=(300, 2)) + np.linspace(0, 2, 300)[:, None]
    colours = generator.choice(["red", "green", "blue"], 300)
    lines = [
        f"{a:.4f},{'' if k % 17 == 0 else f'{b:.4f}'},{colour},{label}"
        for k, ((a, b), colour, label) in enumerate(zip(numbers, colours, labels, strict=True))
    ]
    path = folder / "table.csv"
    path.write_text("\n".join(["a,b,colour,label", *lines]))
    return [str(path), "--label", "label", *EVERY]


def folds(folder: Path) -> list[str]:
    data, *label = table(folder)[:3]
    methods = "ce,ldam-drw,cb-rs,logit-adjusted-posthoc,absgd,trees,trees-posthoc,logistic"
    return [data, *label, "--methods", methods, "--seeds", "2", "--folds", "3", "--epochs", "10"]


def images(folder: Path) -> list[str]:
    """A folder of 90 small pictures in three classes."""
    generator = np.random.default_rng(0)
    for name, count in (("cat", 50), ("dog", 25), ("lynx", 15)):
        (folder / "photos" / name).mkdir(parents=True)
        for k in range(count):
            pixels = generator.integers(0, 256, (12, 10, 3), dtype=np.uint8)
            (folder / "photos" / name / f"{k}.png").write_bytes(png(pixels))
    return [str(folder / "photos"), *EVERY, "--epochs", "3", "--size", "8"]


def rows_of_cifar(folder: Path) -> list[str]:
    """Random images in the hub's layout; every method for one epoch of ResNet-32, mirrored and shifted."""
    cifar.SOURCES["cifar10"] = TINY
    for part, per_class, seed in (("train", TINY.largest, 0), ("test", 3, 1)):
        write(folder / "cifar", part, per_class, seed=seed)
    return ["cifar10", "--data-dir", str(folder / "cifar"), "--ratio", "5", *EVERY, "--epochs", "1"]


CASES: dict[str, Case] = {
    "digits": digits,
    "table": table,
    "folds": folds,
    "images": images,
    "cifar": rows_of_cifar,
}


def record(case: str) -> dict[str, str]:
    """case/run/tensor -> SHA-256, of a comparison made now."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LONGTAIL_CACHE"] = str(folder / "cache")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = run(["compare", *CASES[case](folder), "--jobs", "1", "--out", str(folder / "out"), "--json"])
        if code != 0:
            raise SystemExit(f"{case} ended with {code}: {said.getvalue()[-2000:]}")
        return {
            f"{case}/{path.parent.relative_to(folder / 'out')}/{name}": hashlib.sha256(array.tobytes()).hexdigest()
            for path in sorted((folder / "out").rglob("predictions.safetensors"))
            for name, array in safetensors.load_file(path).items()
        }


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """One line for every tensor that is gone, new or other."""
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    other = sorted(k for k in before.keys() & after.keys() if before[k] != after[k])
    return [f"{word} {key}" for word, keys in (("gone ", gone), ("new  ", new), ("other", other)) for key in keys]


def main(verb: str, *files: str) -> None:
    if verb == "record":
        path, *cases = files
        found = {key: value for case in cases or CASES for key, value in record(case).items()}
        Path(path).write_text(json.dumps(found, indent=1))
        print(f"{len(found)} tensors")
        return
    before, after = (json.loads(Path(path).read_text()) for path in files)
    lines = differences(before, after)
    print("\n".join([*lines, f"{len(before)} tensors before, {len(after)} after, {len(lines)} differ"]))
    sys.exit(bool(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
