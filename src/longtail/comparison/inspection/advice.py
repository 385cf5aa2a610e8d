"""What to try, each advice with its reason drawn from the numbers."""

from __future__ import annotations

from typing import Any

from longtail.comparison.inspection.findings import plural
from longtail.report.names import listed, shown

Found = dict[str, Any]

NEARLY_EQUAL = 2
LONG_TAIL = 10
LUMP = 0.01
"""Share of all rows from which equal rows are taken for a default value and not for copies."""

RARE = 0.1
"""Two classes are a search for rare positives where the smaller has at most this share."""


def advice(found: Found) -> list[dict[str, str]]:
    """What to try, the most pressing first: `about` is a stable key, `try` what to do, `why` the reason."""
    steps = [*_mend(found), *_methods(found), *_measure(found)]
    if any(about == "thresholds" for about, _, _ in steps):  # which asks for a validation part already
        steps = [step for step in steps if step[0] != "validation"]
    return [{"about": a, "try": t, "why": w} for a, t, w in steps]


Advice = list[tuple[str, str, str]]


def _mend(found: Found) -> Advice:
    """What to mend in the data before anything is trained."""
    steps: Advice = []
    columns, leak, groups = found["columns"] or {}, found["leaks"], found["group_leaks"]["groups"]
    if telling := columns.get("leaking"):
        steps.append((
            "leaking-columns", f"find out whether {listed([c['name'] for c in telling])} is known before the class is, "
            "and drop it if not", "a column that tells the class alone is often a consequence of it",
        ))  # fmt: skip
    if groups:
        steps.append((
            "group-leaks", "declare the split again with each group on one side",
            f"{plural(groups, 'group', 'groups')} on both sides let a model recognise the group, not the class",
        ))  # fmt: skip
    if (clash := found["conflicts"])["rows"]:
        steps.append((
            "conflicts", "look at the rows that are equal and labelled differently",
            f"{plural(clash['sets'], 'content has', 'contents have')} several labels: wrong labels, or inputs that do "
            "not tell the classes",
        ))  # fmt: skip
    if (copies := found["duplicates"])["rows"]:
        steps.append(_copies(copies, leak, found["rows"]))
    elif leak["rows"]:
        steps.append(
            ("leaks", "drop the training rows' copies from the other parts", f"{leak['rows']:,} were trained on")
        )
    if found["labels"]["twins"]:
        steps.append(("twins", "merge class names that mean one class", "each twin is learnt as a class of its own"))
    return steps


def _copies(copies: Found, leak: Found, rows: int) -> tuple[str, str, str]:
    why = f"{leak['rows']:,} tested rows were trained on" if leak["rows"] else f"{copies['rows']:,} rows count twice"
    if copies["largest"] >= max(LUMP * rows, 10):
        lump = f"{why}; a content that occurs {copies['largest']:,} times is a default or a coarse reading, not a copy"
        return "duplicates", "look at the largest set of equal rows before any is dropped", lump
    if leak["declared"]:
        return "duplicates", "drop the copies of training rows from the other parts", why
    return "duplicates", "drop copies, or give equal rows a group (--group), which keeps them in one part", why


def _methods(found: Found) -> Advice:
    """Which methods to begin with."""
    steps: Advice = []
    ratio = found["imbalance_ratio"] or float("inf")
    sizes, classes = found["class_counts"], len(found["classes"])
    if found["kind"] == "table" and found["columns"]:
        width = len(found["columns"]["names"])
        steps.append((
            "tables", "look at trees and logistic first, which longtail compare takes into its table",
            f"{'this is 1 column' if width == 1 else f'these are {width:,} columns'} of a table, where boosted trees "
            "are usually ahead of networks (Grinsztajn et al. 2022)",
        ))  # fmt: skip
    if ratio < NEARLY_EQUAL:
        told = "as large as" if ratio == 1 else f"{ratio:.3g} times as large as"
        why = f"the largest class is {'hardly larger than' if told.startswith('1 ') else told} the smallest"
        return [*steps, ("balance", "try ce alone first", f"{why}, so re-balancing has little to correct")]
    steps.append((
        "posthoc", "try logit-adjusted-posthoc first",
        f"at a ratio of {ratio:.4g} plain training favours large classes; this corrects it after training, "
        "needs no retraining and is consistent for balanced accuracy",
    ))  # fmt: skip
    rare = min(sizes) / sum(sizes)
    if classes == 2 and rare <= RARE:
        steps.append((
            "thresholds", "try ce-threshold with --val 0.2",
            f"of two classes the rare one has {100 * rare:.2g} %: where to draw the line matters most",
        ))  # fmt: skip
    if ratio > LONG_TAIL:
        images = found["kind"] == "images"
        names = "logit-adjusted and ldam-drw" if images else "logit-adjusted"
        steps.append((
            "training", f"compare with {names} (--methods quick has more)",
            f"the ratio is above {LONG_TAIL}; which correction helps differs from data to data",
        ))  # fmt: skip
    return steps


def _measure(found: Found) -> Advice:
    """How to measure what can be measured."""
    steps: Advice = []
    if single := found["singletons"]:
        steps.append((
            "singletons", "merge, or collect more of, " + listed(single),
            "of one example nothing is left to validate with, whatever the method",
        ))  # fmt: skip
    small = set(found["hardly_tested"])
    if small and not found["declared_split"]:
        tested = found["test_rows_by_class"]
        place = min((j for j, name in enumerate(found["classes"]) if name in small), key=tested.__getitem__)
        now, then = found["interval_width"][place], found["interval_width_with_folds"][place]
        if now and then and then < now:
            steps.append((
                "folds", "use --folds 5, which tests every example once",
                f"the 95 % interval of '{shown(found['classes'][place])}' narrows from {100 * now:.0f} points, tested "
                f"on {tested[place]}, to {100 * then:.0f}, tested on {found['all_counts'][place]}",
            ))  # fmt: skip
    if found["val_counts"] is None and (found["imbalance_ratio"] or 2) >= NEARLY_EQUAL and not small:
        steps.append((
            "validation", "add --val 0.2", "the strength of a correction (ce-threshold) is then chosen on your data",
        ))  # fmt: skip
    return steps
