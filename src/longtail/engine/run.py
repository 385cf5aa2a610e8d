"""A run: what one training left behind, as a folder of JSON and tensors.

config.json (what was asked), metrics.jsonl (one line per finished epoch), checkpoint/ (to go on from),
predictions.safetensors, model.safetensors with meta.json, and run.json, which is written last: a folder that
has it is finished.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import torch as safetensors
from torch import Tensor, nn

from longtail.data.origin import Place
from longtail.engine import packing, sources
from longtail.engine.predictor import Predictor
from longtail.types import Record

log = logging.getLogger(__name__)

SCHEMA = 1
IDENTITY = ("method", "seed", "data", "recipe")
"""The parts of config.json that decide the result; threads, versions and device are recorded beside them."""


@dataclass(frozen=True)
class Run:
    """A finished training: its configuration, its scores, and the model behind them."""

    folder: Path
    config: dict[str, Any]
    result: dict[str, Any]
    network: nn.Module | None = None

    @classmethod
    def load(cls, folder: str | Path, network: nn.Module | None = None) -> Run:
        """Read a finished run; `network` is needed only where it was one of the user's own.

        Raises:
            ValueError: the folder holds no finished run.
        """
        path = Path(folder)
        if not (path / "run.json").exists():
            raise ValueError(f"{path} holds no finished run (no run.json); run the same command again to finish it")
        return cls(path, read_json(path / "config.json"), read_json(path / "run.json"), network)

    @property
    def scores(self) -> dict[str, Any]:
        """The flat dict of `metrics.evaluate` on the test part."""
        scores: dict[str, Any] = self.result["scores"]
        return scores

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in index order."""
        return tuple(self.config["data"]["classes"])

    @property
    def records(self) -> list[Record]:
        """The epoch records, in order."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]

    @cached_property
    def predictor(self) -> Predictor:
        """The trained model."""
        return Predictor.load(self.folder, self.network)

    def predictions(self) -> dict[str, Tensor]:
        """scores (N, C), adjusted_scores where a post-hoc rule moved them, targets and index (N,).

        `index` is the row of the data as they were read, from 0 on over all of their files, rows that were left out
        included: of a table its row, of an .npz its row over X, X_val and X_test, of digits the row of scikit-learn's
        `load_digits`, of cifar that of the test files. `sources` has the file, or the name of the image. With data
        that came as `Splits` it counts the rows of the test part.
        """
        return safetensors.load((self.folder / "predictions.safetensors").read_bytes())

    def sources(self) -> list[Place]:
        """Where each row of `predictions` stands: its file and the row there, or the path of its image.

        Raises:
            ValueError: the data came as `Splits`, or sources.json is gone or was changed.
        """
        return sources.found(self.folder, self.result.get("sources")).places(self.predictions()["index"].tolist())

    def predict(self, inputs: Any) -> list[str]:
        """Class names for rows like those of the training: a frame, features (N, D), images, a path to them."""
        from longtail.data.arrays import as_inputs

        predictor = self.predictor
        return predictor.predict(inputs if predictor.preparation is not None else as_inputs(inputs))


def owner(folder: Path) -> str:
    """What a run's stages are stored under: method and seed, and the fold where it is one of several."""
    return "/".join(folder.parts[-3 if folder.name.startswith("fold-") else -2 :])


def read_json(path: Path) -> Any:
    """A JSON file of a run.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete its folder and run the same command again") from None


def claim(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Make the folder this run's own, or go on with what it already holds.

    Returns:
        the configuration in force: the stored one where the run was begun before (it keeps its thread count).

    Raises:
        ValueError: the folder belongs to another configuration; the line names the first difference.
    """
    path = folder / "config.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        packing.write_json(path, config)
        return config
    stored: dict[str, Any] = read_json(path)
    # through JSON, so that tuples and lists compare alike
    difference = first_difference(stored, json.loads(json.dumps(config)), IDENTITY)
    if difference is not None:
        where, theirs, ours = difference
        raise ValueError(
            f"{folder} holds another configuration: {where} is {theirs!r} there, {ours!r} was asked; "
            "choose another --out or delete the folder"
        )
    return stored


def first_difference(stored: Any, asked: Any, keys: tuple[str, ...]) -> tuple[str, Any, Any] | None:
    """The first of the given keys in which two configurations differ, followed down to a plain value."""
    for key in keys:
        left, right = stored.get(key), asked.get(key)
        if left == right:
            continue
        if isinstance(left, dict) and isinstance(right, dict):
            inner = first_difference(left, right, tuple({**left, **right}))
            if inner is not None:
                return f"{key}.{inner[0]}", inner[1], inner[2]
        return key, left, right
    return None


def append_record(folder: Path, record: Record) -> None:
    """One line for one finished epoch."""
    path = folder / "metrics.jsonl"
    try:
        with open(path, "a") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def checkpoint(folder: Path) -> dict[str, Any] | None:
    """The state to go on from, with the folder's lines cut to match; None where the run begins anew.

    That is so without a checkpoint, with a damaged one, and where lines of epochs that it covers are gone. Every
    random number is derived, so beginning anew costs time and changes nothing.

    Raises:
        OSError: the checkpoint cannot be read, or the folder cannot be written.
    """
    packing.sweep(folder)
    path = folder / "checkpoint" / "state.safetensors"
    path.parent.mkdir(exist_ok=True)  # refused now rather than after an epoch
    state: dict[str, Any] | None = None
    if path.exists():
        try:
            state = dict(packing.load(path))
        except ValueError as error:
            log.warning("%s; beginning this run anew", str(error).partition(";")[0])
    if state is not None and len(_lines(folder)) < state["finished"]:
        log.warning("%s has lost lines; beginning this run anew", folder / "metrics.jsonl")
        state = None
    cut_records(folder, 0 if state is None else state["finished"])
    return state


def cut_records(folder: Path, finished: int) -> None:
    """Keep the lines of the epochs that the checkpoint covers; a later line will be written again."""
    lines = _lines(folder)
    if len(lines) != finished:
        packing.write_bytes(folder / "metrics.jsonl", "".join(f"{line}\n" for line in lines[:finished]).encode())


def _lines(folder: Path) -> list[str]:
    path = folder / "metrics.jsonl"
    return path.read_text().splitlines() if path.exists() else []
