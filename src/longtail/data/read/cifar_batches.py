"""CIFAR in its original files, the "python version" that torchvision unpacks, in their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from longtail.data.read.cache import Decoded
from longtail.facts.trusted.pickled_arrays import read_arrays

FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
FILES = {
    ("cifar10", "train"): tuple(f"data_batch_{i}" for i in range(1, 6)),
    ("cifar10", "test"): ("test_batch",),
    ("cifar100", "train"): ("train",),
    ("cifar100", "test"): ("test",),
}
LABELS = {"cifar10": "labels", "cifar100": "fine_labels"}
CLASSES = {
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
    "cifar100": """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
        camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
        cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
        lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree
        orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
        rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
        squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
        trout tulip turtle wardrobe whale willow_tree wolf woman worm""",
}
"""The names of the classes in their order, as in batches.meta and meta."""


def original_files(name: str, part: str, data_dir: str | Path) -> list[Path]:
    """Return the original files of a part, in `data_dir` or its usual folder in it; none where one is missing."""
    for folder in (Path(data_dir), Path(data_dir) / FOLDERS[name]):
        files = [folder / file for file in FILES[name, part]]
        if all(file.is_file() for file in files):
            return files
    return []


def read_batches(name: str, files: list[Path]) -> Decoded:
    """Return the images of these files in their order.

    Raises:
        ValueError: a file that is not CIFAR's.
    """
    images, targets = [], []
    classes = CLASSES[name].split()
    for file in files:
        arrays = read_arrays(file)
        pixels, labels = arrays.get("data"), arrays.get(LABELS[name])
        if pixels is None or labels is None or pixels.shape != (len(labels), 3072):
            raise ValueError(
                f"{file.name} must hold data (N, 3072) and {LABELS[name]} (N,) for {name}, got "
                f"{', '.join(sorted(arrays)) or 'no arrays'}; check --data-dir"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(f"{file.name} must have labels in [0, {len(classes)}) for {name}; check --data-dir")
        images.append(torch.from_numpy(pixels.astype(np.uint8)).view(-1, 3, 32, 32))
        targets.append(torch.from_numpy(labels))
    return torch.cat(images), torch.cat(targets), classes
