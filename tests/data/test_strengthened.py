"""Rows of which some get the strong view: which view a row gets stands where the rows are."""

from __future__ import annotations

import pytest
import torch

from longtail.data import Examples


@pytest.mark.parametrize("rows", [torch.tensor([True, False, True]), torch.ones(3, dtype=torch.bool)])
def test_what_is_chosen_on_the_cpu_goes_to_the_device_of_the_rows(rows: torch.Tensor) -> None:
    examples = Examples(torch.randn(3, 4), torch.arange(3), ("a", "b", "c"))
    moved = examples.to("meta").strengthened(rows)
    assert moved.view_of is not None
    assert moved.view_of.device.type == "meta"
    here = examples.strengthened(rows)
    assert here.view_of is not None
    assert here.view_of.tolist() == ([1, 0, 1] if not rows.all() else [0, 0, 0])
