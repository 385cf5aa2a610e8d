"""Save and load fitted scikit-learn objects: skops archives with a closed list of types, never a pickle.

A file with any other type is refused before anything of it is built, imported or called.
"""

from longtail.facts.trusted.archive import dumps, loads, storable

__all__ = ["dumps", "loads", "storable"]
