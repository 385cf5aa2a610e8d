"""The table of a comparison: one row per method and seed, which rows are paired, and what varies by seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.comparison.evidence.influences import Judged
from longtail.facts.arrays import as_array
from longtail.metrics.inputs import checked_labels
from longtail.metrics.rates import Floats

__all__ = ["Layout", "lay_out"]

Labels = NDArray[np.int64]
Pair = tuple[str, str]
"""A method and the method that it is compared with."""


@dataclass(frozen=True)
class Layout:
    """R = methods x seeds rows, sorted by method and seed; K differences, all with the reference first, then twins.

    ``cells``: (method, seed) of each row. ``pairs``: K times (method, what it is compared with).
    ``pairing``: (K, R), differences as combinations of rows.
    ``varies``: (R,), 0 where a method predicts the same in all its several seeds (a closed-form baseline).
    ``paired_seeds``: the seeds of each pair. ``predictions``: (R, N) classes, or what else makes two rows the same.
    ``judged``: of the R rows where the metric is not computed from ``predictions``, else empty.
    """

    reference: str
    methods: tuple[str, ...]
    pairs: tuple[Pair, ...]
    cells: tuple[tuple[str, int], ...]
    predictions: NDArray[Any]
    targets: Labels
    pairing: Floats
    varies: Floats
    paired_seeds: dict[Pair, tuple[int, ...]]
    judged: tuple[Judged, ...] = ()

    def without_zero_weights(self, weight: Floats | None) -> tuple[Layout, Floats | None]:
        """Return the table without the examples of weight 0, and the weights of the others."""
        if weight is None:
            return self, None
        if not (weight > 0).any():
            raise ValueError("sample_weight must be > 0 for some test example, got only 0; correct the weights")
        used = weight > 0
        return replace(self, predictions=self.predictions[:, used], targets=self.targets[used]), weight[used]

    @property
    def values(self) -> Floats:
        """The metric of every row, (R,), where the rows are judged."""
        return np.array([run.value for run in self.judged])

    @property
    def num_examples(self) -> int:
        """The test examples that count."""
        return int(self.predictions.shape[1])

    @cached_property
    def same_seeds(self) -> dict[Pair, tuple[int, ...]]:
        """The seeds in which both of a pair predict the same class for every example."""
        row = dict(zip(self.cells, self.predictions, strict=True))
        return {
            (method, other): tuple(s for s in seeds if np.array_equal(row[method, s], row[other, s]))
            for (method, other), seeds in self.paired_seeds.items()
        }

    @property
    def same(self) -> NDArray[np.bool_]:
        """(K,), predictions equal in every seed of the pair."""
        return np.array([self.same_seeds[pair] == self.paired_seeds[pair] for pair in self.pairs])

    def paired_values(self, values: Floats, pair: Pair) -> Floats:
        """Return the per-seed differences of a pair."""
        row, (method, other) = dict(zip(self.cells, values, strict=True)), pair
        return np.array([row[method, s] - row[other, s] for s in self.paired_seeds[pair]])

    def seed_variance(self, values: Floats, without: Collection[str] = ()) -> tuple[float, int]:
        """Return sigma^2 of a[m, s] = mu_m + b_s + e[m, s] over the methods that vary, and its degrees of freedom.

        With a method that does not vary, the seed effect b_s does not cancel in every difference: then it is
        part of the error. Copies of a method count once. (0.0, 0) where there are too few rows.
        ``without``: methods to leave out.
        """
        pool = [row for row in self.pool if self.cells[row][0] not in without]
        methods = sorted({self.cells[row][0] for row in pool})
        seeds = sorted({self.cells[row][1] for row in pool})
        two_way = len(methods) > 1 and bool(self.varies.all())
        design = np.zeros((len(pool), len(methods) + two_way * len(seeds)))
        for i, row in enumerate(pool):
            method, seed = self.cells[row]
            design[i, methods.index(method)] = 1.0
            if two_way:
                design[i, len(methods) + seeds.index(seed)] = 1.0
        df = len(pool) - int(np.linalg.matrix_rank(design)) if pool else 0
        if df == 0:
            return 0.0, 0
        residual = values[pool] - design @ np.linalg.lstsq(design, values[pool], rcond=None)[0]
        return float(residual @ residual) / df, df

    @cached_property
    def pool(self) -> list[int]:
        """The rows that sigma^2 is estimated from, the reference's first; the rows of a method are together."""
        contents: set[bytes] = set()
        pool: list[int] = []
        for method in (self.reference, *self.methods):
            rows = [i for i, cell in enumerate(self.cells) if cell[0] == method]
            content = self.predictions[rows].tobytes()
            if self.varies[rows].all() and content not in contents:
                contents.add(content)
                pool += rows
        return pool

    def notes(self, df: int) -> tuple[str, ...]:
        """Return what a reader of the intervals must know; ``df``: degrees of freedom of the seed variance."""
        notes = []
        if df == 0:
            single = max(len(seeds) for seeds in self.paired_seeds.values()) == 1
            why = "one seed" if single else "no spread over seeds to measure"
            notes.append(f"{why}: intervals cover the choice of test examples, not the randomness of training")
        seeds = {seed for _, seed in self.cells}
        short = [pair for pair in self.pairs if len(self.paired_seeds[pair]) < len(seeds)]
        if short:
            named = [m if other == self.reference else f"{m} with {other}" for m, other in short]
            counts = [len(self.paired_seeds[pair]) for pair in short]
            listed = [f"{name} ({count} of {len(seeds)})" for name, count in zip(named, counts, strict=True)]
            notes.append(f"compared on fewer seeds: {', '.join(listed)}")
        for pair in self.pairs:
            same, paired = len(self.same_seeds[pair]), len(self.paired_seeds[pair])
            if same:
                part = "" if same == paired else f" in {same} of {paired} seeds"
                notes.append(f"{pair[0]} predicts the same as {pair[1]}{part}")
        return tuple(notes)


