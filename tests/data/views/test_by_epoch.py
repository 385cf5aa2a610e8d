"""Random numbers of augmentation are drawn for the whole epoch, and used without waiting for a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from tests.methods.recorded_step import recording
from torch import Tensor

from longtail.data import Examples, together
from longtail.data.label_kinds import unlabeled
from longtail.data.views import Contrast, CropFlip, InTurn, InUint8, Masking, Noise, RandAugment, rand_augment, types
from longtail.data.views.policies import image_policy
from longtail.data.views.types import Augmentation, each

PIXELS = torch.randint(0, 256, (70, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CASES: dict[str, tuple[Augmentation, Tensor]] = {
    "crop": (CropFlip(pad=2), PIXELS),
    "contrast": (Contrast(), PIXELS),
    "contrast of floats": (Contrast(), PIXELS / 255),
    "contrast of grey": (Contrast(), PIXELS[:, 0]),
    "byol 2": (image_policy(None)["contrast-byol-2"], PIXELS),
    "strong": (image_policy(CropFlip(pad=2))["strong"], PIXELS),
    "strong of floats": (image_policy(None)["strong"], PIXELS[:, 0] / 255),
    "masking": (Masking(sources=(0, 1, 1, 2)), torch.randn(70, 4)),
    "noise": (Noise(), torch.randn(70, 4)),
}


@dataclass(frozen=True)
class Counting(CropFlip):
    calls: list[int] = field(default_factory=list)

    def draw(self, rows: int, shape: Sequence[int], generator: torch.Generator) -> Any:
        self.calls.append(rows)
        return super().draw(rows, shape, generator)


def examples(augment: Any = None, size: int = 16, **more: Any) -> Examples:
    return Examples(PIXELS, torch.arange(70) % 2, ("a", "b"), augment=augment, batch_size=size, **more)


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", CASES)
class TestEveryAugmentation:
    def test_waits_for_nothing(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rand_augment, "grouped", rand_augment.selected)  # the way of other devices
        way, inputs = CASES[name]
        numbers = way.draw(70, inputs.shape[1:], seeded())
        with recording() as recorded:
            way.apply(inputs, numbers)
        assert recorded.waits == []

    def test_uses_no_number_of_the_cpu_on_another_device(self, name: str) -> None:
        way, inputs = CASES[name]
        numbers = each(way.draw(70, inputs.shape[1:], seeded()), lambda values: values.to("meta"))
        changed = way.apply(inputs.to("meta"), numbers)
        assert (changed.shape, changed.dtype) == (inputs.shape, inputs.dtype)

    def test_draws_numbers_whose_rows_can_be_cut_into_batches(self, name: str) -> None:
        way, inputs = CASES[name]
        sizes: list[int] = []
        each(way.draw(9, inputs.shape[1:], seeded()), lambda values: sizes.append(len(values)) or values)
        assert set(sizes) == {9}


def test_one_result_of_all_operations_chosen_is_that_of_each_images_own() -> None:
    chosen, share = RandAugment(1).draw(70, PIXELS.shape[1:], seeded())
    ways = [way(PIXELS, chosen[:, 0], share[:, 0]) for way in (rand_augment.grouped, rand_augment.selected)]
    assert ways[0].equal(ways[1])
    assert len(chosen.unique()) == len(rand_augment.POOL)


def test_an_epoch_draws_once_after_its_order() -> None:
    way = Counting(pad=2)
    batches = list(examples(way).batches(0.0, seeded()))
    assert way.calls == [70]
    generator = seeded()
    order = torch.randperm(70, generator=generator)
    corners, mirrored = CropFlip(pad=2).draw(70, PIXELS.shape[1:], generator)
    assert torch.cat([batch["index"] for batch in batches]).equal(order)
    changed = CropFlip(pad=2).apply(PIXELS[order], (corners, mirrored))
    assert torch.cat([batch["inputs"] for batch in batches]).equal(changed)


def test_a_long_epoch_draws_for_some_whole_batches_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "ROWS_AT_ONCE", 40)
    way = Counting(pad=2)
    assert [len(batch["index"]) for batch in examples(way).batches(0.0, seeded())] == [16, 16, 16, 16, 6]
    assert way.calls == [32, 32, 6]


def test_batches_are_made_of_what_was_drawn() -> None:
    rest = replace(examples(), targets=unlabeled(70)).drawn(32, views=("weak", "strong", "plain"))
    data = together(examples(CropFlip(pad=2)), unlabeled=rest, steps=7)
    drawn = list(data.draws(0.0, seeded()))
    again = [data.batch_of(part) for part in drawn]
    assert len(again) == 7
    for ours, theirs in zip(again, data.batches(0.0, seeded()), strict=True):
        assert ours["inputs"].equal(theirs["inputs"])
        assert all(a.equal(b) for a, b in zip(ours["unlabeled"]["inputs"], theirs["unlabeled"]["inputs"], strict=True))


def test_a_plain_function_gets_a_generator_of_its_own_in_every_batch() -> None:
    def noisy(inputs: Tensor, generator: torch.Generator) -> Tensor:
        return inputs.float() + torch.rand(len(inputs), 1, 1, 1, generator=generator)

    first, again, other = (
        [batch["inputs"] for batch in examples(noisy).batches(0.0, seeded(seed))] for seed in (1, 1, 2)
    )
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not first[0].equal(other[0])
    batches = list(examples(noisy).batches(0.0, seeded()))
    numbers = [(batch["inputs"] - PIXELS[batch["index"]])[:, 0, 0, 0] for batch in batches]
    assert not numbers[0].equal(numbers[1])
    both = InTurn((CropFlip(pad=2), InUint8(lambda images, generator: 255 - images)))
    assert both(PIXELS, seeded()).equal(255 - CropFlip(pad=2)(PIXELS, seeded()))
    assert "augmentation noisy is a function" in together(examples(CropFlip()), meta=examples(noisy)).eager
    assert "a function" in both.eager
    assert together(examples(CropFlip()), meta=examples()).eager == ""
