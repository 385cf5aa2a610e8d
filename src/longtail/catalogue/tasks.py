"""Tasks: the kind of labels, the data that methods of each task learn from, and their reference method."""

from __future__ import annotations

import re
from dataclasses import dataclass

from longtail.data import Part
from longtail.data.label_kinds import CANDIDATES, GIVEN, NONE
from longtail.facts.messages import quoted

SUPERVISED, SEMI_SUPERVISED, PARTIAL, SELF_SUPERVISED = "supervised", "semi-supervised", "partial", "self-supervised"
_NAMES = re.compile(r"[a-z][a-z0-9-]*")
METHOD, REFERENCE, CONTEXT = "method", "reference", "context"
"""Roles of a row in a comparison: compared, the reference, or shown for context without being compared."""


@dataclass(frozen=True)
class Task:
    """The properties of a task.

    Args:
        reference: the method that the verdict of a comparison is paired with.
        labels: the kind of labels (`data.label_kinds`) that its methods learn from.
        unlabeled: whether its methods also need rows without labels.
        also_compared: another task whose methods are compared with its own.
        context: another task whose methods are shown in its tables, outside the verdict.
        always_shown: methods that are in every table as context, whatever their task; one that needs true labels only
            where these are known.
    """

    reference: str
    labels: str = GIVEN
    unlabeled: bool = False
    also_compared: str | None = None
    context: str | None = None
    always_shown: tuple[str, ...] = ()


TASKS = {
    SUPERVISED: Task("ce", always_shown=("oracle",)),
    SEMI_SUPERVISED: Task("ce", unlabeled=True, also_compared=SUPERVISED, always_shown=("oracle",)),
    PARTIAL: Task("cc", labels=CANDIDATES, always_shown=("oracle", "oracle-la")),
    SELF_SUPERVISED: Task("simclr", context=SUPERVISED, always_shown=("ce", "random-encoder")),
}
"""The one definition of every task."""
NEEDED = {GIVEN: "one label a row", CANDIDATES: "candidate sets", NONE: "rows without labels"}
"""Kinds of labels in words."""
GIVEN_BY = {
    CANDIDATES: "pass candidates (--candidates), make them from clean data with ambiguity=0.3 (--ambiguity 0.3)",
    NONE: "pass unlabeled (--unlabeled), hide labels of clean data with labeled=0.2 (--labeled 0.2)",
}
"""The options that give labels of a kind."""


def task_of(rows: Part, unlabeled: Part | None = None, asked: str | None = None) -> str:
    """Return the task that follows from the training rows, or self-supervised where requested.

    Args:
        rows: the training rows; in self-supervised learning their labels are only for evaluation.
        unlabeled: further rows without labels.
        asked: None, the task that follows in any case, or "self-supervised" for rows with one label each.

    Raises:
        ValueError: another task is requested.
    """
    follows = PARTIAL if rows.kind == CANDIDATES else SUPERVISED if unlabeled is None else SEMI_SUPERVISED
    possible = [follows] if follows == PARTIAL else [follows, SELF_SUPERVISED]
    if asked is not None and asked not in possible:
        raise ValueError(f"task must be {' or '.join(possible)} with these data, got {quoted(asked)}; leave it out")
    return asked or follows


def unmet_needs(task: str, rows: Part, unlabeled: Part | None = None) -> str | None:
    """Return what methods of a task need and these rows lack, with a way out; None where they can learn from them."""
    needs = TASKS[task]
    if rows.kind != needs.labels:
        lacking, why = needs.labels, f"needs {NEEDED[needs.labels]}, got {NEEDED[rows.kind]}"
    elif needs.unlabeled and unlabeled is None:
        lacking, why = NONE, f"needs {NEEDED[NONE]} besides, got none"
    else:
        return None
    way_out = f"{GIVEN_BY[lacking]}, or " if lacking in GIVEN_BY else ""
    return f"{why}; {way_out}see longtail methods --task {task_of(rows, unlabeled)}"


def role(task: str, method_task: str, spec: str, reference: str | None = None) -> str | None:
    """Return the role of a method in a comparison of a task: "reference", "method", "context", or None: refused.

    Args:
        task: of the comparison.
        method_task, spec: of the method.
        reference: spec of the comparison's reference where it is not that of the task.
    """
    needs = TASKS[task]
    if spec == (reference or needs.reference):
        return REFERENCE
    if not set(needs.always_shown).isdisjoint(_NAMES.findall(spec)):  # itself, with other knobs, or as a base
        return CONTEXT
    if method_task in (task, needs.also_compared):
        return METHOD
    return CONTEXT if method_task == needs.context else None
