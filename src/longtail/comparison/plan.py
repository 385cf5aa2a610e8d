"""The plan of a comparison: which runs it needs, where they stand, and which wait for another's training."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longtail.catalogue.method import Method
from longtail.catalogue.spec import folder_name
from longtail.catalogue.tasks import SUPERVISED, TASKS, role
from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.facts import json_documents
from longtail.facts.json_documents import DamagedError, OutdatedError, Rule, is_list_of
from longtail.methods import added, methods
from longtail.runs import sources
from longtail.runs.run import check_same

log = logging.getLogger(__name__)

SCHEMA = 2
"""Of config.json; 1 had no checksum."""
IDENTITY = ("data", "recipe", "task")
CONFIG = "config.json"
WAY_OUT = "delete that file and run the same command again; finished runs are checked and kept"
_RULES: dict[str, Rule] = {
    "data": dict, "recipe": dict, "methods": is_list_of(str),
    "seeds": lambda value: isinstance(value, list) and value == list(range(len(value))),
}  # fmt: skip
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

    With `folds` every run is cross-validated, and `splits` are only one fold of them, as an example. The `task` says
    what the methods are compared with (`catalogue.tasks`).
    """

    out: Path
    splits: Splits
    methods: tuple[Method, ...]
    seeds: tuple[int, ...]
    recipe: Recipe
    metric: str
    device: str
    folds: Folds | None = None
    task: str = SUPERVISED

    @property
    def reference(self) -> str:
        """The method that the others are compared with."""
        return TASKS[self.task].reference

    def role(self, spec: str) -> str:
        """Whether a method is the "reference", compared with it ("method"), or only shown beside them ("context")."""
        found = role(self.task, next(m.task for m in self.methods if m.spec == spec), spec)
        assert found is not None, spec  # others are refused before a plan is made
        return found

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

    def waves(self, again: Container[Path] = ()) -> list[list[Task]]:
        """Unfinished runs in waves: a run comes after the one that trains a stage which it has in common with it.

        Runs whose folder is in `again` count as unfinished.
        """
        trained_in: dict[tuple[int, str], int] = {}  # (seed, stages so far) -> wave
        waves: list[list[Task]] = []
        prefixes = {m.spec: self.prefixes(m) for m in self.methods}
        for task in self.tasks:
            mine = [(task.seed, text) for text in prefixes[task.spec]]
            wave = max((trained_in[prefix] + 1 for prefix in mine if prefix in trained_in), default=0)
            for prefix in mine:
                trained_in.setdefault(prefix, wave)
            if not task.finished or task.folder in again:
                waves.extend([] for _ in range(wave + 1 - len(waves)))
                waves[wave].append(task)
        return waves

    def shared(self, spec: str, among: Container[str]) -> str | None:
        """The first method whose first stage a method has in common, so that it need not train it, or None."""
        first = {m.spec: self.prefixes(m)[0] for m in self.methods}
        alike = [m.spec for m in self.methods if first[m.spec] == first[spec] and (m.spec == spec or m.spec in among)]
        return None if alike[0] == spec else alike[0]

    def trainers(self) -> dict[str, str]:
        """For each method the first that trains the same from the first stage to the last: itself, for most."""
        first: dict[str, str] = {}
        whole = {m.spec: self.prefixes(m)[-1] for m in self.methods}
        for spec, text in whole.items():
            first.setdefault(text, spec)
        return {spec: first[text] for spec, text in whole.items()}

    def prefixes(self, method: Method) -> list[str]:
        """The text of all that a method has trained after each of its stages, with the recipe it is trained under."""
        recipe = method.under(self.recipe)
        stages = [(stage.spec, stage.epochs) for stage in method.stages(recipe)]
        return [json.dumps([stages[:k], recipe.to_json()], sort_keys=True) for k in range(1, len(stages) + 1)]

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
            "task": self.task,
            "methods": [m.spec for m in self.methods],
            "seeds": list(self.seeds),
        }


def plan(
    splits: Splits, asked: Sequence[Method], seeds: int, recipe: Recipe, metric: str, out: Path, device: str,
    folds: Folds | None = None, task: str = SUPERVISED,
) -> Plan:  # fmt: skip
    """Say what has to run in the output folder; nothing is written.

    More methods or seeds extend a folder; other data, another recipe, task or other folds are refused.

    Raises:
        ValueError: the folder holds another comparison, or the task's reference is not in the catalogue.
    """
    # the reference first: others share its training, not it theirs
    chosen = {m.spec: m for m in [*added(task), *asked]}
    found = Plan(out, splits, tuple(chosen.values()), tuple(range(seeds)), recipe, metric, device, folds, task)
    stored = _stored(found)
    if stored is None:
        return found
    known = {m.spec: m for m in methods(stored["methods"], val=splits.val is not None)} | chosen
    count = max(len(stored["seeds"]), seeds)
    return replace(found, methods=tuple(known.values()), seeds=tuple(range(count)))


def _stored(found: Plan) -> dict[str, Any] | None:
    """What config.json says the folder holds; None where it holds nothing beyond what was asked.

    Raises:
        ValueError: another comparison, or one whose config.json is gone or damaged, with runs beyond what was asked.
    """
    path, asked = found.out / CONFIG, found.config()
    try:
        stored = json_documents.read_sealed(path, SCHEMA, _RULES, WAY_OUT)
        # before there were tasks, all comparisons were supervised
        check_same(found.out, {"task": SUPERVISED, **stored}, asked, IDENTITY, "comparison")
        return stored
    except OutdatedError as error:
        if json_documents.violation(old := json_documents.read(path, WAY_OUT), {"data": dict, "recipe": dict}) is None:
            check_same(found.out, {"task": SUPERVISED, **old}, asked, IDENTITY, "comparison")
        reason = error.reason
    except DamagedError as error:
        reason = error.reason
    runs = set(found.out.glob("*/seed-*"))
    beyond = sorted(runs - {task.folder for task in found.tasks})
    if beyond:
        raise ValueError(
            f"{reason}, and {found.out} holds runs beyond what was asked, such as {beyond[0].relative_to(found.out)}; "
            "name all its methods and seeds, in their first order, or choose another --out"
        )
    if runs:
        log.warning("%s; going on with the methods and seeds that were asked for", reason)
    elif path.exists():
        log.warning("%s; writing it anew", reason)
    return None


def claim(found: Plan) -> None:
    """Write into the output folder what it holds.

    Raises:
        ValueError: the folder cannot be written.
    """
    writable(found.out)
    try:
        json_documents.write_sealed(found.out / CONFIG, found.config())
        sources.write_shared(found.out, found.data.origin)
    except OSError as error:
        raise _refused(found.out, error) from None


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
