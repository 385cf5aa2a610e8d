"""Rows behind a map-style data set train to the same bytes as the same rows in memory, whoever reads them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from longtail.data import Examples, MappedExamples, Splits
from longtail.data.views import CropFlip
from longtail.engine import Recipe
from longtail.runs.train import Fit
from longtail.sampling import ClassBalancedSampler

# torch finds more readers than cores worth a warning; CI may have one core
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

NAMES = ("a", "b", "c")
TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor([40, 20, 10]))
IMAGES = torch.randint(0, 256, (70, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
RECIPE = Recipe(epochs=3, batch_size=16, lr=0.05, model="resnet32", model_args={"blocks": 1, "widths": [4, 8, 16]})


class Files:
    """A data set as torch means it: row -> (image, label); `broken` rows raise what a reader raises."""

    def __init__(self, images: Tensor = IMAGES, broken: tuple[int, ...] = (), labels: Tensor = TARGETS) -> None:
        self.images, self.broken, self.labels = images, broken, labels

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        if row in self.broken:
            raise OSError("image file is truncated\n(2 bytes not processed)")
        torch.rand(1)  # a reader that uses the global generator must not move the training's
        return self.images[row], int(self.labels[row])


def held(images: Tensor = IMAGES, **options: Any) -> Examples:
    return Examples(images, TARGETS, NAMES, batch_size=16, **options)


def mapped(dataset: Any = None, **options: Any) -> MappedExamples:
    return MappedExamples(Files() if dataset is None else dataset, TARGETS, NAMES, identity="x", batch_size=16,
                          **options)  # fmt: skip


def batches(data: Examples | MappedExamples, seed: int = 1) -> list[dict[str, Tensor]]:
    return list(data.batches(0.0, torch.Generator().manual_seed(seed)))


def same(left: list[dict[str, Tensor]], right: list[dict[str, Tensor]]) -> bool:
    return len(left) == len(right) and all(
        set(a) == set(b) and all(a[k].equal(b[k]) and a[k].dtype == b[k].dtype for k in a)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("workers", [0, 1, 2])
class TestBatchesAreThoseOfExamples:
    def test_in_order_inputs_targets_index_and_weight(self, workers: int) -> None:
        weight = torch.rand(70)
        assert same(batches(mapped(workers=workers, sample_weight=weight)), batches(held(sample_weight=weight)))

    def test_with_augmentation_from_the_same_generator(self, workers: int) -> None:
        augment = CropFlip(pad=2)
        assert same(batches(mapped(workers=workers, augment=augment)), batches(held(augment=augment)))

    def test_with_a_sampler(self, workers: int) -> None:
        draw = ClassBalancedSampler(TARGETS)
        theirs = held().drawn(8, draw)
        assert same(batches(mapped(workers=workers).drawn(8, draw)), batches(theirs))
        assert mapped(workers=workers).drawn(8, draw).steps() == theirs.steps()

    def test_of_taken_rows_and_of_rows_taken_from_these(self, workers: int) -> None:
        first, second = torch.tensor([60, 3, 44, 10, 11, 65]), torch.tensor([5, 0, 2])
        assert same(batches(mapped(workers=workers).take(first)), batches(held().take(first)))
        assert same(batches(mapped(workers=workers).take(first).take(second)), batches(held().take(first).take(second)))

    def test_of_floats(self, workers: int) -> None:
        rows = torch.randn(70, 5, dtype=torch.float64)
        assert same(batches(mapped(Files(rows), workers=workers)), batches(held(rows.float())))

    def test_and_so_are_the_chunks(self, workers: int) -> None:
        assert torch.cat(list(mapped(workers=workers).chunks(32))).equal(IMAGES)

    def test_the_global_generator_is_left_alone(self, workers: int) -> None:
        torch.manual_seed(5)
        list(held().batches(0.0, torch.Generator()))
        expected = torch.rand(3)
        torch.manual_seed(5)
        list(mapped(workers=workers).batches(0.0, torch.Generator()))
        assert torch.rand(3).equal(expected)


def trained(part: Examples | MappedExamples, folder: Path, method: str, **changes: Any) -> bytes:
    splits = Splits("tiny", replace(part, augment=CropFlip(pad=2)), part).checked()
    fit = Fit(method, splits, recipe=replace(RECIPE, **changes), folder=folder, threads=1)
    list(fit)
    return (folder / "predictions.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ldam-drw", "cb-rs"])
@pytest.mark.parametrize(
    "changes",
    [pytest.param({}, id="resnet32"), pytest.param({"model": "convnet", "model_args": {}}, id="convnet")],
)
def test_training_ends_with_the_same_bytes(tmp_path: Path, method: str, changes: dict[str, Any]) -> None:
    expected = trained(held(), tmp_path / "memory", method, **changes)
    for workers in (0, 2):
        data = mapped(workers=workers)
        assert trained(data, tmp_path / f"workers-{workers}", method, **changes) == expected


class TestWhatCannotBeReadIsOneLine:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_row_that_does_not_decode(self, workers: int) -> None:
        with pytest.raises(
            ValueError, match=r"row 37 cannot be read \(OSError: image file is truncated\); repair"
        ) as found:
            batches(mapped(Files(broken=(37,)), workers=workers))
        assert "\n" not in str(found.value)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_row_of_a_subset_is_named_as_the_data_set_counts_it(self, workers: int) -> None:
        with pytest.raises(ValueError, match="row 37 cannot be read"):
            batches(mapped(Files(broken=(37,)), workers=workers).take(torch.tensor([1, 37])))

    def test_nan(self) -> None:
        rows = torch.randn(70, 5)
        rows[9, 2] = float("nan")
        with pytest.raises(ValueError, match="row 9 must be finite"):
            batches(mapped(Files(rows)))

    def test_another_label_than_the_targets_say(self) -> None:
        labels = TARGETS.clone()
        labels[50] = 0
        with pytest.raises(ValueError, match="row 50 has label 0, targets say 1"):
            batches(mapped(Files(labels=labels)))

    def test_another_shape_even_in_a_batch_of_its_own(self) -> None:
        class Growing(Files):
            def __getitem__(self, row: int) -> tuple[Tensor, int]:
                return torch.zeros(3, 8, 9 if row == 69 else 8), int(self.labels[row])

        with pytest.raises(
            ValueError, match=r"row 69 must be like the first, \(3, 8, 8\) torch.float32, got \(3, 8, 9\)"
        ):
            list(mapped(Growing()).chunks(1))

    def test_what_is_no_tensor(self) -> None:
        class Pictures(Files):
            def __getitem__(self, row: int) -> Any:
                return "picture", 0

        with pytest.raises(ValueError, match="row 0 must be a tensor, got str"):
            batches(mapped(Pictures()))

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.slow
    def test_a_worker_that_is_killed(self) -> None:
        class Deadly(Files):
            def __getitem__(self, row: int) -> tuple[Tensor, int]:
                if row == 37:
                    os._exit(9)
                return super().__getitem__(row)

        with pytest.raises(RuntimeError, match="worker") as found:
            batches(mapped(Deadly(), workers=2))
        assert "\n" not in str(found.value)

    def test_wrong_arguments(self) -> None:
        with pytest.raises(ValueError, match="identity must not be empty"):
            replace(mapped(), identity="")
        with pytest.raises(ValueError, match="workers must be an integer >= 0, got -1"):
            mapped(workers=-1)
        with pytest.raises(ValueError, match=r"targets must be in \[0, 2\), got 0 to 2"):
            MappedExamples(Files(), TARGETS, ("a", "b"), identity="x")


def hashed(data: MappedExamples) -> str:
    digest = hashlib.sha256()
    data.update_hash(digest)
    return digest.hexdigest()


def test_the_hash_follows_identity_rows_and_targets_and_reads_one_row() -> None:
    data = mapped(Files(broken=tuple(range(1, 70))))
    assert hashed(data) == hashed(replace(data, workers=3))
    others = [
        replace(data, identity="y"),
        data.take(torch.arange(60)),
        data.take(torch.tensor([0, *range(69, 0, -1)])),
        replace(data, targets=TARGETS.clamp(max=1)),
        replace(data, classes=("a", "b", "d")),
        replace(data, sample_weight=torch.ones(70)),
    ]
    assert len({hashed(data), *map(hashed, others)}) == 7


def test_a_loop_that_is_left_leaves_no_worker_behind() -> None:
    before = set(multiprocessing.active_children())  # other tests of this process may have workers of their own
    reading = mapped(workers=2).batches(0.0, torch.Generator())
    next(reading)
    assert len(set(multiprocessing.active_children()) - before) == 2
    reading.close()
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.parametrize("workers", [0, 2])
def test_joined_rows_are_those_of_both_without_labels(workers: int) -> None:
    first, second = torch.tensor([5, 69, 1]), torch.tensor([40, 5])
    joined = mapped(workers=workers).take(first).joined(mapped(Files(255 - IMAGES)).take(second))
    inputs = torch.cat([IMAGES[first], 255 - IMAGES[second]])
    assert (joined.kind, len(joined), joined.sample_weight) == ("none", 5, None)
    assert same(batches(joined), batches(Examples(inputs, torch.zeros(5, 0), NAMES, batch_size=16)))
    assert mapped().joined(mapped()).take(torch.tensor([139])).batch(torch.tensor([0]))["inputs"].equal(IMAGES[-1:])
