"""Processes that work for us import what the command itself would, and nothing that lies in the working directory.

`python -m joblib...` and `python -c ...`, which is how worker processes and their trackers start, look for modules in
the working directory first: a numpy.py beside the data would run in place of NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SAFE = "PYTHONSAFEPATH"
"""Set and not empty, Python (from 3.11 on) puts neither the working directory nor a script's folder on its path."""


def always_safe() -> None:
    """Every Python process that this one starts from now on: for a command, which owns its environment."""
    os.environ[SAFE] = "1"


@contextmanager
def safe() -> Iterator[None]:
    """Every Python process that is started inside: for a library, which leaves the environment as it was.

    What the user named is still found: PYTHONPATH, installed packages, and what this process has on its own path,
    which joblib hands to its workers once they run.
    """
    before = os.environ.get(SAFE)
    always_safe()
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SAFE, None)
        else:
            os.environ[SAFE] = before
