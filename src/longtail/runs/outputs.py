"""The configuration of a training, and its results: predictor, predictions, run.json."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import torch as safetensors
from torch import Tensor

from longtail import posthoc
from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.data import Part, Splits
from longtail.data.split.folds import Folds
from longtail.engine import Recipe
from longtail.engine.machine import machine
from longtail.engine.precision import resolved
from longtail.facts import files
from longtail.facts.learner import Learner
from longtail.runs import class_sets, manifest, sources
from longtail.runs.predictor import Predictor
from longtail.version import __version__


def configuration(
    method: Method, splits: Splits, seed: int, recipe: Recipe, device: str, threads: int, calibrate: str | None = None
) -> dict[str, Any]:
    """Return the content of config.json, everything resolved; the keys of `run.IDENTITY` decide the result."""
    return {
        "schema_version": manifest.SCHEMA,
        "method": method.spec,
        **({} if method.given is None else {"classifier": method.given.described}),
        "seed": seed,
        "data": described(splits),
        "recipe": recipe.to_json(),
        "precision": resolved(recipe.precision, recipe.builder(splits.train)["name"], device),
        "device": device,
        "threads": threads,
        "machine": machine(device),
        "versions": {
            "longtail": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            **({} if method.given is None else method.given.packages),
        },
        **({} if calibrate is None else {"calibrate": calibrate}),
    }


def group_counts(data: Splits | Folds) -> Tensor:
    """Return the counts (C,) by which classes are many, medium or few: clean ones where known, else `class_counts`."""
    return data.class_counts if data.clean_counts is None else data.clean_counts


def described(data: Splits | Folds) -> dict[str, Any]:
    """Return the entry of config.json on the data; its hash covers every value.

    Its `class_counts` are those that group the classes.
    """
    return {
        "name": data.name,
        "facts": data.facts,
        "hash": data.hash,
        "classes": list(data.classes),
        "class_counts": group_counts(data).tolist(),
        "test_counts": data.test_counts.tolist(),
    }


def predictor_of(method: Method, splits: Splits, learner: Learner, device: str) -> Predictor:
    """Return the trained network with its scale and post-hoc rule; rules read it, or are fitted on validation data."""
    inference, counts = learner.inference(), splits.class_counts.cpu()
    rule = None if method.posthoc is None else method.posthoc(counts).to(device)
    if (named := getattr(rule, "name_classes", None)) is not None:
        named(splits.classes)
    if inference.offsets is not None:
        if rule is not None:
            raise ValueError(f"method {method.key!r} has a post-hoc rule and a learnt prior; leave out one of them")
        rule = posthoc.LogitAdjustment(inference.offsets.double().softmax(0).cpu(), tau=1.0).to(device)
    if (read := getattr(rule, "read", None)) is not None:
        read(inference.network, inference.scale)
    predictor = Predictor(
        inference.network,
        splits.classes,
        counts,
        scale=inference.scale,
        link=inference.link,
        posthoc=rule,
        preparation=splits.preparation,
        prior=None if method.prior is None else method.prior(counts),
        label=splits.facts.get("label"),
    ).to(device)
    if rule is not None and splits.val is not None and (fit := getattr(rule, "fit", None)) is not None:
        weight = splits.val.sample_weight
        weighed = {} if weight is None else {"sample_weight": weight}
        fit(_scores(predictor, splits.val), splits.val.targets.to(device), **weighed)
    return predictor


def predictions(predictor: Predictor, splits: Splits) -> dict[str, Tensor]:
    """Predict the test part, and return the arrays of predictions.safetensors."""
    test = splits.test
    if splits.every_row:
        none = torch.empty(0, dtype=torch.int64)
        return {"scores": torch.empty(0, len(splits.classes)), "targets": none, "index": none.clone()}
    scores = _scores(predictor, test)
    index = torch.arange(len(test)) if splits.test_rows is None else splits.test_rows.contiguous()
    arrays = {"scores": scores.cpu(), "targets": test.targets, "index": index}
    if predictor.posthoc is not None:
        arrays["adjusted_scores"] = predictor.adjusted(scores).cpu().contiguous()
    if test.sample_weight is not None:
        arrays["sample_weight"] = test.sample_weight
    return arrays


def write_validation(
    folder: Path, predictor: Predictor, splits: Splits, task: str, *, chosen: bool = False
) -> tuple[str, ...]:
    """Write validation.safetensors, the scores of the validation part before any rule; return the files' names.

    Nothing is written without such a part, of one whose labels are sets, and of an encoder. The predictor's sets are
    fitted on these scores, except where the part has chosen the training (`chosen`): then it can promise nothing.
    """
    part = splits.val
    if part is None or part.kind != "given" or task == SELF_SUPERVISED:
        return ()
    scores = _scores(predictor, part)
    arrays = {"scores": scores.cpu(), "targets": part.targets.cpu().contiguous()}
    if predictor.posthoc is not None:
        arrays["adjusted_scores"] = predictor.adjusted(scores).cpu().contiguous()
    if part.sample_weight is not None:
        arrays["sample_weight"] = part.sample_weight.cpu().contiguous()
    if not chosen:
        predictor.sets = class_sets.fitted(predictor, scores, part)
    files.write_bytes(folder / manifest.VALIDATION, safetensors.save(arrays))
    return (manifest.VALIDATION,)


def prior_entries(prior: Tensor, training: Tensor) -> dict[str, list[float]]:
    """Return the entries of run.json on class shares: those that the scores refer to, and those of the training."""
    shares = training.double().cpu() / training.double().cpu().sum()
    return {"prior": prior.cpu().tolist(), "training_prior": shares.tolist()}


def write_result(
    folder: Path, method: Method, data: Splits | Folds, seed: int, arrays: dict[str, Tensor], names: Iterable[str],
    *, link: str, predicted: str, **entries: Any,
) -> dict[str, Any]:  # fmt: skip
    """Write sources and, last of all, run.json; return the content of run.json.

    Args:
        folder: of the run.
        method, data, seed: of the run.
        arrays: of predictions.safetensors, which is written.
        names: the other files of the run, beside config.json.
        link: how its scores become probabilities.
        predicted: checksum of predictions.safetensors.
        entries: what else run.json says: `seconds`, `reuses`, `prior` and `training_prior` and, of a cross-validated
            run, `folds`.
    """
    sources.write(folder, data.origin)
    result = {
        "method": method.spec,
        "key": method.key,
        "reference": method.reference.short,
        "retrains": method.retrains,
        "seed": seed,
        **entries,
        "scores": manifest.scores_of(arrays, link, group_counts(data)),
        **manifest.encoder_results(arrays, group_counts(data)),
        "link": link,
        "sources": None if data.origin is None else data.origin.digest,
        "hashes": {"data": data.hash, "predictions": predicted},
    }
    return manifest.write(folder, result, (manifest.CONFIG, manifest.PREDICTIONS, *names))


def _scores(predictor: Predictor, part: Part, size: int = 1024) -> Tensor:  # rows read at once
    return torch.cat([predictor.scores(inputs) for inputs in part.chunks(size)])
