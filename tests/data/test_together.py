"""Several sources in one batch: the batches of a second sampler beside those of the first."""

from __future__ import annotations

import pytest
import torch

from longtail.data import Examples, together
from longtail.data.together import Together
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
