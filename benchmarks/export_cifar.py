"""Long-tailed CIFAR as a folder of PNG files, train/<class>/<row>.png and test/<class>/<row>.png, or as one file.

`python -m benchmarks.export_cifar --data-dir D --out FOLDER --ratio 100` writes the 12,406 training images that the
field's counts choose from CIFAR-10 (seed 0, as `longtail compare cifar10` takes them) and all 10,000 test images.
With `--out FILE.npz` they are one file of 36 MiB, which `python -m benchmarks.gpu` reads (`benchmarks/cifar_file.py`).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from PIL import Image

from benchmarks import cifar_file
from longtail.data.read.cifar import SOURCES, cifar
from longtail.data.splits import Part


def export(name: str, data_dir: Path, out: Path, ratio: float) -> dict[str, int]:
    """Write both parts, pixel for pixel; return how many images each has.

    Raises:
        ValueError: the folder exists and is not empty; or what `cifar` raises.
    """
    if out.suffix == ".npz":
        splits = cifar(name, data_dir=data_dir, ratio=ratio)
        cifar_file.write(splits, out)
        return {"train": len(splits.train), "test": len(splits.test)}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {str(out)!r} must be a new or an empty folder; choose another")
    splits = cifar(name, data_dir=data_dir, ratio=ratio)
    return {part: write(rows, out / part) for part, rows in (("train", splits.train), ("test", splits.test))}


def write(rows: Part, folder: Path) -> int:
    """One file per row, numbered in the rows' order."""
    written: Counter[str] = Counter()
    first = 0
    for images in rows.chunks(1024):
        for row, image in enumerate(images, first):
            label = rows.classes[int(rows.targets[row])]
            if not written[label]:
                (folder / label).mkdir(parents=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / label / f"{row:05d}.png")
            written[label] += 1
        first += len(images)
    return written.total()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--name", choices=sorted(SOURCES), default="cifar10")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with train-*.parquet and test-*.parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder, or FILE.npz")
    parser.add_argument("--ratio", type=float, default=100.0)
    given = parser.parse_args(arguments)
    try:
        counts = export(given.name, given.data_dir, given.out, given.ratio)
    except ValueError as error:
        parser.error(str(error))
    print(f"{given.out}: " + ", ".join(f"{count} {part} images" for part, count in counts.items()))


if __name__ == "__main__":
    main()
