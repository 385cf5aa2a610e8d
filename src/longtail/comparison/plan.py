"""The plan of a comparison: which runs it needs, where they stand, and which wait for another's training."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longtail.data import Splits
from longtail.data.folds import Folds
from longtail.engine import Recipe, packing, sources
from longtail.engine.run import first_difference, read_json
from longtail.methods import Method, methods
from longtail.methods.spec import folder_name

SCHEMA = 1
REFERENCE = "ce"
IDENTITY = ("data", "recipe")
METRICS = ("balanced_accuracy", "accuracy", "macro_f1")


@dataclass(frozen=True)
class Task:
    """One run: a method with a seed, in its folder."""

    spec: str
    seed: int
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether its run.json is there."""
        return (self.folder / "run.json").exists()


@dataclass(frozen=True)
class Plan:
    """Every run of a comparison, ordered by seed, so that an early stop leaves whole seeds behind.

    With `folds` every run is cross-validated, and `splits` are only one fold of them, as an example.
    """

    out: Path
    splits: Splits
    methods: tuple[Method, ...]
    seeds: tuple[int, ...]
    recipe: Recipe
    metric: str
    device: str
    folds: Folds | None = None

    @property
    def data(self) -> Splits | Folds:
        """What all runs are about: one split, or folds that every seed draws anew."""
        return self.folds or self.splits

    @property
    def store(self) -> Path:
        """Where finished stages stand for all methods."""
        return self.out / "stages"

    @property
    def tasks(self) -> list[Task]:
        """All runs, seed by seed."""
        return [
            Task(m.spec, seed, self.out / folder_name(m.key, m.spec) / f"seed-{seed}")
            for seed in self.seeds
            for m in self.methods
        ]

    def waves(self) -> tuple[list[Task], list[Task]]:
        """Unfinished runs in two waves: those that train, and those that find a training of the first wave."""
        owners: set[tuple[int, str]] = set()
        first: list[Task] = []
        second: list[Task] = []
        trainings = {m.spec: self.training(m) for m in self.methods}
        for task in self.tasks:
            training = (task.seed, trainings[task.spec])
            wave = second if training in owners else first
            owners.add(training)
            if not task.finished:
                wave.append(task)
        return first, second

    def training(self, method: Method) -> str:
        """The text of what a method trains: its stages and the recipe it is trained under."""
        recipe = method.under(self.recipe)
        return json.dumps([[stage.spec for stage in method.stages(recipe)], recipe.to_json()], sort_keys=True)

    def changes(self, spec: str) -> dict[str, Any]:
        """What a method's recipe has otherwise than the recipe that all share; empty for most."""
        common = self.recipe.to_json()
        method = next(m for m in self.methods if m.spec == spec)
        return {k: v for k, v in method.under(self.recipe).to_json().items() if v != common[k]}

    def config(self) -> dict[str, Any]:
        """What decides the comparison's identity, and the methods and seeds it holds so far."""
        return {
            "schema_version": SCHEMA,
            "data": {"name": self.data.name, "facts": self.data.facts, "hash": self.data.hash},
            "recipe": self.recipe.to_json(),
            "methods": [m.spec for m in self.methods],
            "seeds": list(self.seeds),
        }


def plan(
    splits: Splits,
    asked: Sequence[Method],
    seeds: int,
    recipe: Recipe,
    metric: str,
    out: Path,
    device: str,
    folds: Folds | None = None,
) -> Plan:
    """Say what has to run in the output folder; nothing is written.

    More methods or seeds extend a folder; other data, another recipe or other folds are refused.

    Raises:
        ValueError: the folder holds another comparison.
    """
    # the reference first: others share its training, not it theirs
    chosen = {m.spec: m for m in [*methods([REFERENCE]), *asked]}
    found = Plan(out, splits, tuple(chosen.values()), tuple(range(seeds)), recipe, metric, device, folds)
    path = out / "config.json"
    if not path.exists():
        return found
    stored = read_json(path)
    _same(out, stored, json.loads(json.dumps(found.config())))
    known = {m.spec: m for m in methods(stored["methods"], val=splits.val is not None)} | chosen
    count = max(len(stored["seeds"]), seeds)
    return replace(found, methods=tuple(known.values()), seeds=tuple(range(count)))


def claim(found: Plan) -> None:
    """Write into the output folder what it holds.

    Raises:
        ValueError: the folder cannot be written.
    """
    writable(found.out)
    try:
        packing.write_json(found.out / "config.json", found.config())
        sources.share(found.out, found.data.origin)
    except OSError as error:
        raise _refused(found.out, error) from None


def _same(out: Path, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    difference = first_difference(stored, asked, IDENTITY)
    if difference is not None:
        where, theirs, ours = difference
        raise ValueError(
            f"{out} holds another comparison: {where} is {theirs!r} there, {ours!r} was asked; "
            "choose another --out or delete the folder"
        )


def writable(out: Path) -> None:
    """Make an output folder; one that cannot be written is refused before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _refused(out, error) from None


def _refused(out: Path, error: OSError) -> ValueError:
    return ValueError(f"--out {out} cannot be written ({error.strerror}); choose another folder or free space there")
