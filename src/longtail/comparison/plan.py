"""The plan of a comparison: which runs it needs, their folders, and which wait for another's training."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from longtail.catalogue.aims import decides_by_cost
from longtail.catalogue.method import Method
from longtail.catalogue.search import Candidate
from longtail.catalogue.spec import folder_name
from longtail.catalogue.tasks import CONTEXT, TASKS, role
from longtail.comparison.output_folder import stored_config
from longtail.comparison.preparation import Prepared
from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.engine.selection import LAST
from longtail.facts.messages import visible
from longtail.methods import added, method, methods


@dataclass(frozen=True)
class Task:
    """One run: a method with a seed, in its folder; `changes` are its own to the common recipe.

    `given` is the method where its spec alone does not name it, as of a classifier of the user's.
    """

    spec: str
    seed: int
    folder: Path
    changes: tuple[tuple[str, Any], ...] = ()
    given: Method | None = field(default=None, compare=False, repr=False)

    def under(self, recipe: Recipe) -> Recipe:
        """Return the common recipe with the changes of this run."""
        return Candidate(self.spec, dict(self.changes)).under(recipe)

    @property
    def finished(self) -> bool:
        """Whether its run.json exists."""
        return (self.folder / "run.json").exists()


@dataclass(frozen=True)
class Plan(Prepared):
    """Every run of a comparison, those that its folder already has included.

    Runs are ordered by seed, so that an early stop leaves whole seeds behind.
    """

    @property
    def reference(self) -> str:
        """The method that the others are compared with: the baseline, or the task's reference."""
        return TASKS[self.task].reference if self.baseline is None else self.baseline.spec

    def method(self, spec: str) -> Method:
        """Return the method of that spec."""
        return next(m for m in self.methods if m.spec == spec)

    def role(self, spec: str) -> str:
        """Return "reference", "method" (compared with the reference) or "context" (shown, not compared)."""
        part = role(self.task, self.method(spec).task, spec, self.reference)
        assert part is not None, spec  # others are refused before a plan is made
        return part

    def keeps_rule(self, spec: str) -> bool:
        """Whether a row decides by its own rule, by costs that it was given or tuned for, where all others decide for
        the least expected cost: the two ways are what such a table compares."""
        return self.question.of_costs and decides_by_cost(self.method(spec))

    @property
    def classifiers(self) -> dict[str, str]:
        """The classifiers of the user's: name -> class and parameters."""
        return {m.given.name: m.given.text for m in self.methods if m.given is not None}

    @property
    def twins(self) -> dict[str, str]:
        """The compared methods with a twin among the methods: the plain method of the same model."""
        specs = [m.spec for m in self.methods if self.role(m.spec) != CONTEXT]
        twins = {spec: twin_of(self.method(spec), self.task) for spec in specs if spec != self.reference}
        return {spec: twin for spec, twin in twins.items() if twin != spec and twin in specs}

    @property
    def data(self) -> Splits | Folds:
        """What all runs share: one split, or folds that every seed draws anew."""
        return self.folds or self.splits

    @property
    def store(self) -> Path:
        """The folder of finished stages, shared by all methods."""
        return self.out / "stages"

    @property
    def tasks(self) -> list[Task]:
        """All runs, seed by seed."""
        return [
            Task(m.spec, seed, self.out / folder_name(m.key, m.spec) / f"seed-{seed}", given=m if m.given else None)
            for seed in self.seeds
            for m in self.methods
        ]

    def waves(self, damaged: Container[Path] = ()) -> list[list[Task]]:
        """Return unfinished runs in waves: a run comes after the one that trains a stage they have in common.

        Runs whose folder is in `damaged` count as unfinished.
        """
        trained_in: dict[tuple[int, str], int] = {}  # (seed, stages so far) -> wave
        waves: list[list[Task]] = []
        prefixes: dict[tuple[str, Any], list[str]] = {}
        for task in self.tasks:
            key = (task.spec, task.changes)
            if key not in prefixes:
                prefixes[key] = self.prefixes(self.method(task.spec), task.under(self.recipe))
            own = [(task.seed, text) for text in prefixes[key]]
            wave = max((trained_in[prefix] + 1 for prefix in own if prefix in trained_in), default=0)
            for prefix in own:
                trained_in.setdefault(prefix, wave)
            if not task.finished or task.folder in damaged:
                waves.extend([] for _ in range(wave + 1 - len(waves)))
                waves[wave].append(task)
        return waves

    def shared(self, spec: str, among: Container[str]) -> str | None:
        """Return the first method `among` these with the same first stage, so that it is trained once; None if none."""
        first = {m.spec: self.prefixes(m)[0] for m in self.methods}
        alike = [m.spec for m in self.methods if first[m.spec] == first[spec] and (m.spec == spec or m.spec in among)]
        return None if alike[0] == spec else alike[0]

    def trainers(self) -> dict[str, str]:
        """Return for each method the first whose training is the same in all stages; for most, itself."""
        first: dict[str, str] = {}
        whole = {m.spec: self.prefixes(m)[-1] for m in self.methods}
        for spec, text in whole.items():
            first.setdefault(text, spec)
        return {spec: first[text] for spec, text in whole.items()}

    def prefixes(self, method: Method, recipe: Recipe | None = None) -> list[str]:
        """Return, for each stage of a method, a text that identifies all training up to that stage.

        Args:
            method: the method.
            recipe: in place of the common one.
        """
        recipe = method.under(recipe or self.recipe)
        stages = [(stage.spec, stage.epochs) for stage in method.stages(recipe)]
        return [json.dumps([stages[:k], recipe.to_json()], sort_keys=True) for k in range(1, len(stages) + 1)]

    def changes(self, spec: str) -> dict[str, Any]:
        """Return the entries of a method's recipe that differ from the common recipe; empty for most."""
        common = self.recipe.to_json()
        return {k: v for k, v in self.method(spec).under(self.recipe).to_json().items() if v != common.get(k)}

    def epochs(self, spec: str) -> dict[str, int]:
        """Return the stages of a method that train, by name, and the epochs of each."""
        method = self.method(spec)
        return {stage.name: stage.epochs for stage in method.stages(method.under(self.recipe)) if stage.epochs}

    def config(self) -> dict[str, Any]:
        """Return what identifies the comparison, with its methods and seeds: the content of config.json."""
        return {
            "data": {"name": self.data.name, "facts": self.data.facts, "hash": self.data.hash},
            "recipe": self.recipe.to_json(),
            "task": self.task,
            "baseline": None if self.baseline is None else self.baseline.spec,
            "methods": [m.spec for m in self.methods],
            **({"classifiers": classifiers} if (classifiers := self.classifiers) else {}),
            "seeds": list(self.seeds),
            **({} if self.select == LAST else {"select": self.select}),
        }


