"""What is measured on a GPU besides the step: losses, methods, whole trainings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import losses, weighting
from benchmarks.gpu.setting import Result, Setting
from benchmarks.gpu.step import Ours
from benchmarks.turns import Variant, failure, measure
from longtail.data import Splits
from longtail.engine.default_recipe import LDAM
from longtail.engine.precision import resolved
from longtail.engine.protocol import protocol
from longtail.facts.ledger import NOT_SAID, mark, published
from longtail.metrics import evaluate
from longtail.posthoc import adjust_logits
from longtail.runs.train import Fit

SHAPES = {(128, 10): 50, (128, 100): 50, (128, 1000): 50, (1024, 8142): 20}
"""Shape of the logits -> steps a round."""
TRAINED = {"ldam-drw": "", "ce": "logit-adjusted-posthoc"}
"""Trained method -> the method that a decision rule makes of its logits."""
BENCHMARK = "cifar10-lt-100"
CAPTURED = ("ce", "absgd", "logit-adjusted", "ldam-drw", "cb-focal")
"""Methods whose captured epochs are compared, the first with the others."""


def loss_ratios(setting: Setting) -> Iterator[Result]:
    """Yield, per shape, every loss beside F.cross_entropy, forward and backward."""
    for shape, steps in SHAPES.items():
        if setting.small and shape[1] > 100:
            yield {str(shape): {"not measured": "left out of a smoke test"}}
            continue
        rounds, steps = (2, 2) if setting.small else (15, steps)
        yield {str(shape): losses.measure(shape, rounds, setting.device, steps)}


def method_ratios(setting: Setting) -> Iterator[Result]:
    """Yield a step of ABSGD beside one of SGD, operation by operation, and captured epochs of methods beside ce's."""
    precision = resolved("auto", "resnet32", setting.device)
    names = ("sgd", "absgd") if setting.small else ("sgd", "sgd again", "absgd")
    eager = {name: Variant(partial(weighting.GROUPS["sgd"][name], precision)) for name in names}
    rounds, steps = (1, 1) if setting.small else (12, 40)
    measured = measure(eager, rounds, steps, 1, setting.device, 120, setting.start)
    yield {name: timed.row(measured["sgd"]) for name, timed in measured.items()}
    specs = CAPTURED[:2] if setting.small else CAPTURED
    captured = {spec: Variant(partial(Ours(capture=True).epochs, setting, spec)) for spec in specs}
    measured = measure(captured, 1 if setting.small else 8, 1, 1, setting.device, 120, setting.start)
    yield {f"{spec}, captured": timed.row(measured[CAPTURED[0]]) for spec, timed in measured.items()}


def trainings(setting: Setting) -> Iterator[Result]:
    """Yield accuracy and seconds of whole trainings beside published accuracies, and how far they are meanwhile."""
    splits = setting.splits()
    recipe = setting.recipe(splits, epochs=1 if setting.small else None)
    for spec, rule in TRAINED.items():
        start = time.perf_counter()
        fit = Fit(spec, splits, recipe=recipe, device=setting.device, threads=1, evaluations=0)
        try:
            for record in fit:
                seconds = time.perf_counter() - start
                progress = {"epochs": record["epoch"], "of": recipe.epochs, "seconds": round(seconds, 1)}
                if record["epoch"] % 20 == 0:
                    yield {spec: progress}
            scores = predicted(fit, splits, setting.device)
        except Exception as error:  # the other method is trained all the same
            yield {spec: {"error": failure(error)}}
            continue
        yield {spec: {**progress, "precision": fit.config["precision"], **beside(spec, scores, splits)}}
        if rule:
            yield {rule: {"seconds": 0.0, **beside(rule, adjust_logits(scores, splits.class_counts), splits)}}


def predicted(fit: Fit, splits: Splits, device: str) -> Tensor:
    """Return the logits of the test images."""
    learner: Any = fit.learner.train(False)
    return torch.cat([learner.predict(x.to(device)).cpu() for x in splits.test.chunks(1000)])


def beside(spec: str, scores: Tensor, splits: Splits) -> dict[str, Any]:
    """Return the accuracy in percent, and those published for the method unless their protocol is known to differ."""
    metrics = evaluate(scores, splits.test.targets, class_counts=splits.class_counts)
    rows = [row for row in published() if row.benchmark == BENCHMARK and row.method == spec]
    rows = [row for row in rows if mark(row.not_comparable(protocol(LDAM))) != "≠"]
    return {
        "accuracy": round(100 * float(metrics["accuracy"]), 2),
        "published": {f"{row.source} ({row.protocol.select or NOT_SAID})": round(100 - row.error, 2) for row in rows},
    }
