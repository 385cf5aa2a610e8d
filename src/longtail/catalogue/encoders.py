"""Encoders trained without labels: a probe on their frozen features, or another training that starts from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.probing import RowFeatures, chosen_rows, full_rows
from longtail.data import Part, TrainingSet
from longtail.data.training_set import joined
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.learners import PairLearner, SupervisedLearner
from longtail.learners.pair import PairCriterion
from longtail.learners.probes import probe
from longtail.losses import CrossEntropyLoss
from longtail.models import copy_body

VIEWS = ("contrast", "contrast")


def encoder_stage(
    recipe: Recipe, spec: str, criterion: PairCriterion, *, passes: str = "joint", projection: Mapping[str, Any] = {}
) -> Stage:
    """Return the stage that trains an encoder by comparing two views of all rows, with labels or without.

    Args:
        recipe: of the training.
        spec: text of everything that decides what the encoder learns, so that methods share one training.
        criterion: compares the projections of the two views.
        passes: see `PairLearner`.
        projection: further arguments of the head that projects.
    """

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        rows = all_rows(data)
        network = recipe.network(rows, "projection", **projection)
        learner = PairLearner(network, criterion, passes=passes)
        return Built(learner, rows.drawn(recipe.batch_size, views=VIEWS))

    return stage_under(recipe, "encoder", spec, build)


def probe_stage(recipe: Recipe) -> Stage:
    """Return the stage that fits the recipe's probe on the features of the encoder, which stays as it is; no epochs.

    The features are those of training rows in evaluation mode; a probe on full rows is given those that a long-tailed
    cut left out, which no other stage is.
    """
    chosen = probe(recipe.probe)

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        assert isinstance(previous, PairLearner)
        rows, encoder = data.labeled, previous.network
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

    stage = stage_under(recipe, "probe", f"probe({recipe.probe})", build, 0)
    return replace(stage, reads_cut=chosen.full)


def pretrained(base: Method, encoder: Callable[[Recipe], Stage], **fields: Any) -> Method:
    """Return the base, which starts from the body of an encoder trained before, and from its standardisation.

    The classifier is that of the base, new. Weights, mixing and class balance belong below, as in ssp(base="absgd"):
    a correction over the method would change the training of the encoder, too.

    Args:
        base: with the slot "start" free.
        encoder: recipe -> the stage that trains it; its text is shared by all methods that begin with it.
        fields: of the method to replace, such as `reference`.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        first, *rest = base.stages(recipe)

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert previous is not None
            built = first.build(data, previous)
            copy_body(previous.get_submodule("network"), built.learner.get_submodule("network"))
            return built

        return [encoder(recipe), replace(first, spec=f"{first.spec} from {SELF}", build=build), *rest]

    slots = base.slots & {"update", "classifier", "linear head"}
    return replace(base, stages=stages, taken=base.taken | {"start"}, slots=slots, **fields)


def all_rows(data: TrainingSet) -> Part:
    """Return every training row without its label, so that rows that never had one take part.

    Raises:
        ValueError: of the rows with and without labels one part is in memory and the other is not.
    """
    return data.labeled if data.unlabeled is None else joined(data.labeled, data.unlabeled)
