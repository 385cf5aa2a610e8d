"""Start Python processes that do not import modules from the working directory, workers before there is work for them.

`python -m joblib...` and `python -c ...`, which start worker processes and their trackers, search for modules in the
working directory first: a numpy.py beside the data would be imported instead of NumPy.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

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


def cores() -> int:
    """Return the number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pool(workers: int, module: str, **options: Any) -> Any:
    """Return joblib's `Parallel` over worker processes that import a module when they start.

    Pools of one module share them. A task is taken from its iterator only when a worker is free. A worker whose memory
    has grown by 300 MB since its first task is replaced by joblib, where psutil is installed.

    Args:
        workers: how many.
        module: its name.
        options: of `Parallel`; by default it yields results as they come.
    """
    from joblib import Parallel

    # said in a thread of joblib's: where warnings are errors, it would end there, and everything would wait for ever
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    as_they_come = {"return_as": "generator_unordered", "pre_dispatch": workers}
    start = {"initializer": import_module, "initargs": (module,)}
    return Parallel(n_jobs=workers, backend="loky", **{**as_they_come, **options}, **start)


@contextmanager
def early_workers(workers: int, module: str) -> Iterator[None]:
    """Inside, the workers of such a `pool` exist, and import while this process does something else.

    Where the block fails they are ended at once, imported or not.
    """
    if workers < 2:
        yield
        return
    from joblib import delayed
    from joblib.externals.loky import get_reusable_executor

    with safe_path():
        started = pool(workers, module)(delayed(os.getpid)() for _ in range(workers))
        try:
            yield
        except BaseException:
            get_reusable_executor(reuse=True).shutdown(wait=False, kill_workers=True)
            with suppress(Exception):  # that workers were ended
                _ = list(started)
            raise
        _ = list(started)
