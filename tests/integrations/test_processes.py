"""Two processes under gloo: their samplers share one draw, and their averaged gradients are the single process's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tiny import CLOSE, EPOCHS, RATE, C, drw, network, rows
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

import longtail as lt

WORLD, BATCH = 2, 8
PER_EPOCH = 61  # uneven: the ranks get 31 and 30 rows
pytestmark = pytest.mark.slow


def sampler_of(targets: Tensor, rank: int = 0, world_size: int = 1, size: int = PER_EPOCH) -> lt.sampling.RowSampler:
    return lt.sampling.ClassBalancedSampler(targets, num_samples=size, seed=7, rank=rank, world_size=world_size)


def process(rank: int, folder: str) -> None:
    """Write down what this rank drew in two epochs, and the weights after a training together."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORLD)
    try:
        inputs, targets = rows()
        sampler = sampler_of(targets, rank, WORLD)
        drawn = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            drawn.append(list(sampler))
        Path(folder, f"drawn-{rank}.json").write_text(json.dumps(drawn))
        model = DistributedDataParallel(network())
        sampler = sampler_of(targets, rank, WORLD, len(targets))
        loader = DataLoader(TensorDataset(inputs, targets), batch_size=BATCH, sampler=sampler)
        train(model, loader, sampler, BATCH)
        torch.save(model.module.state_dict(), f"{folder}/weights-{rank}.pt")
    finally:
        dist.destroy_process_group()


def train(model: torch.nn.Module, loader: DataLoader, sampler: lt.sampling.RowSampler, share: int) -> None:
    """The ranks' gradients are averaged, so each divides by its share of the global batch."""
    loss, optimizer = drw(), torch.optim.SGD(model.parameters(), lr=RATE)
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            loss(model(x), y, progress=epoch / EPOCHS, normalize=share).backward()
            optimizer.step()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(process, (str(made),), nprocs=WORLD)
    return made


def test_the_union_of_the_ranks_is_the_draw_of_one_process(folder: Path) -> None:
    shares = [json.loads((folder / f"drawn-{rank}.json").read_text()) for rank in range(WORLD)]
    alone = sampler_of(rows()[1])
    for epoch in range(2):
        alone.set_epoch(epoch)
        whole = list(alone)
        assert [len(share[epoch]) for share in shares] == [31, 30]
        for rank, share in enumerate(shares):
            assert share[epoch] == whole[rank::WORLD]
    assert shares[0][0] != shares[0][1]
    assert set(rows()[1][whole].tolist()) == set(range(C))


def test_training_together_is_training_alone_on_the_global_batch(folder: Path) -> None:
    inputs, targets = rows()
    model, sampler = network(), sampler_of(targets, size=len(targets))
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=WORLD * BATCH, sampler=sampler)
    train(model, loader, sampler, WORLD * BATCH)
    for rank in range(WORLD):
        together = torch.load(folder / f"weights-{rank}.pt", weights_only=True)
        torch.testing.assert_close(together, dict(model.state_dict()), **CLOSE)
