"""The verdict of a comparison, in a sentence that claims no more than was tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from longtail.comparison.evidence.differences import Difference, Differences, compare_to_reference
from longtail.comparison.evidence.effect_words import effect, gain, shown_better, shown_worse, signed
from longtail.comparison.evidence.layout import lay_out
from longtail.comparison.evidence.measure import Measure, judged, measure_of
from longtail.comparison.evidence.resampling import metric_values
from longtail.metrics.inputs import checked_weights

__all__ = ["Verdict", "compare_to_reference", "verdict", "verdict_on_retraining", "verdict_on_twins"]

_LISTED = 6  # names in a sentence at most; the table has them all


@dataclass(frozen=True)
class Verdict:
    """The methods shown to beat the reference (the whole simultaneous interval on the better side) or to lose to it.

    ``winners`` and ``losers`` are sorted by size of their difference, the largest first; ``leader`` is the winner
    with the largest difference, None where nothing is shown. ``undecided`` is neither.
    """

    reference: str
    metric: str
    winners: tuple[str, ...]
    losers: tuple[str, ...]
    undecided: tuple[str, ...]
    sentence: str

    @property
    def leader(self) -> str | None:
        """The winner with the largest difference."""
        return self.winners[0] if self.winners else None

    def __str__(self) -> str:
        return self.sentence


def verdict(
    differences: Differences, labels: Mapping[str, str] | None = None, *, reference_label: str | None = None
) -> Verdict:
    """Derive the verdict from the intervals; the first method's difference is followed by its parts.

    Args:
        differences: from ``compare_to_reference``.
        labels: names to print for methods, where they are not the keys.
        reference_label: name of the reference in the sentence.
    """
    names = labels or {}
    reference = reference_label or names.get(differences.reference, differences.reference)
    by_gain = sorted(differences, key=lambda row: -gain(differences, row)[0])
    alike = [row for row in by_gain if _is_the_same(row)]
    ranked = [row for row in by_gain if row not in alike] or by_gain  # the largest difference is one that there is
    winners = [row for row in ranked if shown_better(differences, row)]
    losers = [row for row in reversed(ranked) if shown_worse(differences, row)]

    def listed(rows: Sequence[Difference]) -> str:
        return ", ".join(names.get(row.method, row.method) for row in rows)

    if winners:
        sentence = f"{listed(winners[:1])} leads {reference} by {effect(differences, winners[0])}"
        if len(by_gain) > 1:
            verb = "is" if len(winners) == 1 else "are"
            sentence += f"; {len(winners)} of {len(by_gain)} methods {verb} shown to beat {reference}"
        if len(winners) > 1:
            sentence += f": {listed(winners)}" if len(winners) <= _LISTED else ""
            sentence += ". How they compare with each other was not tested"
    else:
        which = f"largest of {len(by_gain)} differences is" if len(by_gain) > 1 else "difference of"
        which = f"the {which} {listed(ranked[:1])}" + ("'s," if len(by_gain) > 1 else " is")
        sentence = f"Nothing is shown to beat {reference}; {which} {effect(differences, ranked[0])}"
    parts = differences.parts(ranked[0].method)
    if len(parts) > 1:
        sentence += f". {listed(ranked[:1])} in parts: {_over(differences, parts, names)}"
    if losers:
        sentence += f". Shown to be worse than {reference}: {listed(losers)}"
    if alike:
        sentence += f". No row tells {listed(alike)} from {reference}"
    if differences.df == 0:
        sentence += f". {differences.notes[0][0].upper()}{differences.notes[0][1:]}"
    return Verdict(
        reference=differences.reference,
        metric=differences.metric,
        winners=tuple(row.method for row in winners),
        losers=tuple(row.method for row in losers),
        undecided=tuple(row.method for row in by_gain if row.low <= 0 <= row.high),
        sentence=sentence + ".",
    )


def _is_the_same(row: Difference) -> bool:
    """Whether a method is the other under the metric, as where one rule decides on the same probabilities."""
    return row.difference == row.low == row.high == 0.0


def verdict_on_twins(differences: Differences, labels: Mapping[str, str] | None = None) -> Verdict | None:
    """Tell which methods are shown to beat the plain method of their own model; None where no other than the reference.

    Arguments as in ``verdict``.
    """
    if not differences.twins:
        return None
    names, reference = labels or {}, differences.reference
    ranked = sorted(differences.twins, key=lambda row: -gain(differences, row)[0])
    winners = [row for row in ranked if shown_better(differences, row)]
    losers = [row for row in reversed(ranked) if shown_worse(differences, row)]
    over = partial(_over, differences, names=names)
    count = f"Of {len(ranked)} methods" if len(ranked) > 1 else "Of the one method"
    sentence = f"{count} whose plain twin is not {names.get(reference, reference)}, "
    if winners:
        sentence += f"{len(winners)} {'is' if len(winners) == 1 else 'are'} shown to beat it: {over(winners)}"
    else:
        told = [row for row in ranked if not _is_the_same(row)] or ranked
        sentence += f"none is shown to beat it; the largest difference is {over(told[:1], unclear='')}"
    if losers:
        sentence += f". Shown to be worse: {over(losers)}"
    return Verdict(
        reference=reference,
        metric=differences.metric,
        winners=tuple(row.method for row in winners),
        losers=tuple(row.method for row in losers),
        undecided=tuple(row.method for row in ranked if row.low <= 0 <= row.high),
        sentence=sentence + ".",
    )


def verdict_on_retraining(
    predictions: Mapping[str, Any],
    targets: Any,
    *,
    plain: str,
    posthoc: Sequence[str],
    metric: str | Measure = "balanced_accuracy",
    num_classes: int,
    labels: Mapping[str, str] | None = None,
    draws: int = 4000,
    level: float = 0.95,
    sample_weight: Any = None,
) -> tuple[Differences, Verdict] | None:
    """Test whether any method with a training of its own is shown to beat plain training with corrected scores.

    The reference is the best of ``posthoc``, the methods that only correct the scores of ``plain``. It is
    chosen on the test set, which favours it: a trained method is then shown to beat it too rarely, never
    too often. All other methods except ``plain`` are compared with it; arguments as in
    ``compare_to_reference``.

    Returns:
        The differences to that row and the verdict; None where there is no post-hoc or no trained method.
    """
    rows = [name for name in posthoc if name in predictions]
    trained = [name for name in predictions if name not in (plain, *posthoc)]
    if not rows or not trained:
        return None
    measure = measure_of(metric, num_classes) if isinstance(metric, str) else metric
    predictions = judged(predictions, targets, measure, sample_weight)
    table = lay_out({name: predictions[name] for name in (plain, *rows)}, targets, plain, num_classes)
    if table.judged:
        values = table.values
    else:
        weight = None if sample_weight is None else checked_weights(sample_weight, len(table.targets))
        values = metric_values(table.predictions, table.targets, measure.name, num_classes, weight)
    best = table.methods[int(np.argmax(measure.sign * (table.pairing @ values)))]
    differences = compare_to_reference(
        {name: predictions[name] for name in (best, *trained)},
        targets,
        best,
        measure,
        num_classes=num_classes,
        draws=draws,
        level=level,
        sample_weight=sample_weight,
    )
    called = f"plain training with corrected scores ({(labels or {}).get(best, best)})"
    return differences, verdict(differences, labels, reference_label=called)


def _over(
    differences: Differences, rows: Sequence[Difference], names: Mapping[str, str], unclear: str = ", not shown"
) -> str:
    """As in "trees over ce +3.1 [+0.4, +5.8]; trees-cw over trees +2.6 [-0.3, +5.5], not shown"."""
    said = []
    for row in rows[:_LISTED]:
        pair = f"{names.get(row.method, row.method)} over {names.get(row.reference, row.reference)}"
        said.append(f"{pair} {signed(differences, row)}{unclear if row.low <= 0 <= row.high else ''}")
    return "; ".join(said) + (f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else "")
