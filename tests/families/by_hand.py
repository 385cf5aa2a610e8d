"""Every correction written out by hand over any base: what composition by the catalogue is held to.

Nothing here goes through `catalogue.compose` or `Learner.varied`: a learner is made anew, with every slot named.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from dnc_by_hand import dnc
from har_by_hand import har
from rcal_by_hand import rcal
from tests.wrapped_rows import WrappedRows

from longtail import functional, instance_weights, losses, sampling
from longtail.catalogue.method import Method
from longtail.data import Part, TrainingSet, together
from longtail.data.divided import Divided
from longtail.data.further_change import FurtherChange
from longtail.data.generators import derived
from longtail.data.true_labels import TrueCounts
from longtail.data.views.mixing import Mixing
from longtail.engine import Built, Recipe, Stage, Training
from longtail.engine.recipe import build as build_network
from longtail.facts.class_weights import effective_number
from longtail.facts.learner import Learner
from longtail.facts.schedules import Cycle, switch
from longtail.learners import CoTeaching, PairLearner, SemiSupervisedLearner, SupervisedLearner, ViewsLearner
from longtail.learners.balanced_head import BalancedHead
from longtail.learners.branches import Shared
from longtail.learners.density import Densities
from longtail.learners.divided import DividedLearner
from longtail.learners.estimated_priors import EstimatedPriors, MixturePriorLoss
from longtail.learners.geometric import GeometricHarmonization
from longtail.learners.hosts import NTXent
from longtail.learners.mixing import Mixer
from longtail.learners.momentum_losses import MomentumLosses
from longtail.learners.pruned import Pruned
from longtail.models.heads import LearnableScale, MaxNorm, NearestClassMean
from longtail.optim import UncorrectedAdam
from longtail.targets import DARP, Aligned, Alignment, Cleaned, Confident, Debiased, Given, Records, Soft
from longtail.updates import (
    CDR,
    RECOVER,
    SAM,
    ByClass,
    ByRow,
    ImbSAM,
    LearningToReweight,
    MetaResidual,
    MetaWeightNet,
    MetaWeights,
    Reweight,
)
from longtail.updates.divided import EachExpert

Hand = Callable[[Method, Recipe, TrainingSet], Sequence[Stage]]


def supervised(learner: Learner, **slots: Any) -> SupervisedLearner:
    """The learner made anew with other parts in some slots."""
    kept = {
        "network": learner.network, "loss": learner.loss, "targets": learner.targets, "weights": learner.weights,
        "criterion": learner.criterion, "mixing": learner.mixing, "beside": learner.beside,
        "constraint": learner.constraint, "no_decay": learner.no_decay, "rates": learner.rates,
        "frozen": learner.frozen, "moving_norms": learner.moving_norms,
    }  # fmt: skip
    assert set(kept) == set(inspect.signature(SupervisedLearner).parameters), "a new slot: name it here"
    return SupervisedLearner(**{**kept, **slots})


def each_stage(change: Callable[[Stage, TrainingSet, Learner | None], Built]) -> Hand:
    def of(stage: Stage) -> Stage:
        return replace(stage, build=lambda data, previous: change(stage, data, previous))

    return lambda base, recipe, data: [s if s.preparatory else of(s) for s in base.stages(recipe)]


def weights(make: Callable[[Part], Any]) -> Hand:
    def change(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
        learner, rows, update = stage.build(data, previous)
        return Built(supervised(learner, weights=make(data.labeled)), rows, update)

    return each_stage(change)


def absgd(rows: Part) -> Any:
    return instance_weights.ABSGD(switch(0.8, math.inf, 5.0), 0.5)


def abadam(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
    def of(stage: Stage) -> Stage:
        def lr(progress: float) -> Any:
            return 1e-3 / recipe.lr * stage.lr(progress)

        return replace(stage, optimizer=lambda p: UncorrectedAdam(p, lr=1e-3, weight_decay=recipe.weight_decay), lr=lr)

    return [s if s.preparatory else of(s) for s in weights(absgd)(base, recipe, data)]


def absgd_decoupled(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
    *_, last = base.stages(recipe)

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        learner, rows, update = last.build(data, previous)
        slots = {"network": copy.deepcopy(previous.network), "frozen": [*learner.frozen, "body"]}
        return Built(supervised(learner, weights=instance_weights.ABSGD(10.0, 0.5), **slots), rows, update)

    again = replace(recipe, epochs=max(1, round(0.3 * recipe.epochs)))
    return [*base.stages(recipe), replace(last, build=build, epochs=again.epochs, lr=again.learning_rate)]


def sam(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, _ = stage.build(data, previous)
    return Built(learner, rows, SAM(0.05))


def asam(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, _ = stage.build(data, previous)
    return Built(learner, rows, SAM(0.5, adaptive=True, eta=0.01, biases=False))


def imbsam(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, plain = stage.build(data, previous)
    rarest = data.labeled.class_counts == data.labeled.class_counts.min()  # of three classes
    return Built(learner, rows, plain if stage.name == "rotation" else ImbSAM(rarest, 0.05))


def sam_a(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, plain = stage.build(data, previous)
    climb = SAM(0.05, ascent=ByClass(data.labeled.class_counts.float().reciprocal()))
    return Built(learner, rows, plain if stage.name == "rotation" else climb)


def cdr(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, _ = stage.build(data, previous)
    return Built(learner, rows, CDR(0.2, scaled=True))


def co_teaching(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, plain = stage.build(data, previous)
    peer, _, _ = stage.build(data, previous)
    return Built(CoTeaching(learner, peer, switch(0.2, 0.0, 0.2)), rows, plain)  # all rows in the first epoch of five


def recover(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, _ = stage.build(data, previous)
    return Built(learner, rows, RECOVER(switch(0.8, 200.0, 5.0), 0.9))


def by_meta_set(make: Callable[[Method, torch.Tensor], MetaWeights]) -> Hand:
    def hand(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
        meta, stay = sampling.meta_rows(data.labeled.targets, 10)
        own, rest = data.labeled.take(meta), data.labeled.take(stay)

        def change(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
            learner, rows, _ = stage.build(TrainingSet(rest), previous)
            update = Reweight(make(base, rest.class_counts))
            draw = sampling.ClassBalancedSampler(own.targets, num_samples=100 * rows.steps())
            return Built(learner, together(rows, meta=own.drawn(100, draw)), update)

        return each_stage(change)(base, recipe, data)

    return hand


def residual(base: Method, counts: torch.Tensor) -> MetaResidual:
    balanced = base.prior is not None or "shares" in base.taken or "shares" not in base.slots
    return MetaResidual(None if balanced else effective_number(counts, 0.9999), step=0.01, start=0.8)


def darp(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    targets = DARP(len(data.unlabeled), data.labeled.class_counts, start=0.4, period=10, keep=2.0, weights="entropy")
    return Built(semi(learner, targets=targets), rows, update)


def semi(learner: Learner, **slots: Any) -> SemiSupervisedLearner:
    """The learner made anew with other parts in some slots."""
    kept = {
        "network": learner.network, "loss": learner.loss, "host": learner.host, "guess": learner.guess,
        "use": learner.use, "targets": learner.targets, "auxiliary": learner.auxiliary, "decay": learner.decay,
        "average": learner.average, "auxiliary_average": learner.auxiliary_average, "no_decay": learner.no_decay,
    }  # fmt: skip
    assert set(kept) == set(inspect.signature(SemiSupervisedLearner).parameters), "a new slot: name it here"
    return SemiSupervisedLearner(**{**kept, **slots})


def pair(learner: Any, **slots: Any) -> PairLearner:
    """The learner made anew with other parts in some slots."""
    kept = {
        "network": learner.network, "host": learner.host, "branch": learner.branch, "temperature": learner.temperature,
        "auxiliary": learner.auxiliary, "memories": learner.memories, "average": learner.average,
        "no_decay": learner.no_decay,
    }  # fmt: skip
    assert set(kept) == set(inspect.signature(PairLearner).parameters), "a new slot: name it here"
    return PairLearner(**{**kept, **slots})


def each_encoder(change: Callable[[Any, Any, Any], Built]) -> Hand:
    """Change what trains the encoder, and each of several that are trained on parts of the rows."""

    def of(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
        learner, rows, update = stage.build(data, previous)
        if isinstance(learner, DividedLearner) and stage.epochs:
            both = zip(learner.experts, rows.parts, getattr(update, "updates", [update] * 99), strict=False)
            parts = [change(*one) for one in both]
            divided = DividedLearner(learner.network, learner.assignment, [part.learner for part in parts])
            return Built(divided, Divided(tuple(part.data for part in parts)), EachExpert([p.update for p in parts]))
        return change(learner, rows, update) if isinstance(learner, PairLearner) else Built(learner, rows, update)

    return each_stage(of)


def rwsam(learner: Any, rows: Any, update: Any) -> Built:
    densities = Densities(len(rows), 0.5, "median", 0.1)
    return Built(pair(learner, memories=[*learner.memories, densities]), rows, SAM(0.05, ascent=ByRow(densities)))


def bcl(learner: Any, rows: Any, update: Any) -> Built:
    memory = MomentumLosses(len(rows), 0.97)
    pruned = not isinstance(learner.branch, Shared)
    k, floor = (2, 5.0) if pruned else (1, 10.0)
    further = FurtherChange(rows, lambda: memory.scores, operations=k, floor=floor, random=pruned)
    return Built(pair(learner, memories=[*learner.memories, memory]), further, update)


def sdclr(learner: Any, rows: Any, update: Any) -> Built:
    branch = Pruned(learner.network, 0.9, average=learner.average is not None)
    return Built(pair(learner, branch=branch), rows, update)


def ts(learner: Any, rows: Any, update: Any) -> Built:
    return Built(pair(learner, temperature=Cycle(0.1, 1.0, 5.0)), rows, update)


def gh(learner: Any, rows: Any, update: Any) -> Built:
    frame = functional.simplex_frame(100, learner.network.head.out_features)
    return Built(pair(learner, auxiliary=GeometricHarmonization(frame, len(rows))), rows, update)


def abc(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    head = torch.nn.Linear(8, len(data.classes))
    head.load_state_dict(learner.network.head.state_dict())
    counts = torch.bincount(rows.main.targets, minlength=len(data.classes))
    return Built(semi(learner, auxiliary=BalancedHead(head, counts)), rows, update)


def simpro(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    use = learner.use if isinstance(learner.use, Soft) else Confident(learner.use.threshold, soft=True)
    priors = EstimatedPriors(rows.main.class_counts, use, min(12, len(rows.main)))
    return Built(semi(learner, targets=priors, use=use, loss=MixturePriorLoss(priors)), rows, update)


def self_trained(base: Method, recipe: Recipe, data: TrainingSet, *, aligned: bool = False) -> Sequence[Stage]:
    """Five epochs in two generations, of two and of three; the second begins from what the first predicts."""
    rest, counts = data.unlabeled, data.labeled.class_counts
    (first,), (second,) = (base.stages(replace(recipe, epochs=epochs)) for epochs in (2, 3))

    def build(number: int, previous: Any) -> Built:
        rows = data
        if number > 0:
            previous.eval()
            p = torch.cat([previous.predict(x[None]) for x in rest.inputs]).softmax(1)
            previous.train()
            confidence, labels = p.max(1)
            chosen: list[int] = []
            for place, k in enumerate(sorted(range(3), key=lambda k: -counts[k])):
                mine = sorted(torch.nonzero(labels == k).flatten().tolist(), key=lambda i: -confidence[i])
                rate = float(sorted(counts.tolist())[place] / counts.max()) ** (1 / 3)
                chosen += mine[: int(rate * len(mine) + 1e-9)]
            more = replace(rest.take(torch.tensor(sorted(chosen), dtype=torch.int64)))
            labelled = replace(
                data.labeled, inputs=torch.cat([data.labeled.inputs, more.inputs]),
                targets=torch.cat([data.labeled.targets, labels[sorted(chosen)]]),
            )  # fmt: skip
            rows = TrainingSet(labelled, rest, given=data.labeled)
        learner, both, update = (first, second)[number].build(rows, None)
        if number > 0:
            both = replace(both, count=-(-len(data.labeled) // recipe.batch_size))
        if aligned:
            shares = (counts / counts.sum()).double() ** (1 - 0.5 * number)
            learner = semi(learner, targets=Aligned(Alignment(shares / shares.sum())))
        return Built(learner, both, update)

    return [
        replace(first, build=lambda _, previous: build(0, previous)),
        replace(second, build=lambda _, previous: build(1, previous)),
    ]


def records(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    targets = Records(learner.targets, 8, len(data.classes), momentum=0.9, tau=1.0)
    return Built(with_targets(learner, targets), rows, update)


def oracle_la(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    assert isinstance(data, TrueCounts)
    return Built(
        with_targets(learner, Debiased(learner.targets, data.clean_counts / data.clean_counts.sum())), rows, update
    )


def with_targets(learner: Any, targets: torch.nn.Module) -> Learner:
    if isinstance(learner, ViewsLearner):
        return ViewsLearner(
            learner.network, learner.criterion, targets, mixup=learner.mixup, start=learner.start,
            no_decay=learner.no_decay,
        )  # fmt: skip
    return supervised(learner, targets=targets)


def drw(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    kind, new = type(learner.loss), {"class_counts", "class_weight", "reweight"}
    same = {name: getattr(learner.loss, name) for name in inspect.signature(kind).parameters if name not in new}
    late = switch(0.8, 0.0, 1.0)
    loss = kind(data.labeled.class_counts, class_weight="effective", reweight=late, **same)
    return Built(supervised(learner, loss=loss), rows, update)


def cleaned(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    smoothing = learner.loss.label_smoothing
    targets = Cleaned(rows.targets, len(data.classes), erm=0.4, ncm=0.2, given=0.2, start=0.4, smoothing=smoothing)
    return Built(supervised(learner, targets=targets), rows, update)


def cleaned_drw(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    smoothing = learner.loss.label_smoothing
    targets = Cleaned(
        rows.targets, len(data.classes), at=0.8, surrogate=0.5, class_weight="effective", smoothing=smoothing
    )
    return Built(supervised(learner, targets=targets), rows, update)


def drs(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
    learner, rows, update = stage.build(data, previous)
    draw = sampling.Deferred(sampling.ClassBalancedSampler(rows.targets), at=0.8)
    return Built(learner, replace(rows, draw=draw), update)


def mixed(place: int | None, **remix: float) -> Hand:
    def change(stage: Stage, data: TrainingSet, previous: Learner | None) -> Built:
        learner, rows, update = stage.build(data, previous)
        counts = data.labeled.class_counts if remix else None
        mixer = Mixer(len(learner.network.places), place, counts=counts, **remix)
        return Built(supervised(learner, mixing=mixer), replace(rows, mixing=Mixing(1.0)), update)

    return each_stage(change)


def from_the_body_of(make: Callable[[Recipe, TrainingSet], Built]) -> Hand:
    def hand(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
        first, *rest = base.stages(recipe)

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            learner, rows, update = first.build(data, None)
            with torch.no_grad():
                for part in ("standardize", "body"):
                    mine, theirs = (getattr(n, part).state_dict() for n in (learner.network, previous.network))
                    for name, tensor in mine.items():
                        tensor.copy_(theirs[name])
            return Built(learner, rows, update)

        encoder = Stage(
            "encoder", "by hand", lambda data, previous: make(recipe, data), recipe.epochs, recipe.make_optimizer,
            recipe.learning_rate,
        )  # fmt: skip
        return [encoder, replace(first, build=build), *rest]

    return hand


def contrast(recipe: Recipe, data: TrainingSet) -> Built:
    network = recipe.network(data.labeled, "projection", dim=128)
    learner = PairLearner(network, NTXent(0.2))
    return Built(learner, data.labeled.drawn(recipe.batch_size, views=("contrast", "contrast")))


class TurnedByHand(WrappedRows):
    """Batches of square images and their turns as labels."""

    def draws(self, progress: float, generator: torch.Generator) -> Any:
        places = torch.rand(len(self.rows), generator=derived(generator, "turns"))
        for drawn, place in zip(self.rows.draws(progress, generator), places.split(self.rows.batch_size), strict=True):
            yield {**drawn, "place": place}

    def batch_of(self, drawn: Any) -> Any:
        images, turns = self.rows.inputs[drawn["index"]], drawn["place"].argsort() % 4
        turned = [np.rot90(image.numpy(), int(k), (-2, -1)).copy() for image, k in zip(images, turns, strict=True)]
        return {"inputs": torch.from_numpy(np.stack(turned)), "index": drawn["index"], "turns": turns}


def rotate(recipe: Recipe, data: TrainingSet) -> Built:
    network: Any = recipe.network(data.labeled)
    network.head = torch.nn.Linear(network.head.in_features, 4)
    learner = SupervisedLearner(network, losses.CrossEntropyLoss(), targets=Given("turns"))
    rows: Any = TurnedByHand(data.labeled.drawn(recipe.batch_size))
    return Built(learner, rows)


def over_features(make: Callable[[Recipe, TrainingSet, Any], Built], epochs: int, **changes: float) -> Hand:
    """The base trained to its end by itself; then a second training from a copy of what it left."""

    def hand(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
        stages = base.stages(recipe)
        first = Training(stages, data)
        list(first)

        def left(data: TrainingSet, previous: Learner | None) -> Built:
            return Built(copy.deepcopy(first.learner), data.labeled)

        again = replace(recipe, epochs=max(epochs, 1), **changes)
        last = Stage(
            "again", "by hand", lambda data, previous: make(recipe, data, previous), epochs,
            again.make_optimizer, again.learning_rate,
        )  # fmt: skip
        return [*(replace(stage, build=left, epochs=0) for stage in stages), last]

    return hand


def predicting(previous: Any) -> Any:
    """The network, or its average where that predicts."""
    return previous.average if isinstance(previous, SemiSupervisedLearner) else previous.network


def _with_features_of(previous: Any, head: str) -> Any:
    """What the features are of goes with them: the standardisation that the body was trained under."""
    trained = predicting(previous)
    builder = {name: value for name, value in trained.builder.items() if name != "head_args"}
    network: Any = build_network({**builder, "head": head})
    network.standardize = copy.deepcopy(trained.standardize)
    network.body = copy.deepcopy(trained.body)
    return network


def crt(recipe: Recipe, data: TrainingSet, previous: Any) -> Built:
    network = _with_features_of(previous, "linear")
    learner = SupervisedLearner(network, losses.CrossEntropyLoss(), frozen=["body"], moving_norms=True)
    draw = sampling.ClassBalancedSampler(data.labeled.targets)
    return Built(learner, data.labeled.drawn(recipe.batch_size, draw))


def ncm(recipe: Recipe, data: TrainingSet, previous: Any) -> Built:
    network = _with_features_of(previous, "ncm")
    body = predicting(previous).eval()
    with torch.no_grad():
        network.head.fit(body(data.labeled.inputs).features, data.labeled.targets)
    return Built(SupervisedLearner(network, losses.CrossEntropyLoss()), data.labeled)


def lws(recipe: Recipe, data: TrainingSet, previous: Any) -> Built:
    network: Any = copy.deepcopy(previous.network)
    network.head = torch.nn.Sequential(network.head, LearnableScale(len(data.classes)))
    learner = SupervisedLearner(network, losses.CrossEntropyLoss(), frozen=["body", "head.0"], moving_norms=True)
    draw = sampling.ClassBalancedSampler(data.labeled.targets)
    return Built(learner, data.labeled.drawn(recipe.batch_size, draw))


def mislas(recipe: Recipe, data: TrainingSet, previous: Any) -> Built:
    _, rows, _ = lws(recipe, data, previous)
    network: Any = copy.deepcopy(previous.network)
    network.head = torch.nn.Sequential(network.head, LearnableScale(len(data.classes)))
    loss = losses.LabelAwareSmoothingLoss(data.labeled.class_counts, head=0.4, tail=0.1)
    learner = SupervisedLearner(network, loss, rates={"head.0": 0.2}, frozen=["body"], moving_norms=True)
    return Built(learner, rows)


def maxnorm(recipe: Recipe, data: TrainingSet, previous: Any) -> Built:
    network: Any = copy.deepcopy(previous.network)
    loss = losses.ClassBalancedLoss(data.labeled.class_counts, beta=0.9999)
    bound = MaxNorm(previous.network.head.weight, 0.1)
    learner = SupervisedLearner(network, loss, constraint=bound, frozen=["body"], moving_norms=True)
    return Built(learner, data.labeled.drawn(recipe.batch_size))


def los(recipe: Recipe, data: TrainingSet, previous: Any) -> Built:
    network: Any = copy.deepcopy(previous.network)
    loss = losses.LabelAwareSmoothingLoss(data.labeled.class_counts, head=0.98, tail=0.98)
    learner = SupervisedLearner(network, loss, frozen=["body"], moving_norms=True)
    return Built(learner, data.labeled.drawn(recipe.batch_size))


def oltr(recipe: Recipe, data: TrainingSet, previous: Any) -> Built:
    network, rows = _with_features_of(previous, "meta-embedding"), data.labeled
    with torch.no_grad():
        features = network.eval().features(rows.inputs)
        network.head.centroids.copy_(
            NearestClassMean(*network.head.weight.T.shape, features="un").fit(features, rows.targets).means
        )
        network.head.hallucinator.load_state_dict(
            {"bias": torch.zeros(len(data.classes)), **previous.network.head.state_dict()}
        )

    def criterion(outputs: Any, targets: torch.Tensor, weight: Any, progress: Any) -> torch.Tensor:
        memory = functional.discriminative_centroids(
            outputs.features, outputs.extra["head"].centroids, targets, weight=weight
        )
        each = functional.cross_entropy(outputs.logits, targets)
        return memory + (each if weight is None else weight * each)

    rates = {"body": 0.1, "head.centroids": 0.1}
    learner = SupervisedLearner(network, losses.CrossEntropyLoss(), criterion=criterion, rates=rates)
    return Built(learner, rows.drawn(recipe.batch_size, sampling.ClassAwareSampler(rows.targets)))


HAND: dict[str, Hand] = {
    "absgd": weights(absgd),
    "absgd-decoupled": absgd_decoupled,
    "abadam": abadam,
    "term": weights(lambda rows: instance_weights.TERM(1.0, by_class=True, within=0.0)),
    "eg": weights(lambda rows: instance_weights.EG(1.0)),
    "small-loss": weights(lambda rows: instance_weights.SmallLoss(0.8)),
    "har": har,
    "recover": each_stage(recover),
    "co-teaching": each_stage(co_teaching),
    "cdr": each_stage(cdr),
    "sam": each_stage(sam),
    "asam": each_stage(asam),
    "imbsam": each_stage(imbsam),
    "sam-a": each_stage(sam_a),
    "rwsam": each_encoder(rwsam),
    "dnc": dnc,
    "l2rw": by_meta_set(lambda base, counts: LearningToReweight()),
    "mwn": by_meta_set(lambda base, counts: MetaWeightNet()),
    "meta": by_meta_set(residual),
    "darp": each_stage(darp),
    "abc": each_stage(abc),
    "simpro": each_stage(simpro),
    "bcl": each_encoder(bcl),
    "sdclr": each_encoder(sdclr),
    "ts": each_encoder(ts),
    "crest": self_trained,
    "crest-plus": partial(self_trained, aligned=True),
    "records": each_stage(records),
    "gh": each_encoder(gh),
    "oracle-la": each_stage(oracle_la),
    "drw": each_stage(drw),
    "drs": each_stage(drs),
    "rolt": each_stage(cleaned),
    "rolt-drw": each_stage(cleaned_drw),
    "mixup": mixed(0),
    "manifold-mixup": mixed(None),
    "remix": mixed(0, kappa=3.0, tau=0.5),
    "ssp-contrast": from_the_body_of(contrast),
    "ssp": from_the_body_of(rotate),
    "rcal": rcal,
    "crt": over_features(crt, 1),
    "ncm": over_features(ncm, 0),
    "lws": over_features(lws, 1),
    "mislas": over_features(mislas, 1),
    "maxnorm": over_features(maxnorm, 1, lr=0.01, warmup=0, weight_decay=0.1),
    "oltr": over_features(oltr, 5),
    "los": over_features(los, 1, lr=5e-4, warmup=0, weight_decay=0.0),
}
