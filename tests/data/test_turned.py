"""Turned images: their angle is the label, equally many of each, and everything else is as without turning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tests.cases import cases
from torch import Tensor

from longtail.data import Examples, MappedExamples
from longtail.data.turned import Turned, quarter_turns
from longtail.data.views import CropFlip

COUNT = 43


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> Examples:
    inputs = torch.randint(256, (COUNT, *shape), generator=generator(), dtype=torch.uint8)
    targets = torch.arange(COUNT) % 3
    return Examples(inputs, targets, ("a", "b", "c"), torch.rand(COUNT, generator=generator()), batch_size=16)


@cases("shape", [(8, 8), (3, 8, 8), (1, 6, 9), (5, 4)])
def test_turns_are_those_of_numpy_and_the_labels(shape: tuple[int, ...]) -> None:
    rows = images(*shape)
    quarters = quarter_turns(shape)
    assert quarters == ((0, 1, 2, 3) if shape[-1] == shape[-2] else (0, 2))
    seen = []
    for batch in Turned(rows).batches(0.0, generator(3)):
        inputs = batch["inputs"]
        assert isinstance(inputs, Tensor)
        assert inputs.dtype == torch.uint8
        for image, which, row in zip(inputs, batch["turns"].tolist(), batch["index"].tolist(), strict=True):
            turned = np.rot90(rows.inputs[row].numpy(), quarters[which], axes=(-2, -1))
            assert np.array_equal(image.numpy(), turned)
        seen.append(batch["index"])
    assert torch.cat(seen).sort().values.equal(torch.arange(COUNT))


@cases(("shape", "ways"), [((3, 8, 8), 4), ((3, 8, 6), 2)])
def test_every_turn_is_equally_frequent_in_a_batch(shape: tuple[int, ...], ways: int) -> None:
    counts = [torch.bincount(b["turns"], minlength=ways) for b in Turned(images(*shape)).batches(0.0, generator())]
    assert [int(n.sum()) for n in counts] == [16, 16, 11]
    assert all(int(n.max() - n.min()) <= 1 and len(n) == ways for n in counts)
    assert all(n.eq(16 // ways).all() for n in counts[:2])


def test_order_augmentation_and_weights_are_those_of_a_training_without_turns_and_labels_are_not_there() -> None:
    rows = replace(images(3, 8, 8), augment=CropFlip())
    for ours, theirs in zip(Turned(rows).batches(0.0, generator(5)), rows.batches(0.0, generator(5)), strict=True):
        assert ours["index"].equal(theirs["index"])
        assert ours["sample_weight"].equal(theirs["sample_weight"])
        assert "targets" not in ours
        back = [torch.rot90(x, -int(k), (-2, -1)) for x, k in zip(ours["inputs"], ours["turns"], strict=True)]
        assert torch.stack(back).equal(theirs["inputs"])  # type: ignore[arg-type]


def test_an_epoch_repeats_and_another_differs() -> None:
    def turns(seed: int) -> Tensor:
        return torch.cat([batch["turns"] for batch in Turned(images(8, 8)).batches(0.0, generator(seed))])

    assert turns(1).equal(turns(1))
    assert not turns(1).equal(turns(2))


def test_images_that_are_read_row_by_row_are_turned_alike() -> None:
    rows = images(3, 8, 8)
    data = [(x, int(y)) for x, y in zip(rows.inputs, rows.targets, strict=True)]
    mapped = MappedExamples(data, rows.targets, rows.classes, identity="test", batch_size=16)
    pairs = zip(Turned(mapped).batches(0.0, generator()), Turned(rows).batches(0.0, generator()), strict=True)
    for ours, theirs in pairs:
        assert ours["turns"].equal(theirs["turns"])
        assert ours["inputs"].equal(theirs["inputs"])  # type: ignore[union-attr,arg-type]


def test_what_it_says_of_itself_is_that_of_the_rows() -> None:
    rows = images(8, 8)
    turned = Turned(rows)
    assert (len(turned), turned.steps(), turned.eager) == (COUNT, 3, "")
    assert turned.class_counts.equal(rows.class_counts)
    function = replace(rows, augment=lambda inputs, generator: inputs)
    assert Turned(function).eager == function.eager != ""