def lay_out(
    predictions: Mapping[str, Any],
    targets: Any,
    reference: str,
    num_classes: int,
    twins: Mapping[str, str] | None = None,
) -> Layout:
    """Check the predictions and sort them into a table; see ``compare_to_reference`` for the arguments."""
    if reference not in predictions:
        raise ValueError(f"reference must be one of {', '.join(predictions)}, got {reference!r}; add its predictions")
    methods = tuple(sorted(set(predictions) - {reference}))
    if not methods:
        raise ValueError(f"predictions must hold a method besides {reference!r}, got none; add one to compare")
    labels = as_array(targets)
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"targets must have shape (N,) with N >= 1, got {labels.shape}; pass the test labels")
    labels = checked_labels(labels, len(labels), num_classes)
    given = {(m, s): row for m in (reference, *methods) for s, row in _by_seed(m, predictions[m]).items()}
    rows: dict[tuple[str, int], NDArray[Any]] = {
        (m, s): row.said
        if isinstance(row, Judged)
        else checked_labels(row, len(labels), num_classes, f"predictions[{m!r}][{s}]")
        for (m, s), row in given.items()
    }
    cells = tuple(sorted(rows))
    seeds = {m: {seed for name, seed in cells if name == m} for m in predictions}
    pairs = (*((m, reference) for m in methods), *_twin_pairs(methods, reference, twins or {}))
    paired = {(m, other): tuple(sorted(seeds[m] & seeds[other])) for m, other in pairs}
    pairing = np.zeros((len(pairs), len(cells)))
    for k, (method, other) in enumerate(pairs):
        common = paired[method, other]
        if not common:
            raise ValueError(
                f"predictions[{method!r}] must share a seed with {other!r}, got seeds "
                f"{sorted(seeds[method])} and {sorted(seeds[other])}; run the missing seeds"
            )
        for seed in common:
            pairing[k, cells.index((method, seed))] = 1.0 / len(common)
            pairing[k, cells.index((other, seed))] = -1.0 / len(common)
    fixed = {m for m in predictions if len(seeds[m]) > 1 and len({rows[m, s].tobytes() for s in seeds[m]}) == 1}
    return Layout(
        reference=reference,
        methods=methods,
        pairs=pairs,
        cells=cells,
        predictions=np.stack([rows[cell] for cell in cells]),
        targets=labels,
        pairing=pairing,
        varies=np.array([float(method not in fixed) for method, _ in cells]),
        paired_seeds=paired,
        judged=tuple(row for cell in cells if isinstance(row := given[cell], Judged)),
    )


def _twin_pairs(methods: tuple[str, ...], reference: str, twins: Mapping[str, str]) -> list[Pair]:
    """Return each method with its twin, but for those whose twin is the reference: they are compared with it already.

    Raises:
        ValueError: a twin without predictions, or a method that is its own.
    """
    for method, twin in twins.items():
        if twin == method or twin not in (reference, *methods):
            raise ValueError(
                f"the twin of {method!r} must be another of {', '.join((reference, *methods))}, got {twin!r}; leave "
                "it out"
            )
    return [(m, twins[m]) for m in methods if twins.get(m, reference) != reference]


def _by_seed(method: str, given: Any) -> dict[int, Any]:
    if isinstance(given, Mapping):
        if not given:
            raise ValueError(f"predictions[{method!r}] must hold at least one seed, got none; leave it out")
        return dict(given)
    array = as_array(given)
    if array.ndim != 2 or len(array) == 0:
        raise ValueError(
            f"predictions[{method!r}] must have shape (S, N), got {array.shape}; "
            "pass one row per seed, or {seed: (N,)}"
        )
    return dict(enumerate(array))
