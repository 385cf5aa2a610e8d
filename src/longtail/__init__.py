"""longtail: learning when classes are rare and labels are noisy, partial or missing.

Every submodule is reachable after `import longtail as lt`, and loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from longtail.version import __version__ as __version__

if TYPE_CHECKING:
    from longtail import (
        checks,
        class_weights,
        functional,
        heads,
        instance_weights,
        losses,
        metrics,
        optim,
        posthoc,
        profiles,
        sampling,
        schedules,
    )
    from longtail.comparison import Comparison, compare
    from longtail.counts import class_counts, class_names, imbalance_ratio, priors
    from longtail.engine.run import Run
    from longtail.losses import Loss
    from longtail.methods import Method, fit, method
    from longtail.schedules import Schedule
    from longtail.types import InstanceWeights, Learner, Targets

_MODULES = [
    "arrays",
    "checks",
    "children",
    "class_weights",
    "cli",
    "comparison",
    "cosine",
    "counts",
    "data",
    "documents",
    "engine",
    "functional",
    "groups",
    "heads",
    "identifiers",
    "instance_weights",
    "intervals",
    "knobs",
    "labels",
    "learners",
    "ledger",
    "losses",
    "methods",
    "metrics",
    "models",
    "optim",
    "places",
    "posthoc",
    "profiles",
    "report",
    "sampling",
    "schedules",
    "targets",
    "trusted",
    "types",
    "updates",
    "version",
    "wording",
]

_NAMES = {
    "class_counts": "counts",
    "class_names": "counts",
    "imbalance_ratio": "counts",
    "priors": "counts",
    "Schedule": "schedules",
    "Loss": "losses",
    "InstanceWeights": "types",
    "Targets": "types",
    "Learner": "types",
    "Method": "methods",
    "method": "methods",
    "fit": "methods",
    "Run": "engine.run",
    "load": "engine.predictor",
    "compare": "comparison",
    "Comparison": "comparison",
}

__all__ = [
    "Comparison",
    "InstanceWeights",
    "Learner",
    "Loss",
    "Method",
    "Run",
    "Schedule",
    "Targets",
    "checks",
    "class_counts",
    "class_names",
    "class_weights",
    "compare",
    "fit",
    "functional",
    "heads",
    "imbalance_ratio",
    "instance_weights",
    "load",
    "losses",
    "method",
    "metrics",
    "optim",
    "posthoc",
    "priors",
    "profiles",
    "sampling",
    "schedules",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f"longtail.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"longtail.{name}")
    else:
        raise AttributeError(f"module 'longtail' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *_NAMES, *_MODULES})
