"""The decision of a trained model: asked for, fitted on the validation rows of its run, saved with it.

It is no part of the run's identity: another objective in the same folder fits another decision to the same training.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.data import Splits
from longtail.facts.messages import quoted
from longtail.posthoc.calibration import cross_calibrated
from longtail.posthoc.decisions import Decision, objective, read_cost
from longtail.runs import manifest, unsaved
from longtail.runs.predictor import Predictor
from longtail.runs.run import Run
from longtail.runs.scored import of_run

log = logging.getLogger(__name__)

CHOSEN = (
    "the decision may be worth less than is said: its validation rows have chosen the training, too (a search, or "
    "--select val)"
)
OPTIONS = "objective and cost (--objective, --cost)"
KEPT = ("schema_version", "files", "decision")
"""Entries of run.json that writing it again makes anew."""


def asked(
    classes: Sequence[str], counts: Tensor, *, cost: Any = None, goal: str | None = None, positive: str | None = None
) -> Decision | None:
    """Return the decision that is asked for, not yet fitted; None where none is.

    Args:
        classes: names of the classes.
        counts: (C,) of the training part.
        cost: see `read_cost`.
        goal: the objective.
        positive: the class that the costs or the objective mean; None is the rarest.

    Raises:
        ValueError: see `Decision` and `read_cost`; a positive class that nothing is about.
    """
    if cost is None and goal is None:
        if positive is not None:
            raise ValueError(
                f"positive (--positive) is the class of an objective or of costs, got {quoted(positive)} without; give "
                "--objective or --cost too, or leave it out"
            )
        return None
    k: str | int = int(counts.argmin()) if positive is None else positive
    matrix = None if cost is None else read_cost(cost, classes, k)
    of_one = goal is not None and not objective(goal).of_all
    return Decision(classes, cost=matrix, objective=goal, positive=k if of_one or positive is not None else None)


def check(decision: Decision | None, method: Method, splits: Splits) -> None:
    """Check, before any training, that the decision can be fitted.

    Raises:
        ValueError: no validation part, one whose labels are sets, or a method that trains an encoder.
    """
    if decision is None:
        return
    unsaved.check(method, splits.train, OPTIONS)
    if method.task == SELF_SUPERVISED:
        raise ValueError(f"{OPTIONS} are of decisions, and {method.key!r} trains an encoder; leave them out")
    if not decision.chosen_by_fit:
        return
    goal = f"objective (--objective) {decision.objective}"
    if splits.val is None:
        raise ValueError(f"{goal} is chosen on rows that are not trained on, got no validation part; add --val 0.2")
    if splits.val.kind != "given":
        raise ValueError(f"{goal} needs a validation part with one label a row, got sets of labels; leave it out")


def fitted(decision: Decision, predictor: Predictor, run: Run) -> Decision:
    """Fit a decision on the validation rows of a run, with the probabilities as its model calibrates new rows.

    Each row is calibrated by the others, for the model's calibration has seen all of them.

    Raises:
        ValueError: a run without validation rows whose decision must be chosen, or an objective that they do not meet.
    """
    arrays = of_run(run)
    val = arrays.val
    if val is None:
        if decision.chosen_by_fit:
            raise ValueError(
                f"objective (--objective) {decision.objective} is chosen on validation rows, of which {run.folder} has "
                "none; train with --val 0.2, or give --cost"
            )
        return decision
    if arrays.chosen:
        log.warning("%s", CHOSEN)
    kept = slice(None) if val.weight is None else val.weight > 0
    weight = None if val.weight is None else val.weight[kept]
    seed = int(run.config["seed"])
    return fitted_on(decision, predictor, val.log_probs[kept], val.targets[kept], weight, seed=seed)


def fitted_on(
    decision: Decision,
    predictor: Predictor,
    log_probs: NDArray[np.float64],
    targets: NDArray[np.int64],
    weight: NDArray[np.float64] | None = None,
    *,
    seed: int,
) -> Decision:
    """Fit a decision on validation rows (N,) of weight > 0, whose log-probabilities (N, C) are not calibrated yet.

    Raises:
        ValueError: an objective that these rows do not meet.
    """
    logs = torch.from_numpy(log_probs)
    if predictor.calibration is not None:
        logs = cross_calibrated(
            str(predictor.calibration.name),
            logs,
            targets,
            num_classes=len(predictor.classes),
            sample_weight=weight,
            prior=predictor.training_prior.cpu(),
        )
    return decision.fit(logs, targets, sample_weight=weight, seed=seed)


def attach(run: Run, decision: Decision | None) -> Run:
    """Fit a decision to a finished run and save it with the model; None takes off the one that it has.

    The model's files and run.json are written anew, with the entry `decision`: arguments, rule in words, what was
    found. Where the model has this decision already, nothing is written.

    Raises:
        ValueError: see `fitted`; OSError: the folder cannot be written.
    """
    before = run.result.get("decision")
    if decision is None and before is None:
        return run
    predictor = run.predictor
    entry = None
    if decision is not None:
        made = fitted(decision, predictor, run)
        entry = {"arguments": dict(made.arguments), "rule": made.words, "found": made.found}
    if entry == before:
        return run
    if decision is None and before is not None:
        log.warning("%s decides by its method's rule again, no longer by: %s", run.folder, before["rule"])
    predictor.decision = decision
    names = dict.fromkeys((*run.result["files"], *predictor.save(run.folder)))
    result = {name: value for name, value in run.result.items() if name not in KEPT}
    result |= {} if entry is None else {"decision": entry}
    return Run(run.folder, run.config, manifest.write(run.folder, result, names), run.network)


def override(
    predictor: Predictor, folder: Path, *, cost: Any = None, goal: str | None = None, positive: str | None = None
) -> Predictor:
    """Give a loaded model another decision: by costs, or for an objective chosen on the validation rows of its run.

    Raises:
        ValueError: see `asked` and `fitted`; a folder that is no finished run, for an objective.
    """
    decision = asked(predictor.classes, predictor.class_counts.cpu(), cost=cost, goal=goal, positive=positive)
    if decision is None:
        return predictor
    predictor.decision = fitted(decision, predictor, Run.load(folder)) if decision.chosen_by_fit else decision
    return predictor
