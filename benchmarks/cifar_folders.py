"""Long-tailed CIFAR-10 with few labels as the folders that an engineer has: photos/train/<class>, photos/test/<class>
and, without labels, photos/train/unlabeled.

    python -m benchmarks.cifar_folders --data-dir cifar10 --out photos

writes the rows of `longtail compare cifar10 --ratio 100 --labeled 500 --unlabeled-size 4000` as PNG: 1,236 labelled
images, 9,922 without labels and 10,000 for testing. `--unlabeled-ratio 1` or `reversed`
draws the ones without labels otherwise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from longtail.data import load
from longtail.data.splits import Part


def write(part: Part, folder: Path, labels: list[str]) -> None:
    """Write the images of a part into the subfolder that `labels` names for each, numbered by row."""
    for name in set(labels):
        (folder / name).mkdir(parents=True, exist_ok=True)
    row = 0
    for chunk in part.chunks(1024):
        for image in chunk:
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / labels[row] / f"{row:05}.png")
            row += 1


def main() -> None:
    """Draw the rows, and write the three kinds of folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ratio", type=float, default=100.0)
    parser.add_argument("--labeled", type=int, default=500)
    parser.add_argument("--unlabeled-size", type=int, default=4000)
    parser.add_argument("--unlabeled-ratio")
    given = parser.parse_args()
    if given.out.exists():
        parser.error(f"--out {str(given.out)!r} must not exist; name another folder")
    ratio = given.unlabeled_ratio
    if ratio not in (None, "reversed"):
        ratio = float(ratio)

    splits = load(
        "cifar10", data_dir=given.data_dir, ratio=given.ratio, labeled=given.labeled,
        unlabeled_size=given.unlabeled_size, unlabeled_ratio=ratio,
    )  # fmt: skip
    assert splits.unlabeled is not None
    for folder, part in (("train", splits.train), ("test", splits.test)):
        write(part, given.out / folder, [splits.classes[j] for j in part.targets.tolist()])
    write(splits.unlabeled, given.out / "train", ["unlabeled"] * len(splits.unlabeled))
    counts = splits.class_counts.tolist()
    print(f"{given.out}: {counts} labelled, {len(splits.unlabeled)} without, {len(splits.test)} for testing")


if __name__ == "__main__":
    main()
