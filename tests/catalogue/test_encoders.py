"""What trains an encoder: its batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.cases import cases
from torch import nn

from longtail.catalogue.encoders import without_single_rows
from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.methods import method


@pytest.mark.parametrize("rows", range(2, 40))
def test_no_batch_has_one_row_and_none_is_larger_than_it_must_be(rows: int) -> None:
    for size in range(2, 45):
        found = without_single_rows(size, rows)
        assert rows % found != 1
        assert all(rows % other == 1 for other in range(size, found))
    assert without_single_rows(8, 1) == 8


def normed(num_classes: int) -> nn.Module:
    """A network that cannot train on a batch of one row."""
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, num_classes))


@cases(
    "spec", ["simclr", "moco(queue=16)", "supcon", "bcl", "sdclr(base='moco(queue=16)')", "dnc(base='moco(queue=16)')"]
)
def test_a_last_row_joins_the_batches_before_it(spec: str) -> None:
    rows = Examples(torch.randn(17, 4), torch.arange(17) % 3, ("a", "b", "c"))
    recipe = Recipe(epochs=10, batch_size=8, lr=0.1).with_network(normed, rows)
    stages = [stage for stage in method(spec).stages(recipe) if stage.name != "probe"]
    data: Any = stages[0].build(TrainingSet(rows), None).data
    assert [len(batch["index"]) for batch in data.batches(0.0, torch.Generator().manual_seed(0))] == [9, 8]
    training = Training(stages, TrainingSet(rows))
    assert sum(stage.epochs for stage in stages) == len(list(training))
