"""`select`: which epoch a run keeps, by balanced accuracy: the last, the best on validation rows, or the best on the
test rows themselves, as many papers did, whose scores are optimistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.data import Part, Splits
from longtail.engine import Recipe
from longtail.engine.selection import BEST_TEST, LAST, SELECT, VAL, Selection
from longtail.facts.learner import Learner
from longtail.facts.messages import quoted
from longtail.facts.types import Record
from longtail.metrics import Tally
from longtail.models.conv_bn_fusion import merged_batch_norms
from longtail.runs import manifest
from longtail.runs.evaluated import EVALUATED
from longtail.runs.outputs import group_counts

WORDS = {
    LAST: "last epoch",
    VAL: "best epoch on validation rows",
    BEST_TEST: "best epoch on the test rows, as many papers did",
}
"""What the caption of a table says."""
OPTIMISTIC = (
    "every epoch was chosen on the test rows themselves, as many papers did: these numbers are optimistic, and not "
    "comparable with those of the last epoch or of validation rows"
)
METRIC = "balanced_accuracy"
"""By which an epoch is chosen, as every search chooses: accuracy would choose for the frequent classes."""


def check_select(select: Any) -> None:
    """Raise ValueError where this names no rule."""
    if select not in SELECT:
        raise ValueError(f"select (--select) must be one of {', '.join(SELECT)}, got {quoted(select)}; last is usual")


def check(select: Any, splits: Splits) -> None:
    """Raise ValueError where the data have no rows to choose an epoch on."""
    check_select(select)
    if select == VAL and splits.val is None:
        raise ValueError(
            "select val (--select val) needs a validation part, got none; add --val 0.2 (val=0.2), or choose last"
        )
    if select == BEST_TEST and splits.every_row:
        raise ValueError(
            "select best-test needs a test part, and every row is for training (--all); choose last or val"
        )


def without_choice(method: Method, recipe: Recipe) -> str | None:
    """Return why a method keeps the last epoch under every rule; None where it does not."""
    if method.task == SELF_SUPERVISED:
        return "encoders are judged by probes after the last epoch"
    if method.search is not None:
        return "its search chooses whole trainings on validation rows"
    if method.stages(recipe)[-1].epochs < 2:
        return "its last stage has no epochs to choose from"
    return None


def on_validation(select: str, method: Method, recipe: Recipe) -> bool:
    """Whether the validation rows choose the epoch, so that they can promise nothing of the model any more."""
    return select == VAL and without_choice(method, recipe) is None


def selection(select: str, method: Method, recipe: Recipe, splits: Splits, device: str) -> Selection:
    """Return what chooses the epoch of a training."""
    counts = group_counts(splits)
    part = splits.val if select == VAL else splits.test
    if select == LAST or part is None or without_choice(method, recipe) is not None:
        return Selection()
    return Selection(select, lambda learner: scores_on(learner, part, counts, device)[METRIC])


def scores_on(learner: Learner, part: Part, counts: Any, device: str) -> dict[str, float]:
    """Return the scores of a learner on some rows, as its records have them."""
    with merged_batch_norms(learner):
        scores = torch.cat([learner.predict(x.to(device)) for x in part.chunks(EVALUATED)])
    tally = Tally(counts)  # no need of the rankings of evaluate
    tally.update(scores, part.targets, sample_weight=part.sample_weight)
    return {name: value for name, value in tally.result().items() if name in manifest.DECIDED}


def entry(select: str, method: Method, recipe: Recipe, records: Sequence[Record]) -> Mapping[str, Any]:
    """Return the entry `select` of run.json: the rule, the epoch of the last stage that was kept, and its score.

    {} under the usual rule.
    """
    if select == LAST:
        return {}
    if (why := without_choice(method, recipe)) is not None:
        return {"select": {"rule": select, "epoch": None, "why": why}}
    values = [(record["epoch"], record["selection"]) for record in records if record.get("selection") is not None]
    epoch, value = max(values, key=lambda pair: (pair[1], -pair[0])) if values else (None, None)
    return {"select": {"rule": select, "epoch": epoch, METRIC: value}}


def of_folds(results: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the entry `select` of the run of all folds, whose `epoch` lists that of each; {} under the usual rule."""
    entries = [result["select"] for result in results if "select" in result]
    if not entries:
        return {}
    return {"select": {**entries[0], "epoch": [one["epoch"] for one in entries], METRIC: None}}
