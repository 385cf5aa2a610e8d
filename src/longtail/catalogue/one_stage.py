"""The stages of a method that trains once, from scratch, under the recipe: most methods of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.engine.stage import Build
from longtail.facts.learner import Learner
from longtail.facts.types import Draw
from longtail.learners import SupervisedLearner
from longtail.learners.supervised import Criterion
from longtail.losses import Loss
from longtail.models import copy_body

MakeStages = Callable[[Recipe], Sequence[Stage]]
MakeLoss = Callable[[Tensor], Loss]
MakeDraw = Callable[[Tensor], Draw]

SELF = "<self>"
"""Placeholder in a stage's text for name and knobs of its method, filled in when the method is named."""


def stage_under(recipe: Recipe, name: str, spec: str, build: Build, epochs: int | None = None) -> Stage:
    """Return a stage with the optimiser and the learning rate of a recipe, and its epochs where none are given."""
    epochs = recipe.epochs if epochs is None else epochs
    return Stage(name, spec, build, epochs, recipe.make_optimizer, recipe.learning_rate, lr_per=recipe.lr_per)


def one_stage(
    loss: MakeLoss,
    *,
    spec: str = SELF,
    head: str = "linear",
    head_args: Mapping[str, Any] | None = None,
    draw: MakeDraw | None = None,
    stronger: Callable[[Part], Tensor] | None = None,
    prepare: Callable[[nn.Module, Part], object] | None = None,
    no_decay: Iterable[str] = (),
    targets: Callable[[Part], nn.Module] | None = None,
    criterion: Criterion | None = None,
) -> MakeStages:
    """The stages of a method that trains once, from scratch, under the recipe.

    Args:
        loss: class counts -> loss.
        spec: text of the training, by hand only where several methods share one training.
        head: the network's classifier, "linear" or "cosine"; `head_args` its further arguments.
        draw: targets -> which rows an epoch visits; None visits each once.
        stronger: training rows -> which of them (N,) get the view "strong" in place of the common augmentation.
        prepare: changes the network before training: where its bias, or its class vectors, begin.
        no_decay: parameters of the network without weight decay.
        targets: training rows -> the targets of each batch; None for the given labels.
        criterion: in place of the loss's own formula (`SupervisedLearner`).
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = data.labeled
            network = recipe.network(rows, head, **(head_args or {}))
            if prepare is not None:
                if previous is not None:  # what is prepared may depend on the features
                    copy_body(previous.get_submodule("network"), network)
                prepare(network, rows)
            learner = SupervisedLearner(
                network,
                loss(rows.class_counts),
                targets=None if targets is None else targets(rows),
                criterion=criterion,
                no_decay=no_decay,
            )
            drawn = rows.drawn(recipe.batch_size, None if draw is None else draw(rows.targets))
            return Built(learner, drawn if stronger is None else drawn.strengthened(stronger(rows)))

        return (stage_under(recipe, "train", spec, build),)

    return stages