def plan(prepared: Prepared) -> Plan:
    """List what has to run in the output folder; nothing is written.

    More methods or seeds extend a folder, whose baseline stays where none is asked; other data, another recipe, task or
    other folds are refused. Another baseline trains nothing again.

    Raises:
        ValueError: the folder holds another comparison, or the task's reference is not in the catalogue.
    """
    planned = _planned(prepared)
    stored = stored_config(planned.out, planned.config(), [task.folder for task in planned.tasks])
    if stored is None:
        return planned
    if prepared.baseline is None and stored.get("baseline") is not None:
        _check_given(stored, planned, [stored["baseline"]])
        planned = _planned(replace(prepared, baseline=method(stored["baseline"], beside=planned.methods)))
    _check_given(stored, planned, stored["methods"])
    val = planned.splits.val is not None
    known = {m.spec: m for m in methods(stored["methods"], val=val, beside=planned.methods)}
    known |= {m.spec: m for m in planned.methods}
    count = max(len(stored["seeds"]), len(planned.seeds))
    return replace(planned, methods=tuple(known.values()), seeds=tuple(range(count)))


def _check_given(stored: Mapping[str, Any], planned: Plan, specs: Iterable[str]) -> None:
    """Raise ValueError where one of the folder's specs is of a classifier of the user's that is not given now."""
    texts = dict(stored.get("classifiers") or {})
    for name in texts.keys() - planned.classifiers.keys():
        if any(spec.partition("(")[0] in (name, f"{name}-posthoc", f"{name}-threshold") for spec in specs):
            raise ValueError(
                f"{planned.out} has rows of {name}, a classifier that the catalogue does not have; give it again under "
                f"that name, or choose another --out: {visible(texts[name])}"
            )


def _planned(prepared: Prepared) -> Plan:
    """Return the plan for an empty folder: the reference first, since others share its training, not it theirs.

    On tables and features the twin of every compared method comes before it, where it was not asked for.
    """
    always = added(prepared.task, prepared.baseline, truth=prepared.splits.truth is not None)
    asked = {m.spec: m for m in [*always, *prepared.methods]}
    planned = Plan(**{**vars(prepared), "methods": tuple(asked.values())})
    if len(prepared.splits.train.input_shape) > 1:
        return planned
    with_twins: dict[str, Method] = {}
    for spec, one in asked.items():
        line, last = {spec: one}, one  # the method, its twin, the twin's own, ...
        compared = planned.role(spec) != CONTEXT
        while compared and (twin := twin_of(last, planned.task)) not in {**asked, **with_twins, **line}:
            last = line[twin] = method(twin, beside=[last])
        with_twins |= dict(reversed(line.items()))
    return replace(planned, methods=tuple(with_twins.values()))


def twin_of(method: Method, task: str) -> str:
    """Return the spec of the plain method of the same model; a plain method's is its own."""
    return method.twin or TASKS[task].reference


def corrects_plain(one: Method, task: str) -> bool:
    """Whether a method only corrects the scores of a plain training: of one that is its own twin."""
    twin = twin_of(one, task)
    return not one.retrains and twin_of(method(twin, beside=[one]), task) == twin
