"""Objectives: what thresholds are chosen for, read from a short text by a parser, never evaluated."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass

from longtail.facts.messages import quoted

OF_ALL = ("balanced_accuracy", "accuracy", "macro_f1", "weighted_f1", "mcc", "g_mean", "cost")
"""Objectives of all classes together; none of them means one class."""
OF_ONE = ("f1", "fbeta(2)", "recall>=0.9", "precision>=0.8", "alarms<=100", "alarms<=1%")
"""Objectives of one class, the positive one: an example of each form."""
NUMBER = r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
_FBETA = re.compile(rf"fbeta\(\s*{NUMBER}\s*\)")
_BOUND = re.compile(rf"(recall|precision)\s*>=\s*{NUMBER}\s*(%?)")
_ALARMS = re.compile(rf"alarms\s*<=\s*{NUMBER}\s*(%?)")


@dataclass(frozen=True)
class Objective:
    """One objective.

    Args:
        name: one of `OF_ALL`, or fbeta, recall, precision or alarms.
        bound: beta of fbeta; the recall or precision that must be reached; the number or share of alarms.
        share: whether `bound` of alarms is a share of the rows, and not their number.
    """

    name: str
    bound: float = math.nan
    share: bool = False

    def __str__(self) -> str:
        if self.name == "fbeta":
            return "f1" if self.bound == 1 else f"fbeta({self.bound:g})"
        if self.name == "alarms":
            return f"alarms<={100 * self.bound:g}%" if self.share else f"alarms<={self.bound:g}"
        return self.name if self.of_all else f"{self.name}>={self.bound:g}"

    @property
    def of_all(self) -> bool:
        """Whether it is about all classes; otherwise it is about the positive one."""
        return self.name in OF_ALL

    @property
    def bounded(self) -> bool:
        """Whether it is a condition that must be met, with something else as good as possible."""
        return self.name in ("recall", "precision", "alarms")

    @property
    def top(self) -> bool:
        """Whether it is a number of rows among those that are decided together, without a threshold of its own."""
        return self.name == "alarms" and not self.share

    @property
    def maximises(self) -> str:
        """What is as large (cost: as small) as possible."""
        return {"recall": "precision", "precision": "recall", "alarms": "recall"}.get(self.name, str(self))


def objective(text: str | Objective) -> Objective:
    """Read an objective such as "macro_f1", "fbeta(2)", "recall>=0.9", "alarms<=100" or "alarms<=1%".

    Raises:
        ValueError: it is no objective, or its number is out of range.
    """
    if isinstance(text, Objective):
        return text
    if not isinstance(text, str):
        raise ValueError(f"objective must be a text, got {quoted(text)}; {_known()}")
    found = text.strip()
    if found in OF_ALL:
        return Objective(found)
    if found == "f1":
        return Objective("fbeta", 1.0)
    if match := _FBETA.fullmatch(found):
        beta = float(match[1])
        if not 0 < beta <= 1000:
            raise ValueError(f"beta of objective {quoted(found)} must be in (0, 1000]; 2 weighs recall more, 0.5 less")
        return Objective("fbeta", beta)
    if match := _BOUND.fullmatch(found):
        bound = float(match[2]) / (100 if match[3] else 1)
        if not 0 < bound <= 1:
            raise ValueError(f"{match[1]} of objective {quoted(found)} must be in (0, 1]; write {match[1]}>=0.9")
        return Objective(match[1], bound)
    if match := _ALARMS.fullmatch(found):
        return _alarms(found, float(match[1]), bool(match[2]))
    near = difflib.get_close_matches(found.partition("(")[0].partition(">")[0], (*OF_ALL, "f1"), n=1)
    hint = f"did you mean {near[0]!r}?" if near else _known()
    raise ValueError(f"unknown objective {quoted(text)}; {hint}")


def objective_of(metric: str) -> str | None:
    """Return the objective that is best for a metric by its name; None of a metric that is not of decisions.

    positive_f1 is f1; precision@recall=0.9 is recall>=0.9, and recall@precision=0.5 is precision>=0.5. Recall or
    precision alone are none: calling all rows, or a single one, would be best.
    """
    if metric in OF_ALL:
        return metric
    if metric == "positive_f1":
        return "f1"
    maximised, at, condition = metric.partition("@")
    name, _, bound = condition.partition("=")
    if at and {maximised, name} == {"recall", "precision"}:
        try:
            return str(objective(f"{name}>={bound}"))
        except ValueError:
            return None
    return None


def _alarms(text: str, number: float, percent: bool) -> Objective:
    if percent and 0 < number <= 100:
        return Objective("alarms", number / 100, share=True)
    if not percent and number >= 1 and number.is_integer():
        return Objective("alarms", number)
    raise ValueError(
        f"alarms of objective {quoted(text)} must be a whole number >= 1 or a share in (0, 100] %; write alarms<=100, "
        "or alarms<=1%"
    )


def _known() -> str:
    return f"known are {', '.join(OF_ALL)}, and of one class {', '.join(OF_ONE)}"
