"""Train a method on data: train, predict, decide, score, and write the run folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from longtail.catalogue.choose import without_effect
from longtail.data import Splits, load
from longtail.data.every_row import load_every_row
from longtail.facts.types import Record
from longtail.methods.registry import method as resolve
from longtail.models.own import check_factory
from longtail.runs.fit import Fit
from longtail.runs.pretrained import started
from longtail.runs.run import Run

log = logging.getLogger(__name__)

__all__ = ["Fit", "OnEpoch", "fit", "train"]

OnEpoch = Callable[[Record], None]


def train(method: Any, splits: Splits, *, folder: str | Path, on_epoch: OnEpoch | None = None, **options: Any) -> Run:
    """Train one method with one seed into a run folder; the same call resumes where it was interrupted.

    Args:
        method: a method, its spec string, or a classifier of your own, as in `compare`.
        splits: the data, as `data.load` returns them.
        folder: of the run; it belongs to this configuration from then on.
        on_epoch: called with each epoch's record.
        options: seed, recipe, network, store, device, threads, evaluations, calibrate as in `Fit`.

    Raises:
        ValueError: the folder belongs to another configuration or is in use by another process, or the method
            needs a validation part.
        OSError: the folder cannot be written; finished epochs are kept.
        FinitenessError: the loss stopped being finite; everything up to the last checkpoint is kept.
    """
    training = Fit(method, splits, folder=folder, **options)
    for record in training:
        if on_epoch is not None:
            on_epoch(record)
    return training.run


def fit(
    method: Any,
    data: Any,
    labels: Any = None,
    *,
    seed: int = 0,
    pretrained: str | Path | None = None,
    every_row: bool = False,
    **options: Any,
) -> Fit:
    """Return an iterator of epoch records (stage, epoch, progress, lr, loss, seconds, scores when evaluated).

    After the last one, `.learner` is the trained learner and `.run` the finished run (where `folder` was given).

    Args:
        method: a method, its spec string, such as "ldam-drw(scale=20)", or a classifier of your own, as in `compare`.
        data: anything that `data.load` takes; with arrays, `labels` are their labels.
        labels: see `data`.
        seed: of initialisation and order.
        pretrained: a run folder; networks start from the body and the standardisation of its model.
        every_row: train on every row, those for testing included, once the method has been chosen; nothing is scored
            then. Validation rows are withheld where `val` asks for them or the method needs them.
        options: recipe, network, folder, store, device, threads, evaluations, select, calibrate as in `Fit`; others as
            in `data.load`.
    """
    resolved = resolve(method)  # before the data are read
    if options.get("network") is not None:
        check_factory(options["network"])
    training = {name: options.pop(name) for name in signature(Fit).parameters if name in options}
    if options.get("backbone") is not None and "device" in training:
        options["device"] = training["device"]
    if every_row:
        splits = load_every_row(data, labels, needs_val=resolved.needs_val, **options)
    else:
        splits = load(data, labels, **options)
    if pretrained is not None:
        training["recipe"] = started(training.get("recipe"), pretrained, splits, training.get("network"))
    made = Fit(resolved, splits, seed=seed, **training)
    for note in without_effect([resolved], made.recipe):
        log.warning("%s", note)
    return made
