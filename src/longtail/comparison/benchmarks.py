"""The field's benchmarks by name: long-tailed and step CIFAR at the ratios that papers report."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from longtail.facts.ledger import DATA, KINDS, RATIOS

PROFILES = {"lt": "exp", "step": "step"}


@dataclass(frozen=True)
class Benchmark:
    """The data, profile and imbalance ratio of a benchmark."""

    name: str
    data: str
    profile: str
    ratio: float


BENCHMARKS = {
    f"{data}-{kind}-{ratio}": Benchmark(f"{data}-{kind}-{ratio}", data, PROFILES[kind], float(ratio))
    for data in DATA
    for kind in KINDS
    for ratio in RATIOS
}


def benchmark(name: str) -> Benchmark:
    """Return the benchmark of that name, such as cifar10-lt-100.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    if name not in BENCHMARKS:
        near = difflib.get_close_matches(str(name), BENCHMARKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "as in cifar10-lt-100"
        ratios = ", ".join(map(str, RATIOS))
        raise ValueError(f"benchmark must be cifar10 or cifar100, lt or step, and {ratios}, got {name!r}; {hint}")
    return BENCHMARKS[name]
