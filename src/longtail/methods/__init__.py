"""The methods: the catalogue, spec strings, and the way from a method and data to a run."""

from longtail.methods.catalog import PRESETS, catalogue
from longtail.methods.definition import Method
from longtail.methods.references import Reference
from longtail.methods.resolve import method, methods
from longtail.methods.train import fit, train

__all__ = ["PRESETS", "Method", "Reference", "catalogue", "fit", "method", "methods", "train"]
