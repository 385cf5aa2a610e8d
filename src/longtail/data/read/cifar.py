"""Read CIFAR-10 and CIFAR-100, made long-tailed by the field's convention, with their labels or CIFAR-N's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail.data.origin import Origin
from longtail.data.prepare.images import ImagePreparation
from longtail.data.read.cache import Decoded, decoded, images_hash
from longtail.data.read.cifar_batches import original_files, read_batches
from longtail.data.read.human_labels import human_labels
from longtail.data.read.optional_packages import online, package, silenced
from longtail.data.rows import Examples
from longtail.data.simulate import Simulation
from longtail.data.simulate.parts import hide
from longtail.data.simulate.removed_labels import Cut
from longtail.data.split.thinning import thinned
from longtail.data.splits import DATA_SEED, Splits, left_out
from longtail.data.views import CropFlip
from longtail.facts import profiles
from longtail.facts.paths import regular

SIZE = 32
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""The LDAM recipe's normalisation, CIFAR-10's statistics, on both data sets."""


@dataclass(frozen=True)
class Source:
    """The name of a data set on the hub, and what it must contain."""

    hub: str
    label: str
    classes: int
    first: str
    largest: int
    """n_max: training images of every class; the largest class has all of them."""


SOURCES = {
    "cifar10": Source("uoft-cs/cifar10", "label", 10, "airplane", 5000),
    "cifar100": Source("uoft-cs/cifar100", "fine_label", 100, "apple", 500),
}


def cifar(
    name: str,
    *,
    data_dir: str | Path | None = None,
    ratio: float = 100.0,
    profile: str = "exp",
    simulation: Simulation | None = None,
    largest: int | None = None,
    keep_cut: bool = False,
    human: tuple[str | Path, str] | None = None,
) -> Splits:
    """Return long-tailed CIFAR: the training part follows the profile, the test part is the whole balanced test set.

    Counts and subset as in the code of Cao et al. 2019: n_j = trunc(n_max ratio^(-j / (C - 1))), class by class
    the first n_j of a shuffle with NumPy's legacy generator, seed 0. Which images these are depends on the order
    of the source: only CIFAR's original files give the same subset as the authors'. `facts["images"]` is a hash of
    the chosen images that does not depend on their order.

    Args:
        name: "cifar10" or "cifar100".
        data_dir: folder with train-*.parquet and test-*.parquet, or with the original files of the python version
            (see `cifar_batches`), which go first; None asks the hub, by name, through `datasets`.
        ratio, profile: of the training part; ratio 1 keeps every image.
        largest: images of the largest class, n_max; None takes all of them (5000 and 500). SDCLR's counts are those of
            4500 and 450.
        simulation: what to hide of the labels; rows without labels may be drawn from all training images.
        keep_cut: keep the other training images as `cut_rows`.
        human: CIFAR-N's file and the set of its labels that training images get after the cut, which is by their clean
            labels; these become `truth`.

    Raises:
        ValueError: no such files, another data set, images of another size, an image that does not decode.
        ModuleNotFoundError: without longtail[data].
    """
    source = SOURCES[name]
    images, targets, classes = _part(name, source, "train", data_dir)
    test_images, test_targets, test_classes = _part(name, source, "test", data_dir)
    if classes != test_classes:
        raise ValueError(f"the test files in {data_dir} must have the classes of the training files; check --data-dir")
    if largest is not None and largest > source.largest:
        raise ValueError(
            f"largest (--largest) must be at most {source.largest} for {name}, the training images of a class, got "
            f"{largest}; lower it"
        )
    counts = profiles.profile(profile, source.largest if largest is None else largest, source.classes, ratio)
    names = tuple(classes)
    given = targets if human is None else human_labels(name, *human, targets)
    if simulation is not None and simulation.noise_first:
        rows = thinned(simulation.noisy(targets, names), names, ratio, profile, largest)
    else:
        rows = torch.from_numpy(profiles.subset(targets, counts, DATA_SEED, classes))
    train = Examples(images[rows], given[rows], names, augment=CropFlip())
    facts: dict[str, Any] = {
        "source": name,
        "ratio": float(ratio),
        "profile": profile,
        "images": images_hash(train.inputs, targets[rows]),
    }
    facts |= {} if largest is None else {"largest": int(largest)}
    test = Examples(test_images, test_targets, names)
    splits = Splits(
        name, train, test, facts=facts, preparation=ImagePreparation(SIZE),
        origin=Origin((("test-*.parquet", len(test)),)), test_rows=torch.arange(len(test)), train_rows=rows,
    )  # fmt: skip
    if human is not None:
        wrong = given[rows] != targets[rows]
        note = (
            f"labels of people ({human[1]}): {int(wrong.sum())} of {len(wrong)} are not the clean ones "
            f"({100 * float(wrong.double().mean()):.1f} %); the test part keeps its clean labels, and groups of "
            "classes are by clean counts"
        )
        splits = replace(splits, truth=targets[rows], notes=(note,), facts={**facts, "human_labels": human[1]})
    every, numbers = Examples(images, given, names, augment=CropFlip()), torch.arange(len(images))
    if simulation is None:
        return replace(splits, cut_rows=left_out(every, numbers, rows)) if keep_cut else splits
    return hide(splits, simulation, every, rows, numbers, Cut(float(ratio), profile))


