"""Tasks: what is known of the labels, what methods of each task learn from, and what they are compared with."""

from __future__ import annotations

from dataclasses import dataclass

from longtail.data import Part
from longtail.data.label_kinds import CANDIDATES, GIVEN, NONE
from longtail.facts.messages import quoted

SUPERVISED, SEMI_SUPERVISED, PARTIAL, SELF_SUPERVISED = "supervised", "semi-supervised", "partial", "self-supervised"
METHOD, REFERENCE, CONTEXT = "method", "reference", "context"
"""Roles of a row in a comparison: compared, what it is compared with, or shown beside them without a part in it."""


@dataclass(frozen=True)
class Task:
    """What holds for a task.

    Args:
        reference: the method that the verdict of a comparison is paired with.
        labels: the kind of labels (`data.label_kinds`) that its methods learn from.
        unlabeled: whether its methods need rows without labels besides.
        beside: another task whose methods are compared with its own.
        context: another task whose methods stand in its tables, outside the verdict.
        shown: methods of that kind that stand in every table.
    """

    reference: str
    labels: str = GIVEN
    unlabeled: bool = False
    beside: str | None = None
    context: str | None = None
    shown: tuple[str, ...] = ()


TASKS = {
    SUPERVISED: Task("ce"),
    SEMI_SUPERVISED: Task("ce", unlabeled=True, beside=SUPERVISED),
    PARTIAL: Task("cc", labels=CANDIDATES),
    SELF_SUPERVISED: Task("simclr", context=SUPERVISED, shown=("ce",)),
}
"""The one place that says what each task is; everything else asks here."""
NEEDED = {GIVEN: "one label a row", CANDIDATES: "candidate sets", NONE: "rows without labels"}
"""Kinds of labels in words."""


def task_of(rows: Part, unlabeled: Part | None = None, asked: str | None = None) -> str:
    """The task that follows from the training rows, or self-supervised where that is asked for.

    Args:
        rows: the rows whose labels are trained with; in self-supervised learning they only judge.
        unlabeled: further rows without labels.
        asked: None, the task that follows anyway, or "self-supervised" for rows with one label each.

    Raises:
        ValueError: another task is asked for.
    """
    follows = PARTIAL if rows.kind == CANDIDATES else SUPERVISED if unlabeled is None else SEMI_SUPERVISED
    possible = [follows] if follows == PARTIAL else [follows, SELF_SUPERVISED]
    if asked is not None and asked not in possible:
        raise ValueError(f"task must be {' or '.join(possible)} with these data, got {quoted(asked)}; leave it out")
    return asked or follows


def lacking(task: str, rows: Part, unlabeled: Part | None = None) -> str | None:
    """What methods of a task miss in these training rows, in words; None where they can learn from them."""
    wanted = TASKS[task]
    if rows.kind != wanted.labels:
        return f"needs {NEEDED[wanted.labels]}, got labels that are {rows.kind}"
    if wanted.unlabeled and unlabeled is None:
        return f"needs {NEEDED[NONE]} besides, got none"
    return None


def role(task: str, method_task: str, spec: str) -> str | None:
    """The part that a method has in a comparison of a task: "reference", "method", "context", or None: it is refused.

    Args:
        task: of the comparison.
        method_task, spec: of the method.
    """
    wanted = TASKS[task]
    if spec == wanted.reference:
        return REFERENCE
    if method_task in (task, wanted.beside):
        return METHOD
    return CONTEXT if method_task == wanted.context else None
