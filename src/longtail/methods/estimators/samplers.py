"""Resampling before a classifier: a pipeline that resamples the rows given to its `fit`, and no others.

A method is fitted to training rows alone, so that nothing is resampled before a split; at prediction, and in what is
saved, there is no sampler. Numbers are scaled before distances between rows are measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from longtail.catalogue import implied
from longtail.catalogue.method import Check, Method, Misfit, Note
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.engine import Recipe
from longtail.facts.imbalanced_learn import MISSING, imbalanced_learn, installed
from longtail.facts.knobs import Range
from longtail.facts.messages import quoted
from longtail.facts.resampled_counts import lowered, raised
from longtail.methods.estimators.build import estimator
from longtail.methods.estimators.classifiers import Columns, columns_of, without_weights

Ratio = Annotated[float, Range(0, 1, open_low=True)]
Neighbors = Annotated[int, Range(1, 100, integer=True)]
MOST_CELLS = 250_000_000
"""Most values in a table that resampling makes: 2 GB in float64."""
MOST_PAIRS = 10_000
"""Most rows of a class that is raised where all columns are categories: distances of all pairs, 0.8 GB."""

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """How rows are resampled: first rare classes are raised, then large classes are lowered.

    Args:
        kind: of `SmallClassSMOTE`, or "copies"; how classes are raised.
        over: rows of the smallest class by those of the largest once raised; None raises none.
        under: the same once lowered; None lowers none.
        k_neighbors, m_neighbors: of `SmallClassSMOTE`.
    """

    kind: str = "copies"
    over: float | None = None
    under: float | None = None
    k_neighbors: int = 5
    m_neighbors: int = 10

    @property
    def interpolates(self) -> bool:
        """Whether it makes new rows between others."""
        return self.over is not None and self.kind != "copies"

    def counts(self, counts: Counts) -> Counts:
        """Return (C,) rows of each class after it."""
        n = counts if self.over is None else raised(counts, self.over)
        return n if self.under is None else lowered(n, self.under)

    def steps(self, columns: Columns, seed: int) -> list[tuple[str, Any]]:
        """Return the samplers, unfitted."""
        found: list[tuple[str, Any]] = []
        if self.over is not None:
            found.append(("over", self._over(columns, seed)))
        if self.under is not None:
            lower = partial(_goals, rule=lowered, ratio=self.under)
            sampler = imbalanced_learn("under_sampling").RandomUnderSampler
            found.append(("under", sampler(sampling_strategy=lower, random_state=seed)))
        return found

    def _over(self, columns: Columns, seed: int) -> Any:
        ratio = self.over or 1.0
        if not self.interpolates:
            more = partial(_goals, rule=raised, ratio=ratio)
            return imbalanced_learn("over_sampling").RandomOverSampler(sampling_strategy=more, random_state=seed)
        from longtail.classical.smote import SmallClassSMOTE

        return SmallClassSMOTE(
            kind=self.kind,
            ratio=ratio,
            k_neighbors=self.k_neighbors,
            m_neighbors=self.m_neighbors,
            codes=columns.codes,
            random_state=seed,
        )


def _goals(targets: NDArray[Any], rule: Callable[[Any, float], Counts], ratio: float) -> dict[Any, int]:
    """Return class -> rows afterwards, of classes that change; imbalanced-learn's sampling_strategy."""
    labels, counts = np.unique(targets, return_counts=True)
    goals = rule(counts, ratio).astype(int)
    return {label: int(goal) for label, goal, n in zip(labels, goals, counts, strict=True) if goal != n}


def resampled(
    key: str, plain: str, make: Callable[..., Any], misfit: Misfit, sampling: Sampling, reference: str, **knobs: Any
) -> Method:
    """Return a method that fits `plain` to resampled rows.

    Args:
        key: its name.
        plain: key of the classifier.
        make: columns, seed and labels -> the classifier without resampling.
        misfit: which training parts the classifier refuses.
        sampling: how rows are resampled.
        reference: key of the paper.
        knobs: name -> value, for its text.
    """
    text = f"{key}({','.join(f'{name}={value}' for name, value in knobs.items())})"
    instead = f"{plain}-over"
    method = estimator(
        text,
        plain,
        partial(_pipeline, make=make, sampling=sampling),
        without_weights(_refuses(misfit, sampling, plain)),
        cited(reference),
        prior=implied.resampled(sampling.over, sampling.under),
        keep=without_samplers,
        resample=sampling.counts,
        gentler=_slower if plain == "trees" else None,
    )
    if not sampling.interpolates:
        return method
    return replace(method, checks=(_refuses_codes(sampling, instead),), notes=(_few_neighbours(sampling),))


