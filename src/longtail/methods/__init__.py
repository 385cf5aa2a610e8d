"""The methods: the registry, and one leaf file for each method."""

from typing import Any

from longtail import aliases
from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.methods.entries import PRESETS
from longtail.methods.registry import added, catalogue, explained, given_classifiers, method, methods, overview

__all__ = [
    "PRESETS", "Method", "Reference", "added", "catalogue", "explained", "given_classifiers", "method", "methods",
    "overview",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    return aliases.name(__name__, name)
