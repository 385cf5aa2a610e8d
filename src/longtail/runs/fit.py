"""One training of a method, epoch by epoch: train, predict, decide, score, and write the run folder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from longtail.catalogue.search import Candidate
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.data import Splits, TrainingSet
from longtail.data.true_labels import with_true_counts, with_true_labels
from longtail.engine import Recipe, Training, malloc
from longtail.engine.default_recipe import default_recipe, usual_threads
from longtail.engine.determinism import deterministic
from longtail.engine.due_step import Events, next_record
from longtail.engine.selection import LAST, VAL
from longtail.facts.learner import Learner
from longtail.facts.types import Record
from longtail.learners.probe_protocols import check_rows
from longtail.methods.registry import method as resolve
from longtail.models import Factory
from longtail.runs import calibrated, manifest, outputs, selected, unsaved
from longtail.runs.feature_measures import measure_arrays
from longtail.runs.journal import Journal
from longtail.runs.memorisation import memorisation
from longtail.runs.pretrained import check_start
from longtail.runs.prior_distance import distances
from longtail.runs.probe_arrays import probe_arrays
from longtail.runs.run import Run, opened, owner
from longtail.runs.search import Choice, choose
from longtail.runs.trackers import Tracker, tracked


class Fit(Iterator[Record]):
    """One training, epoch by epoch, with or without a folder.

    Args:
        method: a method, its spec string, or an unfitted classifier of your own, as in `compare`.
        splits: the data, as `data.load` returns them.
        seed: of initialisation and order.
        recipe: how to train; by default the one that fits the data.
        network: makes networks of your own, called as network(num_classes=C) for every stage, and with input_shape=...
            where it has that parameter; each ends in an `nn.Linear`, which methods exchange for the head they need.
        folder, store: of the run (None writes nothing); of finished stages, shared by the runs of a comparison.
        device: where to train.
        threads: CPU threads (by default one for small networks, all for `models.RESIDUAL`); recorded for resuming.
        evaluations: how often the test part is evaluated, evenly over the epochs and at their end.
        select: which epoch of the last stage is kept: "last", "val" or "best-test"; see `runs.selected`.
        calibrate: "temperature", "vector", "isotonic" or "auto": of the run's model, on the validation part.
        tracker: "tensorboard", "mlflow" or "wandb", NAME or NAME:PLACE, which gets every epoch and the scores.
    """

    def __init__(
        self,
        method: Any,
        splits: Splits,
        *,
        seed: int = 0,
        recipe: Recipe | None = None,
        network: Factory | None = None,
        folder: str | Path | None = None,
        store: Path | None = None,
        device: str = "cpu",
        threads: int | None = None,
        evaluations: int = 1,
        select: str = LAST,
        calibrate: str | None = None,
        tracker: str | Tracker | None = None,
    ) -> None:
        self.method = resolve(method)
        calibrated.check(calibrate, self.method, splits, folder)
        if self.method.needs_val and splits.val is None:
            raise ValueError(f"method {self.method.key!r} needs a validation part, got none; add --val 0.2 (val=0.2)")
        if (reason := self.method.refuses(splits.train, splits.unlabeled)) is not None:
            raise ValueError(reason)
        if network is not None:
            recipe = default_recipe(splits, network) if recipe is None else recipe.with_network(network, splits.train)
        unsaved.check_every_row(self.method, splits, folder)
        self.recipe = self.method.under(recipe or default_recipe(splits))
        check_start(self.recipe, splits)
        if (reason := self.method.refuses_recipe(self.recipe, splits.train)) is not None:
            raise ValueError(reason)
        if self.method.task == SELF_SUPERVISED:
            check_rows(self.recipe.probes, splits.cut_rows is not None)
        selected.check(select, splits)
        self.splits, self.seed, self._select, self.device = splits, seed, select, device
        replaced = self.method.needs_truth and not self.method.keeps_labels
        self.trained_on = with_true_labels(splits) if replaced else splits
        self._rows = with_true_counts(splits) if self.method.keeps_labels else None
        self.folder = None if folder is None else Path(folder)
        self.config = outputs.configuration(
            self.method, splits, seed, self.recipe, device, threads or usual_threads(self.recipe), calibrate
        )
        self.config |= {} if select == LAST else {"select": select}
        self._store = store if store is not None or self.folder is None else self.folder / "stages"
        self._evaluations, self._calibrate = evaluations, calibrate
        self._choice: Choice | None = None
        self.chosen, self._chosen_recipe = self.method, self.recipe  # what is trained, once a search has ended
        self._run: Run | None = None
        self._training: Training | None = None
        self._journal: Journal | None = None
        self.events = self._run_epochs() if tracker is None else tracked(self, self._run_epochs(), tracker)

    def __next__(self) -> Record:
        return next_record(self.events)

    @property
    def learner(self) -> Learner:
        """The learner, as far as it has been trained."""
        if self._training is None:
            raise RuntimeError("no epoch has run in this process; iterate over the training, or use .run.predictor")
        return self._training.learner

    @property
    def run(self) -> Run:
        """The finished run."""
        if self._run is None:
            raise RuntimeError("the training is not finished or has no folder; iterate to its end with folder=...")
        own = self.recipe.own
        return self._run if own is None else replace(self._run, network=own.factory)

    def close(self) -> None:
        """Stop between two epochs and unlock the folder; the same call resumes there."""
        self.events.close()

    def _run_epochs(self) -> Events:
        if self.folder is None:
            with tempfile.TemporaryDirectory(prefix="longtail-") if self.method.search else nullcontext() as place:
                yield from self._searched(place)
                yield from self._trained(None)
            return
        with opened(self.folder, self.config) as (self._run, self.config):
            if self._run is None:
                self._journal = Journal(self.folder, self.config)
                resume = self._journal.resume()
                yield from self._searched(self.folder)
                yield from self._trained(resume)

    def _searched(self, folder: Path | str | None) -> Events:
        """Search in this folder where the method does; then its choice is trained, from the stages that this stored."""
        if self.method.search is None or folder is None:
            return
        rows, self._store = self.splits.without_test(), self._store or Path(folder) / "stages"
        shared = {"seed": self.seed, "store": self._store, "device": self.device, "threads": self.config["threads"]}

        def fit(one: Candidate, place: Path) -> Fit:
            return Fit(one.spec, rows, recipe=one.under(self.recipe), folder=place, **shared)

        self._choice = yield from choose(self.method.search, rows, self.recipe, Path(folder), fit)
        one = self._choice.candidate
        self.chosen, self._chosen_recipe = resolve(one.spec), one.under(self.recipe)
        self.trained_on = rows

    def _trained(self, resume: dict[str, Any] | None) -> Events:
        before = torch.get_num_threads()
        torch.set_num_threads(self.config["threads"])
        try:
            with malloc.keep_freed_memory(), deterministic(self.device, self.recipe.deterministic):
                self._training = self._start(resume)
                yield from self._epochs(self._training)
                if self.folder is not None:
                    self._run = self._finish(self._training)
        finally:
            torch.set_num_threads(before)

    def _start(self, resume: dict[str, Any] | None) -> Training:
        # the precision of config.json: on resume that of the start
        recipe = replace(self._chosen_recipe, precision=self.config["precision"])
        return Training(
            self.chosen.stages(recipe),
            self._rows or TrainingSet.of(self.trained_on),
            seed=self.seed,
            evaluate=None if self._choice or self.splits.every_row else self._score,
            evaluate_at=self._is_evaluated,
            resume=resume,
            store=self._store,
            owner="" if self.folder is None else owner(self.folder),
            identity=[self.trained_on.hash, recipe.to_json()],
            device=self.device,
            capture=recipe.capture,
            selection=selected.selection(self._select, self.method, recipe, self.splits, self.device),
        )

    def _epochs(self, training: Training) -> Events:
        journal = self._journal
        with closing(training.events):  # inside of an epoch too, where a step failed
            for event in training.events:
                if isinstance(event, dict):
                    event = {**event, **distances(event, self.splits)}
                if isinstance(event, dict) and self._choice is not None:  # evaluated on validation rows
                    event = {k: v for k, v in event.items() if k not in ("scores", "evaluation_seconds")}
                if not isinstance(event, dict) or journal is None:
                    yield event
                    continue
                journal.add(event, training.state)
                try:
                    yield event
                except GeneratorExit:  # closed between two epochs: nothing is lost
                    journal.write_checkpoint(training.state)
                    raise
        if journal is not None:
            journal.write_checkpoint(training.state)

    def _is_evaluated(self, done: float) -> bool:
        """Whether to evaluate the test part after this epoch: `evaluations` times, evenly, the last epoch included."""
        epoch = round(done * self.recipe.epochs)
        before, now = ((e * self._evaluations) // self.recipe.epochs for e in (epoch - 1, epoch))
        return now > before

    def _score(self, learner: Learner) -> dict[str, float]:
        return selected.scores_on(learner, self.splits.test, outputs.group_counts(self.splits), self.device)

    def _finish(self, training: Training) -> Run:
        assert self.folder is not None
        start = time.perf_counter()
        predictor = outputs.predictor_of(self.chosen, self.trained_on, training.learner, self.device)
        calibration = calibrated.calibrate(predictor, self.splits if self._choice else self.trained_on, self._calibrate)
        arrays = outputs.predictions(predictor, self.splits)
        if self.method.task == SELF_SUPERVISED and not self.splits.every_row:
            arrays |= probe_arrays(predictor, self.splits, self.recipe.probes, {self.recipe.probe: arrays["scores"]})
            arrays |= measure_arrays(predictor, self.splits)
        predicted = manifest.write_predictions(self.folder, arrays)
        (self.folder / manifest.LINES).touch()  # of a training without epochs there are no lines
        records = Run(self.folder, self.config, {}).records
        choices = dict(selected.entry(self._select, self.method, self.recipe, records))
        trained = sum(record["seconds"] for record in records)
        if self._choice is not None:  # the chosen training is one of its candidates
            choices, trained = {**choices, "search": self._choice.to_json()}, self._choice.seconds
        chosen = manifest.chosen_on(VAL, choices)
        validation = outputs.write_validation(self.folder, predictor, self.splits, self.method.task, chosen=chosen)
        model, no_model = unsaved.saved(predictor, self.folder)
        result = outputs.write_result(
            self.folder, self.method, self.splits, self.seed, arrays, (manifest.LINES, *validation, *model),
            reuses=training.reused[0] if training.reused and self._choice is None else None,
            seconds=trained + time.perf_counter() - start,
            link=predictor.link,
            predicted=predicted,
            **outputs.prior_entries(predictor.prior, predictor.class_counts),
            **choices, **calibration, **no_model,
            **memorisation(predictor, self.splits),
            **({"trained_on": "every row"} if self.splits.every_row else {}),
        )  # fmt: skip
        return Run(self.folder, self.config, result)
