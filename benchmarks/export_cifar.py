"""Long-tailed CIFAR as a folder of PNG files, train/<class>/<row>.png and test/<class>/<row>.png, or as one file.

`python -m benchmarks.export_cifar --data-dir D --out FOLDER --ratio 100` writes the 12,406 training images that the
field's counts choose from CIFAR-10 (seed 0, as `longtail compare cifar10` takes them) and all 10,000 test images.
With `--out FILE.npz` they are one file of 36 MiB, which `python -m benchmarks.gpu` reads (`benchmarks/cifar_file.py`).
`--benchmark cifar10-lt-100-labeled-1500-unlabeled-3000` takes the data of `longtail reproduce` instead, for
`python -m benchmarks.semi_file` and `python -m benchmarks.reproduce_file`; in a folder, images without labels are
train/unlabeled.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import cifar_file
from longtail.comparison.benchmarks import benchmark
from longtail.data import load
from longtail.data.label_kinds import CANDIDATES
from longtail.data.read.cifar import SOURCES
from longtail.data.splits import Part


def export(name: str, data_dir: Path, out: Path, **options: Any) -> dict[str, int]:
    """Write all parts, pixel for pixel; return how many images each has. Options as of `data.load`.

    Raises:
        ValueError: the folder exists and is not empty, or images have candidate sets; or what `load` raises.
    """
    if out.suffix == ".npz":
        splits = load(name, data_dir=data_dir, **options)
        cifar_file.write(splits, out)
        parts = {part: getattr(splits, part) for part in cifar_file.PARTS}
        return {part: len(rows) for part, rows in parts.items() if rows is not None}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {str(out)!r} must be a new or an empty folder; choose another")
    splits = load(name, data_dir=data_dir, **options)
    if splits.train.kind == CANDIDATES:
        raise ValueError("--out must be a file FILE.npz for candidate sets, got a folder; end its name in .npz")
    counts = {part: write(rows, out / part) for part, rows in (("train", splits.train), ("test", splits.test))}
    if splits.unlabeled is not None:
        counts["unlabeled"] = write(splits.unlabeled, out / "train", "unlabeled")
    return counts


def write(rows: Part, folder: Path, label: str | None = None) -> int:
    """One file per row, numbered in the rows' order, in a folder per class, or all in that of one label."""
    written: Counter[str] = Counter()
    first = 0
    for images in rows.chunks(1024):
        for row, image in enumerate(images, first):
            name = rows.classes[int(rows.targets[row])] if label is None else label
            if not written[name]:
                (folder / name).mkdir(parents=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / name / f"{row:05d}.png")
            written[name] += 1
        first += len(images)
    return written.total()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--name", choices=sorted(SOURCES), default="cifar10")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with train-*.parquet and test-*.parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder, or FILE.npz")
    parser.add_argument("--ratio", type=float, default=100.0)
    parser.add_argument("--largest", type=int, help="images of the largest class (by default all of them)")
    parser.add_argument("--benchmark", help="in place of --name, --ratio and --largest: as longtail reproduce has it")
    given = parser.parse_args(arguments)
    try:
        asked = None if given.benchmark is None else benchmark(given.benchmark)
        name, options = (
            (given.name, {"ratio": given.ratio, "largest": given.largest})
            if asked is None
            else (asked.data, asked.options)
        )
        counts = export(name, given.data_dir, given.out, **options)
    except ValueError as error:
        parser.error(str(error))
    print(f"{given.out}: " + ", ".join(f"{count} {part} images" for part, count in counts.items()))


if __name__ == "__main__":
    main()
