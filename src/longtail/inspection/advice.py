"""What to do, one step after the other, each with its reason and its command: mend, compare, then go further."""

from __future__ import annotations

import shlex
from typing import Any

from longtail.inspection.repairs import Step, dropped, mending, with_words
from longtail.inspection.shape import FEW_TESTS
from longtail.report.printable import shown

Found = dict[str, Any]

NEARLY_EQUAL = 2
LONG_TAIL = 10
VALIDATION = 0.2

RARE = 0.1
"""Two classes are a search for rare positives where the smaller has at most this share."""


def advice(found: Found, data: str = "DATA") -> list[dict[str, str | None]]:
    """What to do, in this order: `about` is a stable key, `try` what to do, `why` the reason, `command` or None.

    Every command takes up what the steps before it left out, and is complete: data, options, methods, folds.

    Args:
        found: what was found.
        data: the data and their options as they stand behind `longtail inspect`.
    """
    words = dropped(found) + (["--skip-bad"] if found["unreadable"]["files"] else [])
    steps = [*mending(found, data), *_comparing(found, with_words(data, words))]
    return [{"about": s.about, "try": s.do, "why": s.why, "command": s.command} for s in steps]


def _comparing(found: Found, data: str) -> list[Step]:
    """One comparison to begin with, and what may be added to it."""
    ratio = found["imbalance_ratio"] or float("inf")
    words, whys = _measured(found)
    if found["kind"] == "table":
        whys.insert(0, "on tables boosted trees are usually ahead of networks (Grinsztajn et al. 2022)")
    estimators = ["estimators"] if found["kind"] == "table" else []
    if ratio < NEARLY_EQUAL:
        told = "as large as" if ratio == 1 else f"{ratio:.3g} times as large as"
        why = f"the largest class is {'hardly larger than' if told.startswith('1 ') else told} the smallest"
        whys.insert(0, f"{why}, so re-balancing has little to correct")
        others = " beside logistic regression and boosted trees" if estimators else ""
        return [Step("balance", f"begin with plain training{others}", "; ".join(whys),
                     _compare(data, ["ce", *estimators], words))]  # fmt: skip
    whys.insert(0, f"at a ratio of {ratio:.4g} plain training favours large classes; logit-adjusted-posthoc corrects "
                "it after training, needs no retraining and is consistent for balanced accuracy")  # fmt: skip
    rare, validated = min(found["class_counts"]) / sum(found["class_counts"]), _can_validate(found)
    methods = ["ce", "logit-adjusted-posthoc"]
    binary = len(found["classes"]) == 2 and rare <= RARE and validated
    if binary:
        methods.append("ce-threshold")
        words += [f"--val {VALIDATION}"] if found["val_counts"] is None else []
        whys.insert(1, f"of two classes the rare one has {100 * rare:.2g} %, so where to draw the line matters most, "
                    "which ce-threshold chooses on validation data")  # fmt: skip
    others = ", beside logistic regression and boosted trees" if estimators else ""
    steps = [Step("compare", f"compare plain training with a correction that comes after it{others}",
                  "; ".join(whys), _compare(data, [*methods, *estimators], words))]  # fmt: skip
    if ratio > LONG_TAIL:
        steps.append(Step(
            "training", "then add the methods that change the training",
            f"the ratio is above {LONG_TAIL}, and which correction helps differs from data to data; the same folder is "
            "extended, and what was trained is not trained again", _compare(data, ["quick"], words),
        ))  # fmt: skip
    if validated and not binary and found["val_counts"] is None:
        steps.append(_validation(found, data, methods, words))
    return steps


def _measured(found: Found) -> tuple[list[str], list[str]]:
    """Options by which small classes are measured as well as they can be, and the reasons."""
    small = set(found["hardly_tested"])
    if not small or not found["foldable"]:
        return [], []
    tested = found["test_rows_by_class"]
    place = min((j for j, name in enumerate(found["classes"]) if name in small), key=tested.__getitem__)
    now, then = found["interval_width"][place], found["interval_width_with_folds"][place]
    if not (now and then and then < now):
        return [], []
    return ["--folds 5"], [
        f"--folds 5 tests every example once: the 95 % interval of '{shown(found['classes'][place])}' narrows from "
        f"{100 * now:.0f} points, tested on {tested[place]}, to {100 * then:.0f}, tested on "
        f"{found['all_counts'][place]}"
    ]


def _can_validate(found: Found) -> bool:
    """Whether there are validation rows, or enough training rows of every class to take them from."""
    return found["val_counts"] is not None or VALIDATION * min(found["class_counts"]) >= FEW_TESTS


def _validation(found: Found, data: str, methods: list[str], words: list[str]) -> Step:
    folder = shlex.quote(f"runs/{found['name']}-val")
    return Step(
        "validation", "then let the strength of the correction be chosen on your data, if the correction helped",
        f"ce-threshold needs validation data, and {VALIDATION:.0%} of the smallest class are enough for it; training "
        "then has fewer rows, so it is another comparison, in another folder",
        _compare(data, [*methods, "ce-threshold"], [*words, f"--val {VALIDATION}", f"--out {folder}"]),
    )  # fmt: skip


def _compare(data: str, methods: list[str], words: list[str]) -> str:
    return " ".join([f"longtail compare {data}", f"--methods {','.join(methods)}", *words])
