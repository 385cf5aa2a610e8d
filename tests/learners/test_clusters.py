"""Clusters by direction: separate blobs are found, single rows join their nearest, and the seed decides."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from longtail.learners import clusters
from longtail.learners.clusters import clustered

DIRECTIONS = torch.eye(4)[:3]


def blobs(sizes: tuple[int, ...]) -> Tensor:
    """Rows near to a direction each, of any length."""
    generator = torch.Generator().manual_seed(0)
    rows = [DIRECTIONS[k] + 0.05 * torch.randn(size, 4, generator=generator) for k, size in enumerate(sizes)]
    return torch.cat(rows) * torch.rand(sum(sizes), 1, generator=generator).add(0.1).mul(100)


def test_separate_directions_are_the_clusters_whatever_the_lengths() -> None:
    found = clustered(blobs((30, 9, 4)), 3, seed=0)
    assert found.dtype == torch.int64
    parts = found.split([30, 9, 4])
    assert all(len(part.unique()) == 1 for part in parts)
    assert sorted(int(part[0]) for part in parts) == [0, 1, 2]


def test_the_seed_repeats_it() -> None:
    rows = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    assert clustered(rows, 5, seed=3).equal(clustered(rows, 5, seed=3))
    assert torch.get_rng_state().equal(state)


def test_a_single_row_joins_its_nearest_cluster_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    rows = torch.cat([DIRECTIONS[:1].repeat(6, 1), DIRECTIONS[1:2].repeat(5, 1), torch.tensor([[0.1, 1.0, 1.0, 0.0]])])
    with caplog.at_level(logging.WARNING):
        found = clustered(rows, 3, seed=0)
    assert found[-1] == found[-2] != found[0]
    assert sorted(found.unique().tolist()) == [0, 1]
    assert caplog.messages == ["3 clusters were asked for and 2 made: others had fewer than 2 rows"]


@pytest.mark.filterwarnings("error")
def test_few_rows_or_rows_that_are_alike_make_fewer_clusters() -> None:
    assert clustered(torch.ones(6, 3), 4, seed=0).tolist() == [0] * 6
    assert clustered(torch.zeros(3, 3), 5, seed=0).tolist() == [0] * 3
    assert clustered(torch.ones(1, 3), 5, seed=0).tolist() == [0]
    assert clustered(blobs((3, 2, 2)), 7, seed=0).bincount().min() >= 2


def test_of_many_rows_some_are_clustered_and_all_belong_to_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "FITTED", 12)
    found = clustered(blobs((30, 12, 12)), 3, seed=0)
    assert all(len(part.unique()) == 1 for part in found.split([30, 12, 12]))
