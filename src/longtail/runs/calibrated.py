"""The calibration of a trained model: asked for, fitted on the validation part, and described in run.json."""

from __future__ import annotations

from typing import Any

import torch

from longtail import posthoc
from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.data import Splits
from longtail.posthoc.calibration import check_kind
from longtail.runs import unsaved
from longtail.runs.predictor import Predictor

NAME = "calibrate (--calibrate)"


def check(kind: str | None, method: Method, splits: Splits, folder: object) -> None:
    """Check, before any training, that a calibration of this kind can be fitted.

    Raises:
        ValueError: another name, no folder, no validation part, one whose labels are sets, a class without training
            rows, or a method that trains an encoder.
    """
    if kind is None:
        return
    check_kind(kind)
    unsaved.check(method, splits.train, NAME)
    if folder is None:
        raise ValueError(f"{NAME} is of the model in a run folder, got no folder; pass folder=")
    if method.task == SELF_SUPERVISED:
        raise ValueError(f"{NAME} is of probabilities, and {method.key!r} trains an encoder; leave it out")
    if splits.val is None:
        raise ValueError(f"{NAME} needs rows that are not trained on, got no validation part; add --val 0.2 (val=0.2)")
    if splits.val.kind != "given":
        raise ValueError(f"{NAME} needs a validation part with one label a row, got sets of labels; leave it out")
    if bool((splits.class_counts == 0).any()):
        name = splits.classes[int((splits.class_counts == 0).nonzero()[0])]
        raise ValueError(f"{NAME} needs training rows of every class, got none of {name!r}; leave that class out")


@torch.no_grad()
def calibrate(predictor: Predictor, splits: Splits, kind: str | None) -> dict[str, Any]:
    """Calibrate a predictor under its training prior; return the entry of run.json, {} where none is asked for.

    Args:
        predictor: trained; its `calibration` is set.
        splits: with the validation part.
        kind: "temperature", "vector", "isotonic", "auto" or None.
    """
    if kind is None or splits.val is None:
        return {}
    part, prior = splits.val, predictor.training_prior.cpu()
    scores = torch.cat([predictor.scores(inputs) for inputs in part.chunks(1024)])
    made = posthoc.fit_calibration(
        kind,
        predictor.calibrated(scores),
        part.targets,
        num_classes=len(predictor.classes),
        sample_weight=part.sample_weight,
        prior=prior,
    )
    predictor.calibration = made.calibration.to(scores.device)
    entry = {"asked": kind, "name": made.calibration.name, "words": made.words, "log_loss": made.log_loss}
    return {"calibration": entry}
