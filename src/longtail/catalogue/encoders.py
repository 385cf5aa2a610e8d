"""Encoders trained without labels: a probe on their frozen features, or another training that starts from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from longtail.catalogue.compose import BaseMethod, Change, corrected
from longtail.catalogue.experts import each_expert
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.probing import RowFeatures, chosen_rows, full_rows
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.data import Part, TrainingSet
from longtail.data.training_set import joined
from longtail.data.views.view_sets import check_pair
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners import PairLearner, SupervisedLearner
from longtail.learners.branches import Shared
from longtail.learners.divided import DividedLearner
from longtail.learners.probes import probe
from longtail.losses import CrossEntropyLoss
from longtail.models import copy_body

VIEWS = ("contrast", "contrast")
PROBE = "probe"
"""Name of the stage that classifies."""
DISTILLED = "distilled"
"""Name of a stage that learns from other networks, not by comparing views."""
MakeHost = Callable[[Any, Part], nn.Module]
"""Network and rows -> host."""
ENCODER_SLOTS = frozenset({"update", "branch", "temperature", "views", "surrogate", "experts"})
"""What corrections can change in the training of an encoder."""


def encoder_base(*slots: str) -> BaseMethod:
    """Return the rule of a knob that names a self-supervised method with these slots free."""
    return BaseMethod(
        words=("simclr", "moco", "byol"), slots=slots, task=SELF_SUPERVISED, such=("simclr", "simclr(t=0.5)")
    )


def encoder_stage(
    recipe: Recipe,
    spec: str,
    host: MakeHost,
    *,
    passes: str = "joint",
    projection: Mapping[str, Any] = {},
    views: Sequence[str] = VIEWS,
    labelled: bool = False,
) -> Stage:
    """Return the stage that trains an encoder by comparing two views of all rows, with labels or without.

    Batches are those of the recipe, somewhat larger where the last one would have a single row.

    Args:
        recipe: of the training.
        spec: text of everything that decides what the encoder learns, so that methods share one training.
        host: network and rows -> what compares the projections of the two views (`learners.pair.Host`).
        passes: see `learners.branches.Shared`.
        projection: further arguments of the head that projects.
        views: names of the two views.
        labelled: whether the host reads labels, so that rows without one do not take part.
    """

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        rows = data.labeled if labelled else all_rows(data)
        network = recipe.network(rows, "projection", **projection)
        learner = PairLearner(network, host(network, rows), branch=Shared(passes))
        size = without_single_rows(recipe.batch_size, len(rows))
        return Built(learner, rows.drawn(size, views=check_pair(views)))

    return stage_under(recipe, "encoder", spec, build)


def without_single_rows(batch_size: int, rows: int) -> int:
    """Return the smallest batch size from this one on with which no batch of an epoch has one row.

    A row alone has nothing to be compared with, a loss of 0 and no batch statistics.
    """
    while rows > 1 and rows % batch_size == 1:
        batch_size += 1
    return batch_size


def over_encoders(base: Method, slots: str | Collection[str], change: Change, **more: Any) -> Method:
    """Return the base with `change` made to what trains its encoder; its probe stays as it is.

    Of experts on clusters of the rows (dnc) each is changed by itself, as a training on its own rows; what learns from
    other networks stays as it is.

    Args:
        base: the method underneath.
        slots: those that the change fills.
        change: what a stage has built, with a `PairLearner`, and its rows -> what is trained instead.
        more: further arguments of `compose.corrected`.
    """

    def encoders(built: Built, data: TrainingSet) -> Built:
        if isinstance(built.learner, DividedLearner):
            return each_expert(built, data, change)
        return change(built, data) if isinstance(built.learner, PairLearner) else built

    made = corrected(base, slots, encoders, **more)

    def stages(recipe: Recipe) -> Sequence[Stage]:
        both = zip(base.stages(recipe), made.stages(recipe), strict=True)
        # left as it is altogether, so that what begins late in the others need not begin in this one
        return [old if old.name == DISTILLED else new for old, new in both]

    return replace(made, stages=stages)


def probe_stage(recipe: Recipe) -> Stage:
    """Return the stage that fits the recipe's probe on the features of the encoder, which stays as it is; no epochs.

    The features are those of training rows in evaluation mode; a probe on full rows is given those that a long-tailed
    cut left out, which no other stage is.
    """
    chosen = probe(recipe.probe)

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        assert previous is not None
        rows, encoder = data.labeled, previous.inference().network
        if chosen.full:
            assert data.cut is not None
            rows = full_rows(rows, data.cut)
        some = chosen_rows(chosen, rows)
        name, arguments = chosen.head(len(rows) if some is None else len(some))
        network: Any = recipe.network(rows, name, like=encoder, **arguments)
        network.body.load_state_dict(encoder.body.state_dict())  # type: ignore[union-attr]
        network.to(next(encoder.parameters()).device).eval()
        RowFeatures(network, rows).fitted(chosen, lambda *_: network.head)
        learner = SupervisedLearner(network, CrossEntropyLoss(), frozen=["body"])
        return Built(learner, data.labeled.drawn(recipe.batch_size))

    stage = stage_under(recipe, PROBE, f"probe({recipe.probe})", build, 0)
    return replace(stage, reads_cut=chosen.full)


def encoder_stages(method: Method, recipe: Recipe) -> Sequence[Stage]:
    """Return the stages of a self-supervised method, without the probe that is its last one."""
    *encoder, probe = method.stages(recipe)
    assert probe.name == PROBE, f"{method.spec} must end with a probe"
    return encoder


def pretrained(base: Method, encoder: Callable[[Recipe], Sequence[Stage]], **fields: Any) -> Method:
    """Return the base, which starts from the body of an encoder trained before, and from its standardisation.

    The classifier is that of the base, new. Weights, mixing and class balance belong below, as in ssp(base="absgd"):
    a correction over the method would change the training of the encoder, too.

    Args:
        base: with the slot "start" free.
        encoder: recipe -> the stages that train it; their texts are shared by all methods that begin with them.
        fields: of the method to replace, such as `reference`.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        first, *rest = base.stages(recipe)

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert previous is not None
            built = first.build(data, previous)
            copy_body(previous.inference().network, built.learner.get_submodule("network"))
            return built

        return [*encoder(recipe), replace(first, spec=f"{first.spec} from {SELF}", build=build), *rest]

    slots = base.slots & {"update", "classifier", "linear head"}
    return replace(base, stages=stages, taken=base.taken | {"start"}, slots=slots, **fields)


def all_rows(data: TrainingSet) -> Part:
    """Return every training row without its label, so that rows that never had one take part.

    Raises:
        ValueError: of the rows with and without labels one part is in memory and the other is not.
    """
    return data.labeled if data.unlabeled is None else joined(data.labeled, data.unlabeled)
