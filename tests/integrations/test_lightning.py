"""Inside Lightning: progress from the module, samplers from the loader, the same weights as by hand."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import BATCH, EPOCHS, RATE, C, D, differ, drw, network, rows, same, trained_by_hand
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import longtail as lt

L = pytest.importorskip("lightning")
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*isinstance\\(treespec, LeafSpec\\).*:FutureWarning",  # lightning under torch 2.13
    "ignore:The 'train_dataloader' does not have many workers",  # not for 64 rows
    "ignore:The number of training batches .* is smaller than the logging interval",
)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # its notes on GPU, TPU and cloud logging


class Module(L.LightningModule):
    """The recipe of the guide; `seen` are the rows' targets by epoch."""

    def __init__(self, loss: lt.losses.Loss, **call: object) -> None:
        super().__init__()
        self.network, self.loss, self.call = network(), loss, call
        self.seen: dict[int, list[int]] = {}

    def on_train_epoch_start(self) -> None:
        sampler = self.trainer.train_dataloader.sampler
        if isinstance(sampler, lt.sampling.RowSampler):
            sampler.set_epoch(self.current_epoch, self.current_epoch / self.trainer.max_epochs)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        x, y = batch
        self.seen.setdefault(self.current_epoch, []).extend(y.tolist())
        return self.loss(self.network(x), y, progress=self.current_epoch / self.trainer.max_epochs, **self.call)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.network.parameters(), lr=RATE)


def fitted(module: Module, batch_size: int = BATCH, sampler: object = None, **options: object) -> Module:
    loader = DataLoader(TensorDataset(*rows()), batch_size=batch_size, sampler=sampler)
    quiet = {f"enable_{part}": False for part in ("checkpointing", "progress_bar", "model_summary")}
    options = {"max_epochs": EPOCHS, "accelerator": "cpu", "logger": False, **quiet, **options}
    L.Trainer(**options).fit(module, loader)
    return module


def test_deferred_weights_train_to_the_weights_of_a_loop_by_hand() -> None:
    module = fitted(Module(drw()))
    same(module.network, trained_by_hand())
    assert list(module.state_dict()) == [*(f"network.{k}" for k in trained_by_hand()), "loss.class_counts"]


def test_accumulation_is_the_big_batch_when_losses_are_divided_by_the_batch() -> None:
    """Lightning takes the mean of k equal micro-batches, which only "batch" makes the mean of all."""
    fitted_by = {n: fitted(Module(drw(), normalize=n), 4, accumulate_grad_batches=4) for n in ("batch", "weights")}
    same(fitted_by["batch"].network, trained_by_hand("batch"))
    assert differ(fitted_by["weights"].network, trained_by_hand("weights"))


def test_a_balanced_sampler_draws_each_epoch_as_it_does_alone() -> None:
    targets = rows()[1]
    seen = fitted(Module(drw()), sampler=lt.sampling.ClassBalancedSampler(targets, seed=5)).seen
    alone = lt.sampling.ClassBalancedSampler(targets, seed=5)
    for epoch in range(EPOCHS):
        alone.set_epoch(epoch)
        assert seen[epoch] == targets[list(alone)].tolist()
    assert len({tuple(drawn) for drawn in seen.values()}) == EPOCHS


def test_a_deferred_sampler_takes_over_where_progress_says() -> None:
    targets = rows()[1]
    sampler = lt.sampling.Deferred(lt.sampling.ClassBalancedSampler(targets), at=0.5)
    seen = fitted(Module(drw()), sampler=sampler).seen
    rare = [drawn.count(2) for drawn in seen.values()]
    assert rare[:2] == [4, 4]
    assert min(rare[2:]) > 12


def test_a_deferred_sampler_is_never_silently_off() -> None:
    """Lightning itself names the epoch to a sampler, but not its progress."""

    class Forgetful(Module):
        def on_train_epoch_start(self) -> None: ...

    sampler = lt.sampling.Deferred(lt.sampling.ClassBalancedSampler(rows()[1]), at=0.5)
    with pytest.raises(TypeError, match=r"Deferred needs progress; .*, or set sampler\.epochs once"):
        fitted(Forgetful(drw()), sampler=sampler)


WITH_WORKERS = """
from test_lightning import DataLoader, L, Module, TensorDataset, drw, lt, rows
sampler = lt.sampling.Deferred(lt.sampling.ClassBalancedSampler(rows()[1]), at=0.5)
loader = DataLoader(TensorDataset(*rows()), batch_size=16, sampler=sampler, num_workers=1)
L.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False).fit(Module(drw()), loader)
"""


@pytest.mark.slow
def test_nor_with_workers_which_fetch_before_the_hook() -> None:
    """In a process of its own: a loader that fails while it starts its workers leaves them half closed."""
    ended = subprocess.run(
        [sys.executable, "-c", WITH_WORKERS], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "TypeError: Deferred needs progress" in ended.stderr


@pytest.mark.slow
def test_with_workers_once_the_sampler_knows_the_length() -> None:
    knowing = WITH_WORKERS.replace("loader =", "sampler.epochs = 2\nloader =")
    ended = subprocess.run(
        [sys.executable, "-c", knowing], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_a_checkpoint_brings_the_counts_of_the_loss(tmp_path: Path) -> None:
    loader = DataLoader(TensorDataset(*rows()), batch_size=BATCH)
    quiet = {f"enable_{part}": False for part in ("progress_bar", "model_summary")}
    options = {"accelerator": "cpu", "logger": False, "default_root_dir": tmp_path, **quiet}
    first = L.Trainer(max_epochs=2, **options)
    first.fit(Module(drw()), loader)
    first.save_checkpoint(f"{tmp_path}/last.ckpt")
    other = Module(lt.losses.LDAMLoss([1, 2, 3]))
    other.load_state_dict(torch.load(f"{tmp_path}/last.ckpt", weights_only=False)["state_dict"])
    z, y = network()(torch.randn(4, D)), torch.arange(4) % C
    assert torch.equal(other.loss(z, y), lt.losses.LDAMLoss((48, 12, 4))(z, y))
