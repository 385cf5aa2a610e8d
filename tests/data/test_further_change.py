"""Views changed further: strength 0 is the plain view, the rest is what the draws say, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.cases import cases
from tests.methods.recorded_step import copied, recording, written
from torch import Tensor

from longtail.data import Examples, MappedExamples, together
from longtail.data.further_change import FurtherChange
from longtail.data.views import Masking, by_row
from longtail.data.views.magnitudes import GradedMasking, GradedNoise, OneOperation

COUNT = 43
KINDS = {
    "images": torch.randint(256, (COUNT, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    "digits": torch.rand(COUNT, 8, 8, generator=torch.Generator().manual_seed(0)),
    "features": torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(0)),
    "table": torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(0)),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(kind: str) -> Examples:
    inputs = KINDS[kind]
    policy = {"contrast": Masking(0.3, (0, 1, 1, 2, 3))} if kind == "table" else {}
    examples = Examples(inputs, torch.arange(COUNT) % 3, ("a", "b", "c"), policy=policy)
    return examples.drawn(16, views=("contrast", "contrast"))


def strengths(value: float | Tensor) -> Tensor:
    return torch.full((COUNT,), value) if isinstance(value, float) else value


@cases("kind", KINDS)
def test_strength_0_is_the_plain_view_to_the_bit_and_strength_1_is_not(kind: str) -> None:
    plain, strength = rows(kind), torch.zeros(COUNT)
    further = FurtherChange(plain, lambda: strength, operations=2)
    for ours, theirs in zip(further.batches(0.0, generator(3)), plain.batches(0.0, generator(3)), strict=True):
        assert ours["index"].equal(theirs["index"])
        assert ours["targets"].equal(theirs["targets"])
        assert all(a.equal(b) for a, b in zip(ours["inputs"], theirs["inputs"], strict=True))
    strength = torch.ones(COUNT)  # read at the call
    for ours, theirs in zip(further.batches(0.0, generator(3)), plain.batches(0.0, generator(3)), strict=True):
        assert ours["index"].equal(theirs["index"])
        for a, b in zip(ours["inputs"], theirs["inputs"], strict=True):
            assert a.dtype == b.dtype
            assert float((a != b).flatten(1).any(1).double().mean()) > 0.4


def test_the_change_follows_from_the_kind_of_input() -> None:
    made = [FurtherChange(rows(kind), lambda: torch.zeros(COUNT)).change for kind in KINDS]
    assert made == [OneOperation(), OneOperation(), GradedNoise(), GradedMasking(sources=(0, 1, 1, 2, 3))]


@cases("random", [False, True])
def test_magnitude_and_probability_by_the_definition(random: bool) -> None:
    plain = rows("features")
    strength = torch.linspace(0, 1, COUNT)
    further = FurtherChange(plain, lambda: strength, operations=2, floor=5.0, random=random)
    for drawn in further.draws(0.0, generator(4)):
        batch, before = further.batch_of(drawn), plain.batch_of(drawn)
        u, views = drawn["further"]
        assert (u.unique().numel() > 1) == random
        for changed, view, numbers in zip(batch["inputs"], before["inputs"], views, strict=True):
            for chance, (noise,) in numbers:
                std = view.std(0, correction=0)  # of the batch as it is before this operation
                new = view.clone()
                for i, row in enumerate(drawn["index"].tolist()):
                    m = 5.0 + 25.0 * float(strength[row]) * float(u[i])
                    if float(chance[i]) < float(strength[row]):
                        new[i] = view[i] + m / 30 * std * noise[i]
                view = new
            torch.testing.assert_close(changed, view)


def test_views_and_operations_have_draws_of_their_own_but_share_u() -> None:
    further = FurtherChange(rows("images"), lambda: torch.ones(COUNT), operations=2, random=True)
    u, views = next(further.draws(0.0, generator()))["further"]
    assert u.shape == (16,)
    chances = torch.stack([chance for view in views for chance, _ in view])
    assert chances.shape == (4, 16)
    assert chances.unique().numel() == 64


def test_every_pass_of_an_epoch_of_several_has_draws_of_its_own() -> None:
    further = FurtherChange(rows("images"), lambda: torch.ones(COUNT))
    chances = [drawn["further"][1][0][0][0] for drawn in together(further, steps=4).draws(0.0, generator())]
    assert [len(chance) for chance in chances] == [16] * 4
    assert torch.cat(chances).unique().numel() == 64


def test_images_that_are_read_row_by_row_are_changed_alike_and_an_epoch_repeats() -> None:
    plain = rows("images")
    data = [(x, int(y)) for x, y in zip(plain.inputs, plain.targets, strict=True)]
    mapped = MappedExamples(data, plain.targets, plain.classes, identity="test").drawn(16, views=plain.views)
    both = [list(FurtherChange(p, lambda: torch.ones(COUNT)).batches(0.0, generator())) for p in (mapped, plain)]
    assert [len(batch["index"]) for batch in both[0]] == [16, 16, 11]
    for ours, theirs in zip(*both, strict=True):
        assert all(a.equal(b) for a, b in zip(ours["inputs"], theirs["inputs"], strict=True))


def test_one_view_and_rows_without_views_are_changed_too() -> None:
    one = replace(rows("images"), views=("contrast",))
    (batch, *_) = FurtherChange(one, lambda: torch.ones(COUNT)).batches(0.0, generator())
    assert len(batch["inputs"]) == 1
    none = replace(one, views=())
    (batch, *_) = FurtherChange(none, lambda: torch.ones(COUNT)).batches(0.0, generator())
    assert isinstance(batch["inputs"], Tensor)


@cases("kind", KINDS)
def test_a_recorded_batch_reads_the_strength_of_its_time(kind: str) -> None:
    """What a CUDA graph does: the operations of one batch again, on other numbers and strengths in the same memory."""
    strength = torch.zeros(COUNT, dtype=torch.float64)
    further = FurtherChange(rows(kind), lambda: strength, operations=2, random=True)
    first, second, _ = further.draws(0.0, generator(2))
    static = copied(first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_row, "grouped", by_row.selected)  # the way of other devices
        with recording() as recorded:
            batch = further.batch_of(static)
        assert recorded.waits == []
        written(static, second)
        strength.copy_(torch.linspace(0, 1, COUNT))
        recorded.replay()
        expected = further.batch_of(second)
    assert batch["index"].equal(second["index"])
    assert all(a.equal(b) for a, b in zip(batch["inputs"], expected["inputs"], strict=True))


def test_what_it_says_of_itself_is_that_of_the_rows() -> None:
    plain = rows("images")
    further = FurtherChange(plain, lambda: torch.zeros(COUNT))
    assert (len(further), further.steps(), further.eager) == (COUNT, 3, "")
    assert further.class_counts.equal(plain.class_counts)


@cases(("arguments", "line"), [
    ({"operations": 0}, "operations must be an integer >= 1, got 0"),
    ({"floor": 31.0}, r"floor must be in \[0, 30\], got 31.0"),
])  # fmt: skip
def test_bad_values_are_named(arguments: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        FurtherChange(rows("images"), lambda: torch.zeros(COUNT), **arguments)