def _pipeline(
    columns: Columns, seed: int, targets: NDArray[np.int64], *, make: Callable[..., Any], sampling: Sampling
) -> Any:
    """Build scaling, samplers, encoding and classifier, unfitted; encoding comes last, since SMOTE needs the codes."""
    pipeline = imbalanced_learn("pipeline").Pipeline
    after = sampling.counts(np.bincount(targets).astype(np.float64)).astype(int)
    model = make(columns, seed, np.repeat(np.arange(len(after)), after))
    *before, last = model.steps if hasattr(model, "steps") else [("classifier", model)]
    if sampling.over is not None and "early_stopping" in last[1].get_params():
        last[1].set_params(early_stopping=False)  # its held-out rows would be copies of rows that it learns from
    if columns.scaled:
        return pipeline([*sampling.steps(columns, seed), *before, last])
    if sampling.interpolates and not before:
        from sklearn.preprocessing import StandardScaler

        before = [("standardscaler", StandardScaler())]
    return pipeline([*before, *sampling.steps(columns, seed), last])


def without_samplers(fitted: Any) -> Any:
    """Return a fitted pipeline as scikit-learn's, without its samplers; of one step that step."""
    from sklearn.pipeline import Pipeline

    kept = [(name, step) for name, step in fitted.steps if not hasattr(step, "fit_resample")]
    return Pipeline(kept) if len(kept) > 1 else kept[0][1]


def _slower(pipeline: Any) -> Any:
    from sklearn.base import clone

    name, last = pipeline.steps[-1]
    return clone(pipeline).set_params(**{f"{name}__learning_rate": last.learning_rate / 3})


def _refuses(misfit: Misfit, sampling: Sampling, plain: str) -> Misfit:
    """Return what refuses rows that cannot be resampled, before what the classifier refuses."""

    def refuse(data: Part) -> str | None:
        if not installed():
            return MISSING
        if (why := misfit(data)) is not None:
            return why
        counts = data.class_counts.double().numpy()
        after = sampling.counts(counts)
        cells = int(after.sum() * np.prod(data.input_shape))
        if cells > MOST_CELLS:
            way_out = f"leave it out, or take {plain}-cw, which weighs rows instead"
            return f"makes at most {MOST_CELLS:,} values by resampling, got {cells:,}; {way_out}"
        if not sampling.interpolates:
            return None
        alone = np.flatnonzero((counts == 1) & (raised(counts, sampling.over or 1.0) > 1))
        if len(alone):
            names = ", ".join(quoted(data.classes[j]) for j in alone[:3]) + (", ..." if len(alone) > 3 else "")
            return (
                "needs two training rows or more of every class that it raises, to interpolate between, got 1 of class "
                f"{names}; leave it out, add rows or drop the class, or take {plain}-over, which repeats rows"
            )
        return None

    return refuse


def _refuses_codes(sampling: Sampling, instead: str) -> Check:
    """Return what refuses tables whose columns of categories this kind of SMOTE cannot take."""

    def refuse(recipe: Recipe, data: Part) -> str | None:
        columns = columns_of(recipe, data)
        codes = len(columns.categories)
        if not codes:
            return None
        if sampling.kind != "smote":
            smote = instead.replace("-over", "-smote")
            return f"borderline SMOTE has no form for columns of categories, got {codes}; take {smote}, which has"
        counts = data.class_counts.double().numpy()
        goals = raised(counts, sampling.over or 1.0)
        made = goals - counts
        if not columns.numeric and (most := int(counts[made > 0].max(initial=0))) > MOST_PAIRS:
            return (
                f"SMOTE takes at most {MOST_PAIRS:,} rows of a class that it raises where all columns are categories, "
                f"got {most:,}; take {instead}, which repeats rows"
            )
        cells = int(made.max(initial=0) * sampling.k_neighbors * (columns.numeric + sum(columns.categories)))
        if columns.numeric and cells > MOST_CELLS:
            return (
                f"SMOTE of categories takes at most {MOST_CELLS:,} values of neighbours (new rows of a class x "
                f"k_neighbors x columns and categories), got {cells:,}; take a smaller k_neighbors, or {instead}"
            )
        return None

    return refuse


def _few_neighbours(sampling: Sampling) -> Note:
    """Return the note on classes that have fewer rows than k + 1."""

    def note(data: Part) -> str | None:
        counts = data.class_counts.double().numpy()
        few = (counts > 1) & (counts <= sampling.k_neighbors)
        small = np.flatnonzero(few & (raised(counts, sampling.over or 1.0) > counts))
        if not len(small):
            return None
        said = ", ".join(f"{data.classes[j]} ({int(counts[j])})" for j in small[:5]) + (
            ", ..." if len(small) > 5 else ""
        )
        return (
            f"SMOTE with k_neighbors={sampling.k_neighbors} interpolates classes of fewer than "
            f"{sampling.k_neighbors + 1} training rows between all rows that they have: {said}"
        )

    return note
