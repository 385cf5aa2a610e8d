"""A run: the folder of one training, as JSON and tensors.

config.json (what was asked), metrics.jsonl (one line per finished epoch), checkpoint/ (to resume from),
predictions.safetensors, model.safetensors with meta.json, and run.json, which is written last: a folder that
has it is finished.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import torch as safetensors
from torch import Tensor, nn

from longtail.data.origin import Place
from longtail.engine.lock import exclusive
from longtail.facts import files, json_documents
from longtail.facts.json_documents import DamagedError, OutdatedError
from longtail.facts.types import Record
from longtail.models import Factory
from longtail.runs import manifest, sources
from longtail.runs.journal import STATE
from longtail.runs.manifest import CONFIG, LINES, PREDICTIONS, RUN
from longtail.runs.predictor import Predictor

log = logging.getLogger(__name__)

IDENTITY = ("method", "classifier", "seed", "data", "recipe", "calibrate", "select")
"""The parts of config.json that decide the result; threads, versions and device are recorded beside them."""


class ForeignError(ValueError):
    """A folder that belongs to another configuration."""


@dataclass(frozen=True)
class Run:
    """A finished training: its configuration, its scores, and the model behind them."""

    folder: Path
    config: dict[str, Any]
    result: dict[str, Any]
    network: nn.Module | Factory | None = None

    @classmethod
    def load(cls, folder: str | Path, network: nn.Module | Factory | None = None) -> Run:
        """Read a finished run; to predict, `network` is needed where it was the user's own: the function that made it.

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
        """The flat dict of `metrics.evaluate` on the test part.

        Raises:
            ValueError: the model was trained on every row, so that nothing was left to score it on.
        """
        scores: dict[str, Any] | None = self.result["scores"]
        if scores is None:
            raise ValueError(
                f"the model in {self.folder} was trained on every row and has no scores; score it on new labelled "
                "rows with longtail evaluate"
            )
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
        """Return scores (N, C), adjusted_scores where there is a post-hoc rule, targets and index (N,).

        `index` is the row of the data as they were read, from 0 on over all of their files, skipped rows included: of
        a table its row, of an .npz its row over X, X_val and X_test, of digits the row of scikit-learn's
        `load_digits`, of cifar that of the test files. `sources` has the file, or the name of the image. With data
        that came as `Splits` it counts the rows of the test part.
        """
        return safetensors.load((self.folder / PREDICTIONS).read_bytes())

    def sources(self) -> list[Place]:
        """Return the source of each row of `predictions`: its file and the row in it, or the path of its image.

        Raises:
            ValueError: the data came as `Splits`, or sources.json is missing or was changed.
        """
        return sources.load_origin(self.folder, self.result.get("sources")).places(self.predictions()["index"].tolist())

    def predict(self, inputs: Any) -> list[str]:
        """Class names for rows like those of the training: a frame, features (N, D), images, a path to them."""
        from longtail.data.read.arrays import as_inputs

        predictor = self.predictor
        return predictor.predict(inputs if predictor.preparation is not None else as_inputs(inputs))


def owner(folder: Path) -> str:
    """Return the name a run's stages are stored under: method and seed, and the fold where it is one of several."""
    return "/".join(folder.parts[-3 if folder.name.startswith("fold-") else -2 :])


@contextmanager
def opened(folder: Path, config: dict[str, Any]) -> Iterator[tuple[Run | None, dict[str, Any]]]:
    """Yield the finished run of a configuration and what its config.json says; else lock the folder and claim it.

    A finished run is only read, so its folder is not locked and may be read-only. Otherwise the folder is locked
    inside, and the yield is (None, the configuration in force). A damaged run is trained again, with a warning.

    Raises:
        ValueError: the folder belongs to another configuration or is in use by another process.
        OSError: it cannot be written.
    """
    try:
        run = finished_run(folder, config)
    except DamagedError:
        run = None  # the warning follows under the lock
    if run is not None:
        yield run, run.config
        return
    with exclusive(folder):
        try:
            run = finished_run(folder, config)  # by another process in between
        except DamagedError as error:
            log.warning("%s; running it again", error.reason)
            reopen(folder, error)
        if run is None:
            files.remove_unfinished(folder)
        yield run, claim(folder, config) if run is None else run.config


def finished_run(folder: Path, config: Mapping[str, Any]) -> Run | None:
    """Return the finished run of this configuration in a folder, or None where it is not finished.

    Raises:
        DamagedError: it is finished, and a file of it is damaged.
        ValueError: the folder belongs to another configuration.
    """
    _check_configuration(folder, config)
    return Run.load(folder) if (folder / RUN).exists() else None


def reopen(folder: Path, error: DamagedError) -> None:
    """Make a damaged finished run an unfinished one, so that it is trained again from what is sound."""
    # an old one has no checksums that show what is sound
    damaged = (RUN, CONFIG, STATE) if isinstance(error, OutdatedError) else (RUN,)
    for name in damaged:
        (folder / name).unlink(missing_ok=True)
    for fold in sorted(folder.glob("fold-*/run.json")):
        try:
            manifest.verify(fold.parent)
        except DamagedError as inner:
            if inner.reason != error.reason and not isinstance(inner, OutdatedError):
                log.warning("%s; running it again", inner.reason)
            reopen(fold.parent, inner)


def claim(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Write config.json into a new folder, or read that of a run begun before; a damaged one is written anew.

    Returns:
        the configuration in force: the stored one of a run begun before (it keeps its thread count).

    Raises:
        ValueError: the folder belongs to another configuration; the line names the first difference.
    """
    _check_configuration(folder, config)
    if (folder / CONFIG).exists():
        try:
            return manifest.configuration(folder)
        except DamagedError as error:
            log.warning("%s; beginning this run anew", error.reason)
            reopen(folder, error)
    folder.mkdir(parents=True, exist_ok=True)
    json_documents.write_sealed(folder / CONFIG, config)
    return config


def _check_configuration(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise ForeignError where config.json, sound or of a version without checksums, is of another configuration."""
    try:
        stored = manifest.configuration(folder)
    except OutdatedError:
        stored = json_documents.read(folder / CONFIG, manifest.WAY_OUT)
        if json_documents.violation(stored, {"method": str, "seed": int, "data": dict, "recipe": dict}) is not None:
            return
    except DamagedError:
        return
    check_same(folder, stored, config, IDENTITY, "configuration")


def check_same(
    folder: Path, stored: Mapping[str, Any], asked: Mapping[str, Any], keys: tuple[str, ...], kind: str
) -> None:
    """Raise ForeignError where two descriptions of a `kind` differ in one of the keys; name the first difference."""
    # through JSON, so that tuples and lists compare alike
    difference = first_difference(stored, json.loads(json.dumps(asked)), keys)
    if difference is not None:
        entry, old, new = difference
        raise ForeignError(
            f"{folder} holds another {kind}: {entry} is {old!r} there, {new!r} was asked; "
            "choose another --out or delete the folder"
        )


def first_difference(stored: Any, asked: Any, keys: tuple[str, ...]) -> tuple[str, Any, Any] | None:
    """Return the first of the keys in which two configurations differ, down to a plain value, with both values."""
    for key in keys:
        old, new = stored.get(key), asked.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            inner = first_difference(old, new, tuple({**old, **new}))
            if inner is not None:
                return f"{key}.{inner[0]}", inner[1], inner[2]
        return key, old, new
    return None
