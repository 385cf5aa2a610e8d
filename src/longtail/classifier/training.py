"""From parameters, rows and labels to a trained model: the way of `longtail train --all`, without its folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from longtail.catalogue.choose import without_effect
from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SUPERVISED
from longtail.classifier.labels import by_name
from longtail.classifier.rows import is_frame
from longtail.data.every_row import load_every_row
from longtail.data.pool import Pool
from longtail.data.read.dispatch import pool
from longtail.data.splits import Splits
from longtail.engine.default_recipe import default_recipe
from longtail.facts.messages import quoted
from longtail.methods.registry import method as resolve
from longtail.posthoc.decisions import Decision
from longtail.runs import in_memory, model_decision, priors
from longtail.runs.fit import Fit
from longtail.runs.predictions import check_prior
from longtail.runs.predictor import Predictor

RECIPE = ("epochs", "batch_size", "lr", "model")
"""The parameters that are fields of the recipe."""
SEEDS = 2**31 - 1

log = logging.getLogger(__name__)
_ONE_AT_A_TIME = Lock()  # threads share torch's generator and number of threads


class Trained(NamedTuple):
    """What was trained: the method, with its knobs, and its model."""

    method: Method
    predictor: Predictor


def chosen_method(spec: Any, knobs: Any = None) -> Method:
    """Return the supervised method that a spec names, with these knobs in place of those in it.

    Raises:
        TypeError: no spec, or knobs that are no dict.
        ValueError: unknown method or knob, a value out of its range, or a method of another task.
    """
    if not isinstance(spec, str):
        raise TypeError(f'method must be a spec string, got {quoted(spec)}; as in "ldam-drw(scale=20)"')
    if not (knobs is None or isinstance(knobs, Mapping)):
        raise TypeError(f'knobs must be a dict of names and values, got {quoted(knobs)}; as in {{"tau": 2.0}}')
    method = resolve(spec)
    if knobs and method.knobs is not None:
        method = method.knobs.varied({str(name): plain(value) for name, value in knobs.items()})
    if method.task != SUPERVISED or method.needs_truth:
        kind = method.task if method.task != SUPERVISED else "one that needs the true labels"
        raise ValueError(
            f"method must be {SUPERVISED}, for rows with one label each, got {method.spec!r}, which is {kind}; "
            f"longtail methods --task {SUPERVISED} lists them"
        )
    return method


def trained(
    params: Mapping[str, Any],
    X: Any,
    targets: NDArray[np.int64],
    classes: tuple[str, ...],
    sample_weight: Any = None,
    label: str | None = None,
) -> Trained:
    """Train a method on all rows, but for a validation part where it is asked for or needed.

    Args:
        params: of the classifier, by name.
        X: a frame, or an array of numbers.
        targets: (N,) class indices.
        classes: the C names.
        sample_weight: (N,) weights, or None.
        label: the name of the labels, if any.

    Raises:
        ValueError, TypeError: parameters or rows that do not go together, in one line.
    """
    method, device, seed = chosen_method(params["method"], params["knobs"]), _device(params["device"]), params["seed"]
    changes = {name: plain(params[name]) for name in RECIPE}
    rows = _rows(X, targets, classes, sample_weight, label)
    splits = load_every_row(rows, needs_val=method.needs_val, val=plain(params["val"]))
    recipe = default_recipe(splits, **changes)
    recipe.check(splits.train)
    decision = model_decision.asked(
        splits.classes,
        splits.class_counts,
        cost=params["cost"],
        goal=params["objective"],
        positive=None if params["positive"] is None else str(plain(params["positive"])),
    )
    check_target(splits, by_name(params["target_prior"]), decision)
    in_memory.check(method, splits, calibrate=params["calibrate"], decision=decision)
    fit = Fit(method, splits, seed=seed, recipe=recipe, device=device)
    for note in splits.notes:
        log.info("%s", note)
    for note in without_effect([method], fit.recipe):
        log.warning("%s", note)
    with _ONE_AT_A_TIME, closing(fit):
        for _ in fit:
            pass
        return Trained(method, in_memory.trained_model(fit, calibrate=params["calibrate"], decision=decision))


def check_target(splits: Splits, prior: Any, decision: Decision | None) -> None:
    """Check a deployment prior before any training.

    Raises:
        ValueError, TypeError: not one of these classes, or beside thresholds that are chosen on validation rows.
    """
    if prior is None:
        return
    check_prior(decision, prior)
    if not (isinstance(prior, str) and prior == priors.ESTIMATE):  # that of rows which are not known yet
        priors.target(prior, splits.classes, splits.class_counts.cpu())


def seed_of(random_state: Any) -> int:
    """Return the seed of initialisation and order: an integer as it is, else a number that is drawn from it.

    Raises:
        ValueError: neither an integer >= 0, nor None, nor a RandomState.
    """
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        if not 0 <= random_state < 2**63:
            raise ValueError(f"random_state must be in [0, 2^63), got {quoted(random_state)}; 0 is usual")
        return int(random_state)
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(SEEDS))


def plain(value: Any) -> Any:
    """Return a NumPy number, as grids have them, as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _device(name: Any) -> str:
    kind = str(name).split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda", got {quoted(name)}; choose one of these')
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device {quoted(name)} is not available to this build of torch; use device="cpu"')
    return str(name)


def _rows(X: Any, targets: NDArray[np.int64], classes: tuple[str, ...], sample_weight: Any, label: str | None) -> Pool:
    """Return all rows with their labels, read as a table or as features."""
    if not is_frame(X):
        return pool(X, targets, classes=classes, sample_weight=sample_weight)
    codes = [str(j) for j in range(len(classes))]  # names of any form pass through a column of labels
    read = pool(X, np.array(codes)[targets], classes=codes, sample_weight=sample_weight)
    facts = {name: value for name, value in read.facts.items() if name != "label"}
    return replace(read, classes=classes, facts=facts if label is None else {**facts, "label": label})
