"""`fit`: a generator of epochs. Logging, evaluation, early stopping and checkpoints are left to the caller's loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from longtail.data import Part, TrainingSet
from longtail.engine import stage_store, state_files
from longtail.engine.capture import steps_of
from longtail.engine.due_step import DueStep, EndOfEpoch, Events, Steps, next_record
from longtail.engine.gradient_scaler import scale_record
from longtail.engine.randomness import generator, seeded
from longtail.engine.selection import Selection
from longtail.engine.stage import Built, Stage
from longtail.facts import files
from longtail.facts.learner import Learner
from longtail.facts.types import Record

Evaluate = Callable[[Learner], dict[str, float]]


def fit(stages: Sequence[Stage], data: TrainingSet | Part, *, seed: int = 0, **options: Any) -> Training:
    """Train the stages one after another; iterate over the result to get one record per finished epoch.

    `training.state()` between two epochs is a checkpoint; `fit(..., resume=state)` ends with the same bytes.
    Options: those of `Training`.
    """
    return Training(stages, data, seed=seed, **options)


class Training(Iterator[Record]):
    """An iterator over epoch records (stage, epoch, progress, lr, loss, seconds, scores when evaluated).

    Args:
        stages: to train, in order.
        data: the rows to train on; a `Part` has labels for all of them.
        seed: of initialisation and order.
        evaluate: learner -> scores; called in eval mode after the epochs that `evaluate_at` names.
        evaluate_at: progress after the epoch (0 < p <= 1) -> whether to evaluate; by default at the end of the
            last stage.
        resume: a state that `state()` returned.
        store: folder of finished stages by hash, shared between methods; None stores none.
        owner: the name under which this training's stages are stored; `reused` lists the owners of stages
            that were loaded from the store instead of trained.
        identity: what a stage's hash covers besides the specs and the seed (data, recipe).
        device: of learner and data.
        capture: on a GPU, whether steps that can be are recorded as CUDA graphs (`engine.capture`).
        selection: which epoch of the last stage is kept; None keeps the last.
    `events`: the records, and before each its optimiser steps (`DueStep`) for the consumer to make.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        data: TrainingSet | Part,
        *,
        seed: int = 0,
        evaluate: Evaluate | None = None,
        evaluate_at: Callable[[float], bool] | None = None,
        resume: dict[str, Any] | None = None,
        store: Path | None = None,
        owner: str = "",
        identity: Any = None,
        device: str = "cpu",
        capture: bool = True,
        selection: Selection | None = None,
    ) -> None:
        if not stages:
            raise ValueError("stages must not be empty, got none; a method has at least one stage")
        self.stages = tuple(stages)
        self.data = (data if isinstance(data, TrainingSet) else TrainingSet(data)).to(device)
        self.seed = seed
        self.device = device
        self.reused: list[str] = []
        self._evaluate = evaluate
        self._evaluate_at = evaluate_at or (lambda done: done >= 1.0)
        self._capture = capture
        self._store = store
        self._owner, self.selection = owner, selection or Selection()
        self._identity = [stage_store.FORMAT, identity, self.data.hash if identity is None else None, seed]
        self._resume = resume
        self._built: Built | None = None
        self._previous: Learner | None = None
        self._before: list[dict[str, Any]] = []  # the states of the stages that are finished
        self._steps: Steps | None = None
        self._stage = 0
        self._epoch = 0
        self._records: list[Record] = []
        self._warned = False  # of weights that are all 0, once
        self.events = self._run()

    def __next__(self) -> Record:
        return next_record(self.events)

    @property
    def learner(self) -> Learner:
        """The learner of the current stage (after the last epoch: the trained one)."""
        if self._built is None:
            raise RuntimeError("no epoch has run yet; iterate over the training first")
        return self._built.learner

    def stage_hash(self, index: int) -> str:
        """Return the hash of everything that decides a stage's result: data, recipe, seed and the specs so far."""
        facts = [*self._identity, [(s.spec, s.epochs) for s in self.stages[: index + 1]]]
        facts += self.selection.identity if index == len(self.stages) - 1 else []
        return files.json_checksum(facts)[:16]

    def state(self) -> dict[str, Any]:
        """Return everything needed to resume: tensors and plain values, ready for `state_files.save`."""
        return {
            "stage": self._stage,
            "epoch": self._epoch,
            "finished": sum(stage.epochs for stage in self.stages[: self._stage]) + self._epoch,
            "records": state_files.cloned(self._records),
            "hash": self.stage_hash(self._stage),
            "learner": state_files.cloned(self.learner.state_dict()),
            "before": list(self._before),
            "update": None if self._built is None else state_files.cloned(self._built.update.state_dict()),
            "optimizer": None if self._steps is None else state_files.cloned(self._steps.optimizer_state()),
            **self.selection.state(),
        }

    def _run(self) -> Events:
        for index, stage in enumerate(self.stages):
            self._stage, self._epoch, self._steps, self._records = index, 0, None, []
            built = self._built = self._build(index, stage)
            if self._resume is not None and index < self._resume["stage"]:  # restored: the next is built from it
                built.learner.load_state_dict(self._resume["before"][index])
            elif (stored := self._load_stored(index)) is not None:
                yield from self._restore(stage, stored)
            else:
                yield from self._train(index, stage, built)
            self._previous = built.learner
            if index < len(self.stages) - 1:
                self._before.append(state_files.cloned(built.learner.state_dict()))
                self._built = None  # with its rows, before the next stage makes its own
                del built

    def _build(self, index: int, stage: Stage) -> Built:
        with seeded(self.seed, index, 0, "build", self.device):
            built = stage.built(self.data, self._previous)
        if isinstance(built.update, torch.nn.Module):
            built.update.to(self.device)
        return built._replace(learner=built.learner.to(self.device))

    def _restore(self, stage: Stage, stored: dict[str, Any]) -> Iterator[Record]:
        """Load a finished stage's learner, and yield its records except those reported before."""
        reported, self._resume = 0 if self._resume is None else self._resume["epoch"], None
        self.learner.load_state_dict(stored["learner"])
        if stored["owner"] != self._owner:
            self.reused.append(stored["owner"])
        for epoch in range(reported, stage.epochs):
            # epoch by epoch, so that a checkpoint has the number of records reported
            self._epoch, self._records = epoch + 1, stored["records"][: epoch + 1]
            yield stored["records"][epoch]

    def _train(self, index: int, stage: Stage, built: Built) -> Events:
        optimizer = stage.start(self.learner) if stage.epochs else None
        reported = self._load_checkpoint(index, built, optimizer) if self._resume is not None else 0
        if optimizer is not None:
            facts = (stage, built, optimizer, len(self.data.classes), self.device)
            self._steps = steps_of(*facts, capture=self._capture)
        while self._epoch < stage.epochs:
            assert self._steps is not None
            record = yield from self._one_epoch(index, stage, built, self._steps)
            self._records.append(record)
            if self._epoch == stage.epochs:
                self.selection.load_best(built.learner)
                self._save_stage(index)
            if self._epoch > reported:
                yield record
        if stage.epochs == 0:
            self._save_stage(index)

    def _load_checkpoint(self, index: int, built: Built, optimizer: torch.optim.Optimizer | None) -> int:
        """Restore the checkpoint's state, and return how many epochs of the stage were reported before."""
        assert self._resume is not None
        state, self._resume = state_files.cloned(self._resume), None
        if state["hash"] != self.stage_hash(index):
            raise ValueError("the checkpoint is of another training; use the data, seed and method it was made with")
        if optimizer is not None and state["optimizer"] is None:
            # made while loading a stored stage that no longer exists: train it again, report the rest
            return int(state["epoch"])
        built.learner.load_state_dict(state["learner"])
        built.update.load_state_dict(state["update"])
        if optimizer is not None:
            state_files.restore(optimizer, state["optimizer"])
        self._epoch, self._records = state["epoch"], state["records"]
        self.selection.best = state.get("best")
        return self._epoch

    def _one_epoch(
        self, index: int, stage: Stage, built: Built, steps: Steps
    ) -> Generator[DueStep | EndOfEpoch, None, Record]:
        start, spent, epoch = time.perf_counter(), 0.0, self._epoch
        (learner, data, _), progress = built, epoch / stage.epochs
        with seeded(self.seed, index, epoch, "global", self.device):
            learner.train()
            learner.start_epoch(data, progress)
            monitor = steps.begin_epoch()
            lr, length = float(stage.lr(progress)), max(data.steps(), 1)
            for i, drawn in enumerate(data.draws(progress, generator(self.seed, index, epoch, "order"))):
                if stage.lr_per == "step":
                    lr = float(stage.lr((epoch + i / length) / stage.epochs))
                due = steps.due(drawn, progress, lr)
                spent += time.perf_counter() - start
                yield due
                start, spent = time.perf_counter(), spent + due.seconds
                steps.finish(due)
        spent += time.perf_counter() - start
        yield (end := EndOfEpoch())
        start, spent = time.perf_counter(), spent + end.seconds
        monitor.check(stage.name, epoch, self.data.classes)  # waits for the device, so the time is that of all steps
        self._epoch = epoch + 1
        record: Record = {
            "stage": stage.name, "epoch": self._epoch, "progress": progress, "lr": lr, "loss": monitor.mean(),
            "examples": monitor.examples, "seconds": spent + time.perf_counter() - start,
        }  # fmt: skip
        record |= getattr(built.update, "epoch_record", dict)() | learner.epoch_record()
        record |= monitor.weight_statistics() | monitor.pseudo_labels() | scale_record(learner, stage.name, epoch)
        self._warned = self._warned or monitor.warn_if_frozen(stage.name, self._epoch)
        if self._evaluate is not None and stage is self.stages[-1] and self._evaluate_at(self._epoch / stage.epochs):
            learner.train(False)
            start = time.perf_counter()
            record["scores"] = self._evaluate(learner)
            record["evaluation_seconds"] = time.perf_counter() - start
        return record | (self.selection.consider(learner, self._epoch) if stage is self.stages[-1] else {})

    def _load_stored(self, index: int) -> dict[str, Any] | None:
        """Load a finished stage, where the store has it with the evaluations that this training asks for."""
        if self._store is None:
            return None
        stage = self.stages[index]
        stored = stage_store.load(self._store, self.stage_hash(index), stage.epochs)
        if stored is None:
            return None
        if index < len(self.stages) - 1:  # another method may have evaluated it as its last stage
            return stage_store.unevaluated(stored)
        whole = self._evaluate is None or stage_store.has_scores(stored, stage.epochs, self._evaluate_at)
        return stored if whole else None

    def _save_stage(self, index: int) -> None:
        """Store a finished stage for every method that shares it."""
        if self._store is not None:
            stage_store.save(self._store, self.stage_hash(index), self._owner, self.learner, self._records)
