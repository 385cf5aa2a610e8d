"""The methods: the catalogue, spec strings, and the way from a method and data to a run."""

from longtail.methods.catalog import PRESETS, catalogue, explained, method, methods, overview
from longtail.methods.definition import Method
from longtail.methods.references import Reference
from longtail.methods.train import fit, train

__all__ = ["PRESETS", "Method", "Reference", "catalogue", "explained", "fit", "method", "methods", "overview", "train"]
