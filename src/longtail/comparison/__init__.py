"""Compare methods x seeds on the user's data: confidence intervals, plots and a verdict."""

from typing import Any

from longtail import aliases
from longtail.comparison.comparison import Comparison, compare, compare_prepared
from longtail.comparison.execute import OutputError, TaskResult
from longtail.comparison.plan import Plan, Task
from longtail.comparison.preparation import Prepared, prepare

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
