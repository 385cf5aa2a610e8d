"""CIFAR-N: labels that people gave to the training images of CIFAR, in place of the clean ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.array_files import array_names, load_array
from longtail.facts.messages import quoted
from longtail.facts.trusted.pickled_arrays import read_arrays

CLEAN = "clean_label"
SETS = {
    "cifar10": {
        "worse": "worse_label", "aggregate": "aggre_label", "random1": "random_label1", "random2": "random_label2",
        "random3": "random_label3",
    },
    "cifar100": {"noisy": "noisy_label"},
}  # fmt: skip
"""Data -> name of a set of labels -> its array in CIFAR-10_human.pt or CIFAR-100_human.pt."""


def check_set(name: str, label: str | None) -> str:
    """Return the name of the set of labels; where there is only one, it need not be given.

    Raises:
        ValueError: no such set.
    """
    known = SETS[name]
    if label is None and len(known) == 1:
        return next(iter(known))
    if label not in known:
        raise ValueError(
            f"label (--label) must name one of the human labels of {name}, {', '.join(known)}, got {quoted(label)}; "
            f"{'worse has the most wrong ones' if 'worse' in known else 'leave it out'}"
        )
    return label


def human_labels(name: str, file: str | Path, label: str, clean: Tensor) -> Tensor:
    """Return the labels (N,) int64 of a set, for the training images in the order of `clean`.

    CIFAR-N has labels by row: row i is image i of CIFAR's original files, data_batch_1 to data_batch_5 one after the
    other (the order of torchvision's data set). The file's own clean labels say whether the images are in that order;
    the parquet files of the hub are not, so that CIFAR-N needs the original files as `data_dir`.

    Args:
        name: "cifar10" or "cifar100".
        file: CIFAR-10_human.pt, CIFAR-100_human.pt, the same dict as .npy, or its arrays as .npz. Pickles are read by
            `facts.trusted.pickled_arrays`, which calls nothing that they name.
        label: one of `SETS`.
        clean: (N,) labels of all training images.

    Raises:
        ValueError: a file without these labels or the clean ones, of another length, with labels outside of [0, C), or
            whose clean labels are not those of the images.
    """
    path, array = Path(file), SETS[name][label]
    found = {one: load_array(path, one) for one in array_names(path)} if path.suffix == ".npz" else read_arrays(path)
    for needed in (array, CLEAN):
        if needed not in found:
            raise ValueError(
                f"human labels {path.name} must hold {needed} for {name}, got {', '.join(sorted(found)) or 'no arrays'}"
                "; name CIFAR-N's file for this data set"
            )
    given, theirs = (_labels(path, found[one], one, len(clean)) for one in (array, CLEAN))
    if not torch.equal(theirs, clean):
        differing = (theirs != clean).nonzero().flatten()
        raise ValueError(
            f"human labels {path.name} are for images in the order of CIFAR's original files, and {len(differing):,} "
            f"of {len(clean):,} images have another label, the first at row {int(differing[0])}; name the folder of "
            "the original files (data_batch_1, ... or train) with data_dir (--data-dir)"
        )
    classes = int(clean.max()) + 1
    if not 0 <= int(given.min()) <= int(given.max()) < classes:
        raise ValueError(
            f"{array} of {path.name} must be in [0, {classes}), got {int(given.min())} to {int(given.max())}; name "
            "CIFAR-N's file for this data set"
        )
    return given


def _labels(path: Path, values: np.ndarray, array: str, size: int) -> Tensor:
    if values.ndim != 1 or len(values) != size or values.dtype.kind not in "iu":
        raise ValueError(
            f"{array} of {path.name} must be an integer for each of the {size:,} training images, got {values.dtype} "
            f"of shape {values.shape}; name CIFAR-N's file for this data set"
        )
    return torch.from_numpy(values.astype(np.int64))
