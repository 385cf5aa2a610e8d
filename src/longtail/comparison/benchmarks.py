"""The field's benchmarks by name: long-tailed and step CIFAR at the ratios that papers report, and candidate sets."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from longtail.facts.ledger import AMBIGUOUS, DATA, KINDS, RATIOS

PROFILES = {"lt": "exp", "step": "step"}


@dataclass(frozen=True)
class Benchmark:
    """The data, profile and imbalance ratio of a benchmark, and `ambiguity` (see `data.load`) of candidate sets."""

    name: str
    data: str
    profile: str
    ratio: float
    ambiguity: str | None = None


def _named(name: str) -> Benchmark:
    plain, _, ambiguity = name.partition("-ambiguity-")
    data, kind, ratio = plain.split("-")
    return Benchmark(name, data, PROFILES[kind], float(ratio), ambiguity or None)


BENCHMARKS = {
    name: _named(name)
    for name in (*(f"{data}-{kind}-{ratio}" for data in DATA for kind in KINDS for ratio in RATIOS), *AMBIGUOUS)
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
        sets = f"with candidate sets as in {AMBIGUOUS[0]}"
        raise ValueError(
            f"benchmark must be cifar10 or cifar100, lt or step, and {ratios}, {sets}, got {name!r}; {hint}"
        )
    return BENCHMARKS[name]
