"""HAR written out by hand over any base: the first training, accuracies, strengths, and the step of the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from longtail import losses
from longtail.catalogue.method import Method
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner
from longtail.models.hidden import Hidden
from longtail.sampling.halves import stratified_halves
from longtail.updates.adaptive import AdaptiveRegularisation


def har(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
    (last,) = base.stages(recipe)
    first, second = stratified_halves(data.labeled.targets)

    def half(data: TrainingSet, previous: Learner | None) -> Built:
        rows = data.labeled.take(first)
        return Built(SupervisedLearner(recipe.network(rows), losses.CrossEntropyLoss()), rows.drawn(recipe.batch_size))

    def whole(data: TrainingSet, previous: Any) -> Built:
        learner, rows, _ = last.build(data, None)
        counts, right = [0] * len(data.classes), [0] * len(data.classes)
        previous.eval()
        for i in second.tolist():
            y = int(data.labeled.targets[i])
            counts[y] += 1
            right[y] += int(previous.predict(data.labeled.take(torch.tensor([i])).inputs).argmax()) == y  # type: ignore[union-attr]
        previous.train()
        sizes = data.class_counts.tolist()
        raw = [(1 - r / n) ** 0.6 / size**0.4 for r, n, size in zip(right, counts, sizes, strict=True)]
        strengths = torch.tensor([r / max(raw) for r in raw], dtype=torch.float64)
        return Built(learner, rows, AdaptiveRegularisation(strengths, 10.0, Hidden))

    halves = Stage("halves", "by hand", half, recipe.epochs, recipe.make_optimizer, recipe.learning_rate)
    return [halves, replace(last, build=whole)]
