"""Advice in steps, each with its reason and its command: repair the data, compare, then go further."""

from __future__ import annotations

import shlex

from longtail.inspection.repairs import Step, drop_options, repairs, with_options
from longtail.inspection.sentences import Document
from longtail.inspection.shape import FEW_TESTS
from longtail.report.printable import shown

NEARLY_EQUAL = 2
LONG_TAIL = 10
VALIDATION = 0.2

RARE = 0.1
"""Of two classes the smaller counts as rare positives where it has at most this share."""

ESTIMATED = 'fixmatch-darp(totals="em")'
TOTALS = {
    "agree": (
        False, "by the model the rows without labels have about the class shares of the labels, so it is reasonable "
        'that fixmatch-darp takes these for theirs (totals="labels")',
    ),
    "differ": (
        True, "by the model the rows without labels have other class shares than the labels, so fixmatch-darp "
        'would have the wrong ones; totals="em" and fixmatch-simpro estimate them, and numbers that you know are '
        "better: totals=(...)",
    ),
    "unclear": (
        True, "the model is not known to be good enough, or the rows are too few, to say whether the rows without "
        'labels have the class shares of the labels, which fixmatch-darp takes for theirs; totals="em" and '
        "fixmatch-simpro estimate them, and numbers that you know are better: totals=(...)",
    ),
}  # fmt: skip
"""Verdict on the class shares by a model -> whether to compare estimated totals, and the reason."""


def advice(document: Document, data: str = "DATA") -> list[dict[str, str | None]]:
    """Return what to do, in order: `about` is a stable key, `try` what to do, `why` the reason, `command` or None.

    Every command is complete (data, options, methods, folds) and has the options of the steps before it.

    Args:
        document: the inspection.
        data: the data and their options as given to `longtail inspect`.
    """
    options = drop_options(document) + (["--skip-bad"] if document["unreadable"]["files"] else [])
    steps = [*repairs(document, data), *_comparisons(document, with_options(data, options))]
    return [{"about": s.about, "try": s.do, "why": s.why, "command": s.command} for s in steps]


def _comparisons(document: Document, data: str) -> list[Step]:
    """Return the first comparison, and what may be added to it."""
    if document["unlabeled"] is not None or document["candidates"] is not None:
        return [_task_comparison(document, data)]
    ratio = document["imbalance_ratio"] or float("inf")
    options, whys = _fold_options(document)
    if document["kind"] == "table":
        whys.insert(0, "on tables boosted trees are usually ahead of networks (Grinsztajn et al. 2022)")
    estimators = ["estimators"] if document["kind"] == "table" else []
    if ratio < NEARLY_EQUAL:
        times = "as large as" if ratio == 1 else f"{ratio:.3g} times as large as"
        why = f"the largest class is {'hardly larger than' if times.startswith('1 ') else times} the smallest"
        whys.insert(0, f"{why}, so re-balancing has little to correct")
        others = " beside logistic regression and boosted trees" if estimators else ""
        return [Step("balance", f"begin with plain training{others}", "; ".join(whys),
                     _compare(data, ["ce", *estimators], options))]  # fmt: skip
    whys.insert(0, f"at a ratio of {ratio:.4g} plain training favours large classes; logit-adjusted-posthoc corrects "
                "it after training, needs no retraining and is consistent for balanced accuracy")  # fmt: skip
    rare, validated = min(document["class_counts"]) / sum(document["class_counts"]), _can_validate(document)
    methods = ["ce", "logit-adjusted-posthoc"]
    binary = len(document["classes"]) == 2 and rare <= RARE and validated
    if binary:
        methods.append("ce-threshold")
        options += [f"--val {VALIDATION}"] if document["val_counts"] is None else []
        whys.insert(1, f"of two classes the rare one has {100 * rare:.2g} %, so the threshold matters most, "
                    "which ce-threshold chooses on validation data")  # fmt: skip
    others = ", beside logistic regression and boosted trees" if estimators else ""
    steps = [Step("compare", f"compare plain training with a post-hoc correction{others}",
                  "; ".join(whys), _compare(data, [*methods, *estimators], options))]  # fmt: skip
    if ratio > LONG_TAIL:
        steps.append(Step(
            "training", "then add the methods that change the training",
            f"the ratio is above {LONG_TAIL}, and which correction helps differs from data to data; the same folder is "
            "extended, and what was trained is not trained again", _compare(data, ["quick"], options),
        ))  # fmt: skip
    if validated and not binary and document["val_counts"] is None:
        steps.append(_validation(document, data, methods, options))
    return steps


def _task_comparison(document: Document, data: str) -> Step:
    """Return the comparison of methods that learn from candidate sets, or from rows without labels."""
    options, whys = _fold_options(document)
    if document["candidates"] is not None:
        do, methods = "compare methods that narrow the candidates with one that does not", ["quick"]
        why = "the reference cc only asks that the set be probable as a whole"
    else:
        do, methods = "compare methods that learn from the rows without labels with plain training", ["quick"]
        why = "the reference ce learns from the labelled rows alone; logit-adjusted corrects their imbalance"
        methods.append("logit-adjusted")
        if (shares := document["class_shares"]) is not None:
            estimated, reason = TOTALS[shares["verdict"]]
            methods += [ESTIMATED] * estimated
            why += f"; {reason}"
    return Step("compare", do, "; ".join([why, *whys]), _compare(data, methods, options))


def _fold_options(document: Document) -> tuple[list[str], list[str]]:
    """Return the options that narrow the intervals of small classes, and the reasons."""
    small = set(document["hardly_tested"])
    if not small or not document["foldable"]:
        return [], []
    tested = document["test_rows_by_class"]
    smallest = min((j for j, name in enumerate(document["classes"]) if name in small), key=tested.__getitem__)
    now, then = document["interval_width"][smallest], document["interval_width_with_folds"][smallest]
    if not (now and then and then < now):
        return [], []
    return ["--folds 5"], [
        f"--folds 5 tests every example once: the 95 % interval of '{shown(document['classes'][smallest])}' narrows "
        f"from {100 * now:.0f} points, tested on {tested[smallest]}, to {100 * then:.0f}, tested on "
        f"{document['all_counts'][smallest]}"
    ]


def _can_validate(document: Document) -> bool:
    """Whether there are validation rows, or enough training rows of every class to take them from."""
    return document["val_counts"] is not None or VALIDATION * min(document["class_counts"]) >= FEW_TESTS


def _validation(document: Document, data: str, methods: list[str], options: list[str]) -> Step:
    folder = shlex.quote(f"runs/{document['name']}-val")
    return Step(
        "validation", "then choose the strength of the correction on your data, if the correction helped",
        f"ce-threshold needs validation data, and {VALIDATION:.0%} of the smallest class are enough for it; training "
        "then has fewer rows, so it is another comparison, in another folder",
        _compare(data, [*methods, "ce-threshold"], [*options, f"--val {VALIDATION}", f"--out {folder}"]),
    )  # fmt: skip


def _compare(data: str, methods: list[str], options: list[str]) -> str:
    return " ".join([f"longtail compare {data}", f"--methods {shlex.quote(','.join(methods))}", *options])
