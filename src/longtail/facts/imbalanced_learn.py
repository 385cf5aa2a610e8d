"""imbalanced-learn, an optional package, imported where it is used."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

MISSING = "needs imbalanced-learn, which is not installed; install longtail[data]"


def installed() -> bool:
    """Return whether imbalanced-learn is there; nothing is imported."""
    return find_spec("imblearn") is not None


def imbalanced_learn(module: str) -> Any:
    """Return one of its modules, such as "over_sampling".

    Raises:
        ModuleNotFoundError: without longtail[data].
    """
    if not installed():
        raise ModuleNotFoundError(f"resampling {MISSING}")
    return import_module(f"imblearn.{module}")
