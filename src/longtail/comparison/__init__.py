"""The main job: methods x seeds on the user's data, with intervals, pictures and an honest verdict."""

from typing import Any

from longtail import aliases
from longtail.comparison.comparison import Comparison, Prepared, compare, compare_prepared, prepare
from longtail.comparison.execute import OutputError, TaskResult
from longtail.comparison.plan import Plan, Task

__all__ = [
    "Comparison",
    "OutputError",
    "Plan",
    "Prepared",
    "Task",
    "TaskResult",
    "compare",
    "compare_prepared",
    "prepare",
]


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
