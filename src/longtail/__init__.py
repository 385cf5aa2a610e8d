"""longtail: learning when classes are rare and labels are noisy, partial or missing.

Every submodule is available after `import longtail as lt`, and imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from longtail import aliases
from longtail.version import __version__ as __version__

if TYPE_CHECKING:
    from longtail import functional, instance_weights, losses, metrics, optim, posthoc, sampling
    from longtail.catalogue.method import Method
    from longtail.classifier import LongTailClassifier
    from longtail.comparison import Comparison, compare
    from longtail.comparison.tune.tune import tune
    from longtail.facts import checks, class_weights, profiles, schedules
    from longtail.facts.counts import class_counts, class_names, imbalance_ratio, priors
    from longtail.facts.learner import Learner
    from longtail.facts.schedules import Schedule
    from longtail.facts.types import InstanceWeights, Targets
    from longtail.losses import Loss
    from longtail.methods import method
    from longtail.models import heads
    from longtail.posthoc import decisions
    from longtail.runs.exported import export
    from longtail.runs.run import Run
    from longtail.runs.train import fit

aliases.install()

_PACKAGES = (
    "aliases", "catalogue", "classical", "classifier", "cli", "comparison", "data", "engine", "facts",
    "functional", "inspection", "instance_weights", "labels", "learners", "losses", "methods", "metrics", "models",
    "optim", "posthoc", "report", "runs", "sampling", "targets", "updates", "version",
)  # fmt: skip
_MODULES = {
    **{name: name for name in _PACKAGES},
    **{name: place for name, place in aliases.MOVED.items() if "." not in name},
}
"""Name after `lt.` -> module below `longtail`."""

_NAMES = {
    "class_counts": "facts.counts",
    "class_names": "facts.counts",
    "imbalance_ratio": "facts.counts",
    "priors": "facts.counts",
    "Schedule": "facts.schedules",
    "Loss": "losses",
    "InstanceWeights": "facts.types",
    "Targets": "facts.types",
    "Learner": "facts.learner",
    "Method": "methods",
    "method": "methods",
    "fit": "runs",
    "Run": "runs",
    "load": "runs.predictor",
    "export": "runs.exported",
    "compare": "comparison",
    "Comparison": "comparison",
    "LongTailClassifier": "classifier",
    "tune": "comparison.tune.tune",
}

__all__ = [
    "Comparison",
    "InstanceWeights",
    "Learner",
    "LongTailClassifier",
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
    "decisions",
    "export",
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
    "tune",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f"longtail.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"longtail.{_MODULES[name]}")
    else:
        raise AttributeError(f"module 'longtail' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *_NAMES, *_MODULES})
