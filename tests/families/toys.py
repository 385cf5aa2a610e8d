"""The trial methods together, tiny data for each task, and a training that can be killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import semi_trials
import torch
from tests.forked import SERVER
from tests.methods.task_data import KNOWN, noisy, splits

from longtail.data import Examples
from longtail.engine import Recipe, Training, state_files
from longtail.methods import method, registry
from longtail.runs.run import Run
from longtail.runs.train import train

LEAVES = (semi_trials,)
TOYS = {key: builder for leaf in LEAVES for key, builder in leaf.METHODS.items()}
NAMES = "crt ncm recover sam ride records darp sdclr gh rwsam dnc ssp-contrast"
OURS = {key: registry.CATALOG[key] for key in NAMES.split()}
"""Methods of the catalogue that are tried like the trial methods."""
TRIALS = {**OURS, **TOYS}
RECIPE = Recipe(epochs=5, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,), "dropout": 0.1})


def images() -> Examples:
    """Rows of three classes as pictures of 8 x 8."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.repeat_interleave(torch.arange(3), torch.tensor([20, 9, 5]))
    pixels = torch.rand(len(targets), 1, 8, 8, generator=generator) + 0.2 * targets[:, None, None, None]
    return Examples(pixels, targets, ("a", "b", "c"), policy={"contrast": noisy})


SPLITS = {task: splits(task) for task in KNOWN}


def register(catalogue: dict[str, Any] = registry.CATALOG) -> None:
    catalogue.update(TOYS)


def trained(spec: str, folder: Path, **options: Any) -> Run:
    """The method trained on its task's data in this process."""
    options = {"recipe": RECIPE, "threads": 1, **options}
    return train(spec, SPLITS[method(spec).task], folder=folder, **options)


def run(spec: str, folder: Path, pause: tuple[str, int] | None = None) -> None:
    """Train with a folder, in a process of its own; pause after that stage and epoch, for the process to be killed."""
    register()

    def hook(record: dict[str, Any]) -> None:
        wait(folder.with_suffix(".paused"), pause, record)

    trained(spec, folder, on_epoch=hook)


def run_without_folder(spec: str, path: Path, pause: tuple[str, int] | None = None) -> None:
    """Train by the caller's own loop, which keeps the checkpoints; what the learner knows goes to `path` in the end."""
    register()
    found = method(spec)
    checkpoint = path.with_suffix(".checkpoint")
    resume = state_files.load(checkpoint) if checkpoint.exists() else None
    training = Training(found.stages(RECIPE), SPLITS[found.task].train, resume=resume)
    for record in training:
        state_files.save(checkpoint, training.state())
        wait(path.with_suffix(".paused"), pause, record)
    state_files.save(path, training.learner.state_dict())


def wait(marker: Path, pause: tuple[str, int] | None, record: dict[str, Any]) -> None:
    if pause == (record["stage"], record["epoch"]):
        marker.touch()
        time.sleep(600)


def finish(target: Any, *arguments: Any) -> None:
    process = SERVER.Process(target=target, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode == 0, process.exitcode


def kill(target: Any, spec: str, place: Path, pause: tuple[str, int]) -> None:
    """SIGKILL once the stage's epoch and its checkpoint are on disk."""
    process = SERVER.Process(target=target, args=(spec, place, pause))
    process.start()
    marker, deadline = place.with_suffix(".paused"), time.monotonic() + 120
    while not marker.exists():
        assert process.is_alive(), process.exitcode
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
