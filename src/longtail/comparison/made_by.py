"""What made a comparison: the call or command as it was given, and the versions that its runs and numbers come from."""

from __future__ import annotations

import inspect
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail.catalogue.method import Method
from longtail.facts import json_documents
from longtail.version import __version__

UNESSENTIAL = ("data", "y", "jobs", "budget", "on_plan", "on_begin", "on_result")
"""Arguments that stand first, or change no number."""
NAMES = {"data": "X", "y": "y"}
"""What arrays, frames and data sets are called, whose content cannot be written down."""
WAY_OUT = "run the same command again"


def python_call(function: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """Return a call as it would be typed: `longtail.compare("digits", methods="ce,ldam", seeds=2)`.

    Arguments that have their default are left out; of what cannot be written down only the name stands, or `...`.

    Args:
        function: that was called.
        given: its arguments by name, further options among them.
    """
    usual = {name: one.default for name, one in inspect.signature(function).parameters.items()}
    words = [_typed(given[name], NAMES[name]) for name in ("data", "y") if given.get(name) is not None]
    for name, value in given.items():
        if name not in UNESSENTIAL and not _is_usual(value, usual.get(name)):
            words.append(f"{name}={_typed(value, '...')}")
    return f"longtail.{function.__name__}({', '.join(words)})"


def made_by(out: Path, command: str | None, device: str, folders: Iterable[Path]) -> dict[str, Any]:
    """Return the entries of a summary: `command`, `earlier_commands` of its folder, and `versions`."""
    earlier = earlier_commands(out, command)
    return {"command": command, "earlier_commands": earlier, "versions": versions(folders, device)}


def earlier_commands(out: Path, command: str | None) -> list[str]:
    """Return the commands that began and extended a comparison's folder, in order, without this one."""
    try:
        last = json_documents.read(out / "comparison.json", WAY_OUT)
    except ValueError:  # none yet, or one that is damaged and written anew
        return []
    known = [*last.get("earlier_commands", []), last.get("command")]
    return [one for one in known if isinstance(one, str) and one != command]


def versions(folders: Iterable[Path], device: str) -> dict[str, str]:
    """Return the versions that made the summary, what its runs were trained on, and which of them with other versions.

    Args:
        folders: of the finished runs.
        device: that was asked for.
    """
    import sklearn

    now = {
        "longtail": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    configs = [json_documents.read(folder / "config.json", WAY_OUT) for folder in folders]
    for name in {name for config in configs for name in config.get("versions", {})} - now.keys():
        with suppress(metadata.PackageNotFoundError):  # of classifiers of the user's
            now[name] = metadata.version(name)
    threads = sorted({config["threads"] for config in configs if "threads" in config})
    machines = {
        " ".join(str(config.get("machine", {}).get(part, "")) for part in ("gpu", "cpu")).strip() for config in configs
    }
    trained = Counter(
        ", ".join(
            f"{name} {version}" for name, version in config.get("versions", {}).items() if version != now.get(name)
        )
        for config in configs
    )
    del trained[""]
    return {
        **now,
        "platform": platform.platform(),
        "device": device,
        **({"processor": ", ".join(sorted(machines))} if machines - {""} else {}),
        **({"threads of a run": ", ".join(map(str, threads))} if threads else {}),
        **({"runs trained with other versions": _counted(trained, len(configs))} if trained else {}),
    }


def _counted(trained: Counter[str], total: int) -> str:
    return "; ".join(f"{text} ({count} of {total} runs)" for text, count in sorted(trained.items()))


def _is_usual(value: Any, usual: Any) -> bool:
    """Whether an argument has its default; of an option without one that is None. An array equals nothing."""
    plain = isinstance(value, str | int | float | None)
    return value is None if usual in (None, inspect.Parameter.empty) else plain and value == usual


def _typed(value: Any, otherwise: str) -> str:
    """A value as it is typed in Python, where that can be done in a few words."""
    if isinstance(value, Method):
        return repr(value.spec)
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, str | int | float | bool | None):
        return repr(value)
    if isinstance(value, list | tuple):
        parts = [_typed(one, "...") for one in value[:50]]
        return f"[{', '.join([*parts, *(['...'] if len(value) > 50 else [])])}]"
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return "{" + ", ".join(f"{key!r}: {_typed(one, '...')}" for key, one in value.items()) + "}"
    if hasattr(value, "get_params") and not isinstance(value, type):
        return " ".join(repr(value).split())[:200]
    return otherwise
