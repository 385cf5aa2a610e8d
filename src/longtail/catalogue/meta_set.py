"""Corrections that learn weights on a meta set: taken from the training rows before the base is built on the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import torch
from torch import Tensor

from longtail.catalogue.compose import BaseMethod, corrected, with_update
from longtail.catalogue.implied import Implied
from longtail.catalogue.method import Method
from longtail.data import Part, TrainingSet, together
from longtail.engine import Built, Recipe
from longtail.facts.knobs import Range
from longtail.facts.learner import Learner
from longtail.facts.messages import quoted
from longtail.learners import SupervisedLearner
from longtail.sampling import ClassBalancedSampler, meta_rows
from longtail.sampling.meta_rows import lent
from longtail.updates import MetaWeights, Reweight

SLOTS = ("weights", "update", "mixing")
"""Mixing: the rows of the meta set are taken as they are."""
Base = Annotated[Method, BaseMethod(slots=SLOTS)]
PerClass = Annotated[int, Range(1, integer=True)]
MetaBatch = Annotated[int, Range(1, integer=True)]
Every = Annotated[int, Range(1, integer=True)]
HEAD = "learner.network.head"
"""The classifier, by its name in the module that `Reweight` looks ahead of."""


def with_meta_set(
    base: Method,
    make: Callable[[Tensor], MetaWeights],
    *,
    per_class: int,
    meta_batch: int,
    last_layer: bool,
    every: int,
    eager: str = "",
    prior: Implied | None = None,
    **more: Any,
) -> Method:
    """Return the base on the rows outside of a meta set, its losses weighed by a look-ahead on batches of that set.

    Args:
        base: the method underneath.
        make: class counts of the rows that stay -> the weights.
        per_class: rows of each class in the meta set, at most, see `sampling.meta_rows`.
        meta_batch: its rows in a step: a class, then one of its rows, both uniformly.
        last_layer, every: as the weights have them.
        eager: why steps cannot be captured for another reason.
        prior: class counts -> prior of the scores, on the rows that stay; None for that of the base.
        more: fields of the method to replace.
    """

    def split(data: TrainingSet) -> tuple[Part, Part]:
        rows = data.labeled
        meta, stay = meta_rows(rows.targets, per_class, sample_weight=rows.sample_weight)
        return rows.take(meta.to(rows.targets.device)), rows.take(stay.to(rows.targets.device))

    def change(built: Built, data: TrainingSet) -> Built:
        _check_learner(built.learner, last_layer)
        meta, stay = split(data)
        changed = with_update(lambda rows: Reweight(make(stay.class_counts)))(built, data)
        draw = ClassBalancedSampler(meta.targets, num_samples=meta_batch * max(built.data.steps(), 1))
        return changed._replace(data=together(built.data, meta=meta.drawn(meta_batch, draw)))

    shares = base.prior if prior is None else prior
    return corrected(
        base,
        SLOTS,
        change,
        rows=lambda data: replace(data, labeled=split(data)[1]),
        check=None if last_layer else not_compiled,
        eager=eager or ("only every k-th step looks ahead" if every > 1 else ""),
        prior=_on_the_rest(shares, per_class),
        notes=(*base.notes, partial(lent_of_all, per_class), lent_and_kept),
        **more,
    )


def not_compiled(recipe: Recipe, rows: Part) -> str | None:
    """Return why a compiled network cannot be looked through; None where the recipe compiles none."""
    if not recipe.compile:
        return None
    return (
        "compile must be off, since a compiled network has no such derivative, got compile=True; leave it out, or "
        "write last_layer=True"
    )


def lent_of_all(per_class: int, rows: Part) -> str:
    """Return a note on how many training rows are in the meta set instead."""
    counts = torch.bincount(rows.targets.cpu(), minlength=len(rows.classes))
    number = int(lent(counts, per_class).sum())
    return f"methods with a meta set of {per_class} rows a class train on {len(rows) - number} of {len(rows)} rows"


def lent_and_kept(rows: Part) -> str | None:
    """Return a note on the classes whose only row is in the meta set and in training; None without such."""
    counts = torch.bincount(rows.targets.cpu(), minlength=len(rows.classes))
    single = [quoted(rows.classes[j]) for j in torch.nonzero(counts == 1).flatten().tolist()]
    if not single:
        return None
    names = ", ".join(single[:5]) + (" ..." if len(single) > 5 else "")
    classes = "1 class" if len(single) == 1 else f"{len(single)} classes"
    return f"meta sets contain the only training row of {classes}, which is trained on, too: {names}"


def _check_learner(learner: Learner, last_layer: bool) -> None:
    """Raise ValueError where the losses cannot be weighed, or the head is not trained."""
    if not isinstance(learner, SupervisedLearner) or learner.weights is not None or learner.mixing is not None:
        kind = "one with weights or mixing" if isinstance(learner, SupervisedLearner) else type(learner).__name__
        raise ValueError(
            f"base must train a SupervisedLearner without weights and mixing, got {kind}; choose another base"
        )
    trained = [name for name, p in learner.network.named_parameters() if p.requires_grad]
    if last_layer and not any(name.startswith("head.") for name in trained):
        raise ValueError("last_layer must be False for a base whose classifier is not trained, got True; leave it out")


def _on_the_rest(shares: Implied | None, per_class: int) -> Implied:
    """Return a prior (None: the counts) as a function of all counts, for a base on the rows outside of the meta set."""

    def of(counts: Tensor) -> Tensor:
        rest = counts if counts.is_floating_point() else counts - lent(counts, per_class)  # of weighted rows not known
        return rest.double() if shares is None else shares(rest)

    return of
