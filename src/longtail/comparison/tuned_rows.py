"""Rows of a comparison that chose their training on validation rows: their cost, and the verdict that faces them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from longtail.catalogue.method import Method
from longtail.catalogue.tasks import TASKS
from longtail.comparison.evidence.differences import compare_to_reference
from longtail.comparison.evidence.verdict import verdict
from longtail.comparison.preparation import Prepared
from longtail.facts.knobs import Range
from longtail.methods import method
from longtail.metrics.registry import METRICS

TUNED_PLAIN = "ce-tuned"
"""Key of the tuned plain training, which every verdict faces where a table has it."""
_TRIALS = Range(2, 10_000, integer=True)


def tune_every_method(prepared: Prepared, trials: int) -> Prepared:
    """Return the comparison with every method, the reference too, tuned by the same number of trainings.

    Methods that choose on the validation rows themselves stay as they are.

    Raises:
        ValueError, TypeError: trials below 2, no validation rows, or a recipe of its own for each method.
    """
    _TRIALS.check("tune", trials)
    by = _chosen_by(prepared)
    if prepared.splits.val is None:
        raise ValueError("tune needs a validation part, got none; add --val 0.2 (val=0.2)")
    if prepared.recipe.kind != "common":
        raise ValueError("recipe must be common with tune, which searches for it, got own; leave one of them out")

    if own := [one.given.name for one in prepared.methods if one.given is not None]:
        raise ValueError(
            f"tune searches the knobs of longtail's methods, got the classifier {own[0]}, which has none; leave it "
            "out, or give GridSearchCV(classifier, ...) without tune"
        )

    def tuned(one: Method) -> Method:
        return one if one.needs_val or one.needs_truth else method(f"tuned(base={one.spec!r}, trials={trials}{by})")

    reference = prepared.baseline or method(TASKS[prepared.task].reference)
    chosen = {one.spec: one for one in map(tuned, prepared.methods)}
    return replace(prepared, methods=tuple(chosen.values()), baseline=tuned(reference))


def _chosen_by(prepared: Prepared) -> str:
    """Return the knob `metric` of the searches: balanced accuracy for the metrics that always had it, the table's else.

    A search has no costs, and means the rarest class: of costs and of another class it chooses by balanced accuracy,
    too, and the table says so.
    """
    asked = prepared.question
    alike = asked.by_rarity or not asked.measure.of_one_class
    if asked.measure.exact or asked.measure.name not in METRICS or asked.measure.metric.needs == "cost" or not alike:
        return ""
    return f", metric={asked.measure.name!r}"


def searched(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what the searches of a method's runs took and chose; None for a method without a search."""
    if not all("search" in run for run in runs):
        return None
    searches = [run["search"] for run in runs]
    return {
        "metric": searches[0]["metric"],
        "trainings": [one["trainings"] for one in searches],
        "seconds": [one["seconds"] for one in searches],
        "chosen": [text for one in searches for text in one["chosen"]],
    }


def verdict_on_tuned(
    rows: Sequence[Mapping[str, Any]], predictions: Mapping[str, Any], targets: Any, without: Sequence[str], **test: Any
) -> dict[str, Any] | None:
    """Test whether any method is shown to beat tuned plain training; None where the table has none, or nothing else.

    Args:
        rows: of the table.
        predictions: method -> seed -> decisions.
        targets: of the tested rows.
        without: methods that are not compared with it, such as plain training itself; with tuned plain training as the
            reference among them, the first verdict says all.
        test: metric, num_classes, sample_weight as in `compare_to_reference`.
    """
    specs = [row["method"] for row in rows if row["key"] == TUNED_PLAIN and row["method"] in predictions]
    if not specs or specs[0] in without:
        return None
    others = [
        m for m in predictions if m not in (*specs, *without) and set(predictions[m]) & set(predictions[specs[0]])
    ]
    if not others:
        return None
    differences = compare_to_reference({m: predictions[m] for m in (specs[0], *others)}, targets, specs[0], **test)
    said = verdict(differences, reference_label=f"tuned plain training ({specs[0]})")
    return {"sentence": said.sentence, "winners": list(said.winners), "losers": list(said.losers)}
