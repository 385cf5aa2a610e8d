"""A run: what one training left behind, as a folder of JSON and tensors.

config.json (what was asked), metrics.jsonl (one line per finished epoch), checkpoint/ (to go on from),
predictions.safetensors, model.safetensors with meta.json, and run.json, which is written last: a folder that
has it is finished.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import torch as safetensors
from torch import Tensor, nn

from longtail.data.origin import Place
from longtail.engine import state_files
from longtail.facts import json_documents
from longtail.facts.json_documents import DamagedError, OutdatedError
from longtail.facts.types import Record
from longtail.runs import manifest, sources
from longtail.runs.journal import STATE
from longtail.runs.manifest import CONFIG, LINES, PREDICTIONS, RUN
from longtail.runs.predictor import Predictor

log = logging.getLogger(__name__)

IDENTITY = ("method", "seed", "data", "recipe")
"""The parts of config.json that decide the result; threads, versions and device are recorded beside them."""


class ForeignError(ValueError):
    """A run folder that belongs to another configuration."""


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

        Every file of the run is checked, and the scores are computed from its predictions anew.

        Raises:
            ValueError: the folder holds no finished run, or one that is damaged, changed or of another version.
        """
        path = Path(folder)
        if not (path / RUN).exists():
            raise ValueError(f"{path} holds no finished run (no run.json); run the same command again to finish it")
        return cls(path, *manifest.read(path), network)

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
        return json_documents.read_lines(self.folder / LINES, manifest.WAY_OUT)

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
        return safetensors.load((self.folder / PREDICTIONS).read_bytes())

    def sources(self) -> list[Place]:
        """Where each row of `predictions` stands: its file and the row there, or the path of its image.

        Raises:
            ValueError: the data came as `Splits`, or sources.json is gone or was changed.
        """
        return sources.load_origin(self.folder, self.result.get("sources")).places(self.predictions()["index"].tolist())

    def predict(self, inputs: Any) -> list[str]:
        """Class names for rows like those of the training: a frame, features (N, D), images, a path to them."""
        from longtail.data.read.arrays import as_inputs

        predictor = self.predictor
        return predictor.predict(inputs if predictor.preparation is not None else as_inputs(inputs))


def owner(folder: Path) -> str:
    """What a run's stages are stored under: method and seed, and the fold where it is one of several."""
    return "/".join(folder.parts[-3 if folder.name.startswith("fold-") else -2 :])


def finished_run(folder: Path, config: Mapping[str, Any]) -> Run | None:
    """The finished run of this configuration in a folder, or None where it is not finished.

    Raises:
        DamagedError: it is finished and cannot be believed.
        ValueError: the folder belongs to another configuration.
    """
    if (known := _readable(folder)) is not None:
        _same(folder, known, config)
    return Run.load(folder) if (folder / RUN).exists() else None


def standing(folder: Path, config: Mapping[str, Any], *, mend: bool) -> Run | None:
    """As `found`, with None for a damaged run too; `mend`, where the folder is held, says so and reopens it."""
    try:
        return finished_run(folder, config)
    except DamagedError as error:
        if mend:
            log.warning("%s; running it again", error.reason)
            reopen(folder, error)
        return None


def reopen(folder: Path, error: DamagedError) -> None:
    """Make a finished run an unfinished one, so that it is run again; what is sound is gone on from."""
    # of an old one nothing tells whether it is whole
    gone = (RUN, CONFIG, STATE) if isinstance(error, OutdatedError) else (RUN,)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    for fold in sorted(folder.glob("fold-*/run.json")):
        try:
            manifest.checked(fold.parent)
        except DamagedError as inner:
            if inner.reason != error.reason and not isinstance(inner, OutdatedError):
                log.warning("%s; running it again", inner.reason)
            reopen(fold.parent, inner)


def claim(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Make the folder this run's own, or go on with what it already holds; a damaged config.json is written anew.

    Returns:
        the configuration in force: the stored one where the run was begun before (it keeps its thread count).

    Raises:
        ValueError: the folder belongs to another configuration; the line names the first difference.
    """
    if (known := _readable(folder)) is not None:
        _same(folder, known, config)
    if (folder / CONFIG).exists():
        try:
            return manifest.configuration(folder)
        except DamagedError as error:
            log.warning("%s; beginning this run anew", error.reason)
            reopen(folder, error)
    folder.mkdir(parents=True, exist_ok=True)
    state_files.write_json(folder / CONFIG, json_documents.sealed(config))
    return config


def _readable(folder: Path) -> dict[str, Any] | None:
    """A configuration that tells whose the folder is: a sound one, or one of a time without checksums."""
    try:
        return manifest.configuration(folder)
    except OutdatedError:
        old = json_documents.read(folder / CONFIG, manifest.WAY_OUT)
        return (
            old
            if json_documents.misfit(old, {"method": str, "seed": int, "data": dict, "recipe": dict}) is None
            else None
        )
    except DamagedError:
        return None


def _same(folder: Path, stored: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    # through JSON, so that tuples and lists compare alike
    difference = first_difference(stored, json.loads(json.dumps(config)), IDENTITY)
    if difference is not None:
        where, theirs, ours = difference
        raise ForeignError(
            f"{folder} holds another configuration: {where} is {theirs!r} there, {ours!r} was asked; "
            "choose another --out or delete the folder"
        )


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
