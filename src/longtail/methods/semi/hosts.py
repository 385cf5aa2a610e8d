"""What the hosts of semi-supervised learning share: their data, their stage, and which corrections act over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from torch import nn

from longtail import losses
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SEMI_SUPERVISED
from longtail.data import Part, TrainingSet, together
from longtail.data.views import Mixing
from longtail.engine import Built, Recipe, Stage
from longtail.engine.default_recipe import USB
from longtail.facts.knobs import Range
from longtail.facts.learner import Learner
from longtail.learners import SemiSupervisedLearner

Count = Annotated[int, Range(1, integer=True)]
MakeParts = Callable[[TrainingSet, nn.Module], tuple[nn.Module, nn.Module, nn.Module]]
"""(all rows, network) -> host, guess and use of a `SemiSupervisedLearner`."""
SLOTS = frozenset({"update", "criterion", "targets", "auxiliary", "generations", "classifier"})
"""Of every host: "criterion" is the loss of its labelled rows, which it also compares further views by."""
HOSTS = ("fixmatch", "mixmatch", "remixmatch")
FIXMATCH: Any = "fixmatch"
"""The default of a base."""
CHANGED = ("optimizer", "lr", "batch_size", "weight_decay", "decay", "drop", "warmup")
OWN = {name: getattr(USB, name) for name in CHANGED}
"""USB's long-tailed recipe, without its network and its length."""


def host(
    name: str,
    reference: str,
    parts: MakeParts,
    *,
    views: Callable[[Part], Sequence[str]],
    mu: int,
    decay: float,
    mixing: Mixing | None = None,
    strengthened: bool = False,
    **more: Any,
) -> Method:
    """Return a method that trains once on labelled rows and rows without labels, which corrections act over.

    Args:
        name: its key, for messages.
        reference: key of the paper.
        parts: makes what is its own.
        views: rows without labels -> names of their views.
        mu: rows without labels for each labelled row of a batch.
        decay: of the moving average.
        mixing: of all rows and views of a batch, or None.
        strengthened: whether labelled rows get the view "strong".
        more: further fields of the method.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            if data.unlabeled is None:
                raise ValueError(f"{name} needs rows without labels, got none; pass some as unlabeled (--unlabeled)")
            network = recipe.network(data.labeled)
            own, guess, use = parts(data, network)
            learner = SemiSupervisedLearner(network, losses.CrossEntropyLoss(), own, guess, use, decay=decay)
            rows = data.labeled.drawn(recipe.batch_size)
            if strengthened:
                rows = rows.strengthened(torch.ones(len(rows), dtype=torch.bool))
            rest = data.unlabeled.drawn(mu * recipe.batch_size, views=views(data.unlabeled))
            return Built(learner, together(rows, unlabeled=rest, mixing=mixing))

        return [stage_under(recipe, "train", SELF, build)]

    return Method(stages, cited(reference), task=SEMI_SUPERVISED, slots=SLOTS, own=OWN, **more)
