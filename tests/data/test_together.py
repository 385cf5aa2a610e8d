"""Several sources in one batch: the batches of a second sampler beside those of the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from longtail.data import Examples, together
from longtail.data.label_kinds import unlabeled
from longtail.data.together import Together
from longtail.data.views import Mixing
from longtail.sampling import PowerSampler

TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor([40, 12, 7]))
ROWS = Examples(torch.rand(59, 5, generator=torch.Generator().manual_seed(0)), TARGETS, ("a", "b", "c"), batch_size=16)


def test_a_second_source_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="second must have as many batches as the main source, 4, got 8; draw as"):
        together(ROWS, second=ROWS.drawn(8, PowerSampler(TARGETS, q=-1.0)))


def test_it_can_be_beside_other_sources() -> None:
    found = together(ROWS, second=ROWS, meta=ROWS.take(torch.arange(4)).drawn(2))
    assert isinstance(found, Together)
    for batch in found.batches(0.0, torch.Generator().manual_seed(0)):
        assert len(batch["second"]["index"]) == len(batch["index"])
        assert len(batch["meta"]["index"]) == 2
        assert not batch["second"]["index"].equal(batch["index"])  # in an order of its own


class TestMixing:
    """One pool of the rows of a batch and all views of those without labels."""

    REST = Examples(torch.rand(30, 5), unlabeled(30), ("a", "b", "c")).drawn(7, views=("weak", "strong", "strong"))

    def batches(self, mixing: Mixing | None) -> list[Any]:
        return list(together(ROWS, unlabeled=self.REST, mixing=mixing).batches(0.0, torch.Generator().manual_seed(0)))

    @pytest.mark.parametrize("by_row", [False, True])
    def test_every_batch_has_a_permutation_of_the_pool_and_shares(self, by_row: bool) -> None:
        found = self.batches(Mixing(0.75, by_row=by_row, larger=True))
        sizes = [len(batch["index"]) + 3 * 7 for batch in found]
        assert sizes == [37, 37, 37, 32]
        for size, batch in zip(sizes, found, strict=True):
            partner, share, _ = batch["mixing"]
            assert sorted(partner.tolist()) == list(range(size))
            assert share.shape == ((size,) if by_row else ())
            assert ((share >= 0.5) & (share <= 1)).all()
        assert len({tuple(batch["mixing"].partner.tolist()) for batch in found}) == 4
        assert len({batch["mixing"].share.flatten()[0].item() for batch in found}) == 4

    def test_shares_are_those_of_beta_or_the_larger_part(self) -> None:
        draw = Mixing(0.75, by_row=True)
        numbers = draw.draw(5000, (), torch.Generator().manual_seed(0))
        share = draw.pairs(numbers).share
        assert share.var().item() == pytest.approx(1 / (4 * (2 * 0.75 + 1)), rel=0.05)
        larger = replace(draw, larger=True).pairs(numbers).share
        assert larger.equal(torch.maximum(share, 1 - share))
        assert replace(draw, by_row=False).pairs(numbers).share.equal(share[0])

    def test_the_rows_are_those_without_mixing(self) -> None:
        for mixed, plain in zip(self.batches(Mixing(0.75)), self.batches(None), strict=True):
            assert "mixing" not in plain
            assert mixed["index"].equal(plain["index"])
            for ours, theirs in zip(mixed["unlabeled"]["inputs"], plain["unlabeled"]["inputs"], strict=True):
                assert ours.equal(theirs)
