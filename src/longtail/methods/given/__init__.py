"""Classifiers of the user's, beside the catalogue's methods."""

from longtail.methods.given.given import Given
from longtail.methods.given.reading import builders_of, read, read_one

__all__ = ["Given", "builders_of", "read", "read_one"]
