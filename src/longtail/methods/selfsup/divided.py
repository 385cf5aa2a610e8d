"""Divide and Contrast: an encoder, its clusters, an encoder for each of them, and one that learns from all."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch

from longtail.catalogue.encoders import DISTILLED, VIEWS, all_rows, encoder_base, encoder_stages, probe_stage
from longtail.catalogue.experts import cluster_rows, side_by_side
from longtail.catalogue.features import hidden_features
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Length, Range
from longtail.facts.learner import Learner
from longtail.learners import PairLearner
from longtail.learners.clusters import clustered
from longtail.learners.divided import DistilledLearner, DividedLearner

Base = Annotated[Method, encoder_base("experts")]
Number = Annotated[int, Range(1, integer=True)]
Share = Annotated[float, Length(0, 1, open_low=True)]
MOCLR: Any = "moclr"
BY_CLUSTER = "every row is shown to the expert of its own cluster alone"
"""Why the distillation is not captured: how many rows an expert has in a batch depends on values."""


def dnc(
    *, base: Base = MOCLR, clusters: Number = 5, first: Share = 0.2, experts: Share = 0.6, distillation: Share = 0.2
) -> Method:
    """DnC, Divide and Contrast: an expert for each cluster of the rows, and one network that learns from all.

    loss = that of `base`, of one encoder and then of an expert for each of its clusters; then
    mean of ||r_b(z) - u(z_b)||^2 / 2 + ||r_k(z) - u(z_k)||^2 / 2, z the projection of a new network, r heads on it.

    Four stages, then the probe. (1) `base` on all rows, for the share `first` of the recipe's epochs. (2) k-means on
    the directions of the projector's hidden layer, in evaluation mode and without augmentation; a cluster of one row
    joins the nearest. (3) A new encoder of `base` for each cluster, on its rows alone, for the share `experts` of the
    epochs, so that an expert has steps in proportion to its rows; inputs are standardised as in (1). (4) A new network
    learns, from two views a row, the projections z_b of (1) and z_k of the expert of the row's cluster, for the share
    `distillation`. u divides by the length; a head is the projector without its last norm.

    The shares are those of the paper's 200, 600 and 200 epochs for 5 clusters; with a sum of 1 it makes about as many
    steps as `base` alone. Each stage has the whole schedule of the learning rate, and one epoch at least. Of more than
    1.5 million rows so many are clustered, and the others join the nearest centre.

    A correction over dnc, such as `rwsam(base="dnc")`, changes the first encoder and every expert, each on its own
    rows; the distillation has no such loss and stays as it is. Another kind of step (`sam`) is taken in all stages.

    Cost: the distillation passes every view through two further networks, without a gradient.

    Tian et al. 2021.

    Works: Many rows of many kinds. The authors' reason: on uncurated, long-tailed data most negatives are of other
    kinds and easy; within a cluster they are like the anchor. In their ablation (ImageNet, 3000 epochs) experts on
    clusters exceed experts on random parts, 75.8 to 73.1 %.

    Breaks: Few rows: an expert sees the rows of its cluster alone, and its batches have few negatives. Clusters that
    follow from the views or the backgrounds divide nothing of use.

    Paper and code: No code was released. The budgets of the longer schedules are 1000/1500/500 epochs (5 clusters) and
    1000/3000/500 (10). Ours, as the text read does not say it: teachers in evaluation mode, on the same views as the
    network that learns; heads that see all rows of a batch; experts trained side by side, each batch of one cluster.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        (encoder,) = encoder_stages(base, _shorter(recipe, first))
        (expert,) = encoder_stages(base, _shorter(recipe, experts))
        spec = f"experts of {SELF} x {expert.spec}"
        found = stage_under(
            recipe, "clusters", f"clusters of {SELF}", lambda data, last: _divided(data, last, clusters), 0
        )
        return [
            encoder,
            replace(found, preparatory=True),
            replace(expert, name="experts", spec=spec, build=lambda data, last: _experts(data, last, expert)),
            _distilled(_shorter(recipe, distillation)),
            probe_stage(recipe),
        ]

    return replace(base, stages=stages, taken=base.taken | {"experts"}, reference=cited("tian2021divide"))


def _shorter(recipe: Recipe, share: float) -> Recipe:
    return replace(recipe, epochs=max(1, round(share * recipe.epochs)))


def _divided(data: TrainingSet, previous: Learner | None, clusters: int) -> Built:
    """Return a learner that is not trained: the encoder and the cluster of every row."""
    assert previous is not None
    network, rows = copy.deepcopy(previous.inference().network), all_rows(data)
    hidden = hidden_features(network.eval(), rows)
    seed = int(torch.randint(2**31, ()))  # of the run's own seed
    return Built(DividedLearner(network, clustered(hidden, clusters, seed)), rows.drawn(1))


def _experts(data: TrainingSet, previous: Learner | None, expert: Stage) -> Built:
    assert isinstance(previous, DividedLearner)
    network: Any = copy.deepcopy(previous.network)
    assignment = previous.assignment.clone()
    trainings = []
    for rows in cluster_rows(data, assignment):
        built = expert.build(rows, None)
        learner = built.learner
        if not isinstance(learner, PairLearner):
            raise ValueError(f"base must compare two views, got {type(learner).__name__}; choose another base")
        for own in (learner.network, learner.average):
            if own is not None:
                own.get_submodule("standardize").load_state_dict(network.standardize.state_dict())
        trainings.append(built)
    return side_by_side(network, assignment, trainings)


def _distilled(recipe: Recipe) -> Stage:
    def build(data: TrainingSet, previous: Learner | None) -> Built:
        assert isinstance(previous, DividedLearner)
        base: Any = copy.deepcopy(previous.network)
        experts = [copy.deepcopy(expert.inference().network) for expert in previous.experts]
        rows = all_rows(data)
        network: Any = recipe.network(rows, "projection", **base.builder.get("head_args", {}))
        network.standardize.load_state_dict(base.standardize.state_dict())
        heads = [network.head.regressor() for _ in range(1 + len(experts))]
        learner = DistilledLearner(network, heads, base, experts, previous.assignment.clone())
        return Built(learner, rows.drawn(recipe.batch_size, views=VIEWS))

    return replace(stage_under(recipe, DISTILLED, f"distilled from {SELF}", build), eager=BY_CLUSTER)
