"""Score a saved model on new labelled rows, against what its own test rows or a comparison let one expect."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from longtail.data.prepare import new_rows
from longtail.data.prepare.new_labels import indices, labelled_rows
from longtail.facts.arrays import as_array
from longtail.facts.messages import quoted
from longtail.metrics import metric as metric_of
from longtail.runs import against_estimate, expected
from longtail.runs.judged import judged, judged_test_rows, scored_rows
from longtail.runs.manifest import RUN
from longtail.runs.run import Run

if TYPE_CHECKING:
    from longtail.runs.predictor import Predictor

NAMED = 5
"""How many unknown classes are named in a line."""


def evaluate_new(
    predictor: Predictor,
    data: Any,
    labels: Any = None,
    *,
    label: str | None = None,
    metric: str | None = None,
    positive: str | int | None = None,
    cost: Any = None,
    sample_weight: Any = None,
    skip_unknown: bool = False,
    skip_bad: bool = False,
    delimiter: str | None = None,
    header: bool | None = None,
    worksheet: str | None = None,
) -> dict[str, Any]:
    """Return the scores of a model on new labelled rows, ready for JSON.

    Args:
        predictor: the model.
        data, labels, label, delimiter, header, worksheet: see `labelled_rows`; without `label` a table has that of
            training.
        metric: the one that the first sentence is about; by default balanced accuracy.
        positive: the class that metrics of one class mean; by default the one that was rarest in training.
        cost: (C, C) what deciding each class (column) costs for each true class (row).
        sample_weight: (N,) weights of the rows; a row of weight k counts as k rows.
        skip_unknown: leave out rows of classes that the model does not know, and say so; else they are refused.
        skip_bad: leave out images that cannot be decoded.

    Returns:
        `scores` as `metrics.evaluate` returns them (`probabilities` under the training prior, decisions by the model's
        rule); `metric`; `estimate`, where it comes from, or None; `differences` by metric from it, `classes` with the
        recall of each class beside it, `shares` of the classes in training and now; `rows` scored, `left_out`, `notes`.

    Raises:
        ValueError, TypeError: no labelled row, labels of unknown classes, and as `Predictor.predictions`.
    """
    classes, counts = predictor.classes, predictor.class_counts.cpu().double().numpy()
    chosen = "balanced_accuracy" if metric is None else metric
    needs = metric_of(chosen).needs
    if needs == "cost" and cost is None:
        raise ValueError("metric cost needs what errors cost; give cost (--cost)")
    index = _positive(positive, classes, counts) if positive is not None or needs == "positive" else None
    given = labelled_rows(
        data, labels, predictor.preparation, classes, label=label or predictor.label, delimiter=delimiter,
        header=header, worksheet=worksheet,
    )  # fmt: skip
    read = new_rows.read(given.rows, predictor.preparation, skip_bad=skip_bad)
    targets, left_out, notes = _known(given.labels, read.skipped, classes, skip_unknown=skip_unknown)
    if len(targets) != len(read.inputs):
        raise ValueError(
            f"labels must be one per row, got {len(targets)} for {len(read.inputs)} rows; pass all of them"
        )
    kept = np.flatnonzero(targets >= 0)
    weight = None if sample_weight is None else _weights(sample_weight, read.skipped, len(given.labels))[kept]
    rows = judged(predictor, read.inputs[torch.from_numpy(kept)], targets[kept], weight)
    options: dict[str, Any] = {"counts": counts, "positive": index, "cost": cost, "metric": chosen}
    scores, values = scored_rows(rows, **options)
    source, before, recalls = _estimate(predictor, options)
    n = np.bincount(rows.targets, weights=rows.weight, minlength=len(classes)).tolist()
    seeds = 0 if source is None else source.get("seeds", 0)
    table = against_estimate.by_class(scores["per_class"]["recall"], n, recalls, seeds)
    return {
        "model": None if predictor.folder is None else str(predictor.folder),
        "rows": len(kept),
        "left_out": left_out,
        "metric": chosen,
        "positive": None if index is None else classes[index],
        "rule": predictor.rule,
        "scores": scores,
        "values": values,
        "estimate": source,
        "differences": against_estimate.by_metric(values, before or {}, seeds),
        "classes": [{"class": name, **row} for name, row in zip(classes, table, strict=True)],
        "shares": against_estimate.shares(n, counts.tolist()),
        "notes": [
            *notes,
            *(source or {}).get("notes", ()),
            *getattr(predictor.preparation, "unfamiliar", lambda rows: ())(given.rows),
        ],
    }


def _positive(positive: str | int | None, classes: tuple[str, ...], counts: Any) -> int:
    if positive is None:
        return int(np.argmin(counts))
    if isinstance(positive, str) and positive in classes:
        return classes.index(positive)
    if isinstance(positive, int) and not isinstance(positive, bool) and 0 <= positive < len(classes):
        return positive
    shown = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    raise ValueError(f"positive (--positive) must be a class of the model, got {quoted(positive)}; they are {shown}")


def _known(
    labels: list[str], skipped: dict[int, str], classes: tuple[str, ...], *, skip_unknown: bool
) -> tuple[Any, dict[str, Any], list[str]]:
    """Return the class indices of the rows that were read, what is left out, and sentences on it."""
    names = [name for row, name in enumerate(labels) if row not in skipped]
    found = indices(names, classes)
    unknown = Counter(name for name, j in zip(names, found, strict=True) if j == -2)
    missing, notes = int((found == -1).sum()), []
    if unknown:
        shown = ", ".join(f"{quoted(name)} ({count})" for name, count in unknown.most_common(NAMED))
        shown += f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        if not skip_unknown:
            known = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
            raise ValueError(
                f"labels must be classes of the model ({known}), got {shown}, which it cannot predict; correct them, "
                "or leave these rows out with skip_unknown (--skip-unknown)"
            )
        notes.append(
            f"{sum(unknown.values())} rows of classes that the model does not know are left out, each of them an error "
            f"that the scores do not count: {shown}"
        )
    if missing:
        notes.append(f"{missing} of {len(names)} rows have no label and are left out")
    if skipped:
        notes.append(f"{len(skipped)} images could not be decoded and are left out")
    if not (found >= 0).any():
        raise ValueError(
            f"new data must have a labelled row of a known class, got none in {len(names)} rows; check labels"
        )
    present = {int(j) for j in found if j >= 0}
    if absent := [name for j, name in enumerate(classes) if j not in present]:
        shown = ", ".join(absent[:NAMED]) + (" ..." if len(absent) > NAMED else "")
        notes.append(f"{len(absent)} of {len(classes)} classes have no row here and are not scored: {shown}")
    return found, {"without_label": missing, "unknown": dict(unknown), "undecodable": len(skipped)}, notes


def _weights(given: Any, skipped: dict[int, str], size: int) -> Any:
    weight = np.asarray(as_array(given), dtype=np.float64)
    if weight.shape != (size,):
        raise ValueError(f"sample_weight must have shape ({size},), got {weight.shape}; pass one per row")
    return weight[[row for row in range(size) if row not in skipped]]


def _estimate(
    predictor: Predictor, options: dict[str, Any]
) -> tuple[dict[str, Any] | None, dict[str, dict[str, float]] | None, dict[str, Any] | None]:
    """Return where an estimate comes from, its values by metric, and its recall and n by class; None without one."""
    folder: Path | None = predictor.folder
    if folder is None:
        return None, None, None
    if (folder / RUN).exists() and (run := Run.load(folder)).result["scores"] is not None:
        test = judged_test_rows(predictor, run)
        scores, values = scored_rows(test, **options)
        of = {"kind": "its own test rows", "rows": len(test.targets)}
        return of, values, {"recall": scores["per_class"]["recall"], "n": scores["per_class"]["n"]}
    known = expected.read(folder)
    if known is None or tuple(known["classes"]) != predictor.classes:
        return None, None, None
    of = {name: known[name] for name in ("comparison", "rows", "seeds", "folds")}
    rule = None if predictor.decision is None else predictor.rule
    of["notes"] = expected.differences(known, rule, predictor.calibration is not None)
    positive = None if options["positive"] is None else predictor.classes[options["positive"]]
    metrics = expected.comparable(known, positive, options["cost"])
    return {"kind": "a comparison", **of}, metrics, known["per_class"]
