"""Output of a dry run: the plan in numbers, its time and its memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from longtail.cli.terminal import print_json, print_lines


def show_estimate(prepared: Any, jobs: int | None, evaluations: int, json: bool) -> int:
    """Estimate time and memory of a prepared comparison, and print them with its plan."""
    from longtail.comparison.estimate import estimate

    plan = estimate(prepared, jobs, evaluations, process_age())
    if json:
        print_json(plan)
        return 0
    without = "" if plan["unlabeled"] is None else f", {plan['unlabeled']} unlabelled"
    print_lines(f"data      {plan['data']}: {plan['train']} training{without} and {plan['test']} test examples, "
          f"{plan['classes']} classes")  # fmt: skip
    if plan["task"] != "supervised":
        print_lines(f"task      {plan['task']}")
    print_lines(f"methods   {', '.join(plan['methods'])}")
    if plan["small_network"] is not None:
        print_lines(plan["small_network"])
    _print_costs(plan)
    return 0


def show_search(plan: Any, most: int, searched: Any, search: str, jobs: int | None, json: bool) -> int:
    """Estimate time and memory of a search, and print them with its candidates.

    Args:
        plan: `Trials`; `most` is the number of candidates at most.
        searched, search: what is searched, and how.
    """
    from longtail.comparison.estimate import estimate

    numbers = estimate(plan, jobs, 1, process_age())
    numbers |= {"validation": numbers.pop("test"), "search": search, "candidates": len(plan.candidates), "most": most}
    if json:
        print_json(numbers)
        return 0
    knobs = ", ".join(knob.removeprefix("recipe.") for knob in searched.varied)
    later = f" in its first pass, at most {most}" if most > len(plan.candidates) else ""
    print_lines(f"data      {numbers['data']}: {numbers['train']} training and {numbers['validation']} validation rows"
                f"{' in a fold' if numbers['folds'] else ''}, {numbers['classes']} classes; no test rows")  # fmt: skip
    print_lines(f"search    {search} over {knobs}: {len(plan.candidates)} candidates{later}")
    if numbers["small_network"] is not None:
        print_lines(numbers["small_network"])
    _print_costs(numbers)
    return 0


def _print_costs(plan: dict[str, Any]) -> None:
    """Print the runs, time, memory and folder of an estimate."""
    measured = plan["gpu_memory"] > 0 and plan["jobs"] > 1  # how many go at once is known when they run
    side = f"{plan['jobs']} at a time"
    folded = f" and {plan['folds']} folds" if plan["folds"] else ""
    shared = ", the others share a training" if plan["sharing"] else ""
    seeds, epochs = (f"{plan[name]} {name if plan[name] > 1 else name[:-1]}" for name in ("seeds", "epochs"))
    print_lines(f"runs      {plan['runs']} with {seeds}{folded} ({plan['finished']} finished, "
          f"{plan['trainings']} to train{shared}), {epochs}, {'up to ' * measured}{side}")  # fmt: skip
    each = duration(plan["seconds_per_training"]) if plan["seconds_per_training"] >= 1 else "less than 1 s"
    print_lines(f"time      {'at most ' * measured}about {duration(plan['seconds'])}, {each} a training "
        "(from short trainings of these methods, measured now)")  # fmt: skip
    on_gpu = f", {size(plan['gpu_memory'])} on the GPU" if plan["gpu_memory"] else ""
    print_lines(f"memory    about {size(plan['memory'])}{on_gpu}, with {'1 at a time' if measured else side}")
    print_lines(f"folder    {plan['out']}")
    print_notes(plan["notes"])


def print_notes(notes: Iterable[str]) -> None:
    """Print what there is to say of the data: how they were read and split, and what was left out."""
    for note in dict.fromkeys(notes):
        print_lines(f"Note: {note}.")


def process_age() -> float:
    """Seconds since this process began, where the system says so; else its CPU seconds."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.process_time()


def duration(seconds: float) -> str:
    """As in 90 s, 12 min or 3.4 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes as MB or GB."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
