"""Start Python processes that do not import modules from the working directory.

`python -m joblib...` and `python -c ...`, which start worker processes and their trackers, search for modules in the
working directory first: a numpy.py beside the data would be imported instead of NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SAFE = "PYTHONSAFEPATH"
"""Environment variable: where set, neither the working directory nor a script's folder is on sys.path."""


def set_safe_path() -> None:
    """Protect every Python process started from now on; for a command, which owns its environment."""
    os.environ[SAFE] = "1"


@contextmanager
def safe_path() -> Iterator[None]:
    """Inside, protect every Python process that is started; for a library, which must not change the environment.

    Modules on PYTHONPATH, installed packages, and those on this process's own path, which joblib passes to its workers,
    are imported as usual.
    """
    before = os.environ.get(SAFE)
    set_safe_path()
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SAFE, None)
        else:
            os.environ[SAFE] = before
