"""Fitted scikit-learn objects as bytes and back: skops archives with a closed list of types, never a pickle.

What is not on the list is refused before anything of the file is built, imported or called.
"""

from longtail.facts.trusted.archive import dumps, loads

__all__ = ["dumps", "loads"]