def _part(name: str, source: Source, part: str, data_dir: str | Path | None) -> Decoded:
    original = original_files(name, part, data_dir) if data_dir is not None else []
    if original:
        return decoded(f"{name}-{part}", original, lambda: read_batches(name, original))
    files = _files(name, part, data_dir) if data_dir is not None else []
    if not files:
        return _decode(name, source, _open_hub(source, part), source.hub)
    return decoded(f"{name}-{part}", files, lambda: _decode(name, source, _open_files(files), str(data_dir)))


def _files(name: str, part: str, data_dir: str | Path) -> list[Path]:
    folder = Path(data_dir)
    if not folder.is_dir():
        raise ValueError(f"--data-dir {str(data_dir)!r} is not a folder; it holds train-*.parquet and test-*.parquet")
    files = sorted(folder.glob(f"{part}-*.parquet"))
    if not files:
        raise ValueError(
            f"--data-dir {str(data_dir)!r} holds no {part}-*.parquet, which {name} needs; "
            "point it at the folder with the hub's parquet files"
        )
    return [regular(file) for file in files]


def _open_files(files: list[Path]) -> Any:
    datasets = package("datasets")
    with silenced():
        try:
            return datasets.load_dataset(
                "parquet", data_files={"all": [str(f) for f in files]}, split="all", streaming=True
            )
        except Exception as error:  # whatever the parquet reader raises
            raise ValueError(_unreadable("the parquet files", str(files[0].parent), error)) from None


def _open_hub(source: Source, part: str) -> Any:
    try:
        with online():
            return package("datasets").load_dataset(source.hub, split=part, streaming=True)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # datasets has no error of its own for "no network"
        raise ValueError(
            f"{source.hub} cannot be read from the hub ({type(error).__name__}); "
            "download its parquet files and name their folder with --data-dir"
        ) from None


def _decode(name: str, source: Source, rows: Iterable[Any], where: str) -> Decoded:
    features = getattr(rows, "features", None) or {}
    if source.label not in features or "img" not in features:
        raise ValueError(
            f"{where} is not {name}: columns img and {source.label} are missing "
            f"(it has {', '.join(features) or 'none'}); check --data-dir"
        )
    classes = list(features[source.label].names)
    if len(classes) != source.classes or classes[0] != source.first:
        raise ValueError(
            f"{where} is not {name}: it has {len(classes)} classes beginning with {classes[0]!r}, not "
            f"{source.classes} beginning with {source.first!r}; check --data-dir"
        )
    images: list[torch.Tensor] = []
    targets: list[int] = []
    iterator = iter(rows)
    while (row := _next(iterator, len(images), where)) is not None:
        pixels = np.asarray(row["img"].convert("RGB"))
        if pixels.shape != (SIZE, SIZE, 3):
            raise ValueError(
                f"image {len(images)} of {where} must be {SIZE} x {SIZE}, got {pixels.shape[1]} x {pixels.shape[0]}; "
                f"this is not {name}"
            )
        images.append(torch.from_numpy(pixels.copy()))
        targets.append(row[source.label])
    if not images:
        raise ValueError(f"{where} holds no image; download its parquet files again")
    return torch.stack(images).permute(0, 3, 1, 2).contiguous(), torch.tensor(targets), classes


def _next(iterator: Any, index: int, where: str) -> Any:
    try:
        return next(iterator, None)
    except Exception as error:  # damaged parquet and damaged images raise whatever their readers raise
        raise ValueError(_unreadable(f"image {index}", where, error)) from None


def _unreadable(what: str, where: str, error: Exception) -> str:
    reason = (str(error).splitlines() or [""])[0][:80]
    return f"{what} of {where} cannot be read ({type(error).__name__}: {reason}); download the files again"
