"""Batches with the random numbers of drawn features: rows as without them, numbers that follow from the epoch."""

from __future__ import annotations

import hashlib

import torch

from longtail.data import Examples
from longtail.data.generators import derived
from longtail.data.sampled import WithSamples
from longtail.data.together import together

ROWS = Examples(torch.randn(10, 3), torch.arange(10) % 2, ("a", "b")).drawn(4)
SAMPLED = WithSamples(ROWS, torch.tensor([0.25, 0.75]).double(), 6, 5)


def epoch(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_rows_are_those_without_samples() -> None:
    for one, other in zip(SAMPLED.batches(0.0, epoch(0)), ROWS.batches(0.0, epoch(0)), strict=True):
        assert one["index"].equal(other["index"])
        assert one["inputs"].equal(other["inputs"])  # type: ignore[union-attr, arg-type]
    assert len(SAMPLED) == 10
    assert SAMPLED.steps() == ROWS.steps() == 3
    assert SAMPLED.class_counts.tolist() == [5, 5]
    assert SAMPLED.eager == ROWS.eager


def test_every_batch_has_as_many_from_a_generator_of_its_own() -> None:
    start = hashlib.sha256(epoch(3).get_state().numpy().tobytes()).hexdigest()
    own = derived(epoch(3), f"samples {start}")
    classes = torch.multinomial(SAMPLED.chances, 18, replacement=True, generator=own)
    noise = torch.randn(18, 5, generator=own)
    for k, batch in enumerate(SAMPLED.batches(0.0, epoch(3))):
        assert batch["samples"][0].equal(classes[6 * k : 6 * k + 6])
        assert batch["samples"][1].equal(noise[6 * k : 6 * k + 6])


def test_epochs_and_the_passes_of_an_epoch_have_others() -> None:
    first, second = (next(SAMPLED.batches(0.0, epoch(k)))["samples"][1] for k in (0, 1))
    assert not first.equal(second)
    passes = [batch["samples"][1] for batch in together(SAMPLED, steps=6).batches(0.0, epoch(0))]
    assert len(passes) == 6
    assert not passes[0].equal(passes[3])


def test_classes_are_drawn_by_their_chances() -> None:
    many = WithSamples(ROWS, torch.tensor([0.25, 0.75]).double(), 4000, 1)
    share = torch.cat([batch["samples"][0] for batch in many.batches(0.0, epoch(0))]).double().mean()
    assert abs(float(share) - 0.75) < 5 * (0.25 * 0.75 / 12_000) ** 0.5
