"""The main job: methods x seeds on the user's data, with intervals, pictures and an honest verdict."""

from longtail.comparison.comparison import Comparison, Prepared, compare, compare_prepared, prepare
from longtail.comparison.execute import Outcome, OutputError
from longtail.comparison.plan import Plan, Task

__all__ = [
    "Comparison",
    "Outcome",
    "OutputError",
    "Plan",
    "Prepared",
    "Task",
    "compare",
    "compare_prepared",
    "prepare",
]
