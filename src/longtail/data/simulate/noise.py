"""What noise is put on labels: its kind, its rate and its options, read from a text such as "symmetric:0.4"."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from longtail.facts.messages import quoted

SYMMETRIC, UNIFORM, ASYMMETRIC, PAIR_FLIP = "symmetric", "uniform", "asymmetric", "pair-flip"
ONE_TARGET, TWO_TARGETS, PROPORTIONAL, PRIOR = "one-target", "two-targets", "proportional", "prior"
EXACT, PER_CLASS, EQUAL, BINOMIAL = "exact", "per-class", "equal", "binomial"
COUNTS = (EXACT, PER_CLASS, EQUAL, BINOMIAL)
IMBALANCE_FIRST, NOISE_FIRST = "imbalance-first", "noise-first"
ORDERS = (IMBALANCE_FIRST, NOISE_FIRST)
SIMILAR, NEXT_OF_FIVE, PAIR_OF_FIVE, TWO_GROUPS = "similar", "next-of-five", "pair-of-five", "two-groups"
MAPS = (SIMILAR, NEXT_OF_FIVE, PAIR_OF_FIVE, TWO_GROUPS)
OPTIONS = ("counts", "order", "seed", "map", "sequential")

KINDS = {
    SYMMETRIC: EXACT, UNIFORM: EXACT, ASYMMETRIC: PER_CLASS, PAIR_FLIP: PER_CLASS, ONE_TARGET: PER_CLASS,
    TWO_TARGETS: PER_CLASS, PROPORTIONAL: EXACT, PRIOR: EXACT,
}  # fmt: skip
"""Kind of noise -> how many rows get another label where no `counts` is given."""
NAMED = "noise (--noise)"


@dataclass(frozen=True)
class Noise:
    """Noise as it is asked for; `noise_of` makes it from a text, with checked values.

    Args:
        kind, rate: which labels a chosen row may get, and the share of rows that are chosen, in [0, 1].
        counts: "exact", trunc(r N) rows of all; "per-class", trunc(r n_j) rows of every class j; "equal",
            trunc(trunc(r N) / C) rows of every class; "binomial", every row by chance.
        pairs: (class, what its rows become), of "asymmetric".
        map: a named set of such pairs.
        order: whether a long-tailed cut comes before the noise, or after it and by the noisy labels.
        seed: of all draws.
        sequential: "asymmetric" pair after pair, each on the labels that the one before has left.
    """

    kind: str
    rate: float
    counts: str
    pairs: tuple[tuple[str, str], ...] = ()
    map: str | None = None
    order: str = IMBALANCE_FIRST
    seed: int = 0
    sequential: bool = False

    @property
    def first(self) -> bool:
        """Whether noise comes before a long-tailed cut."""
        return self.order == NOISE_FIRST

    @property
    def text(self) -> str:
        """The noise as a text, one for all that mean the same."""
        given = [f"{source}={target}" for source, target in self.pairs]
        given += [] if self.map is None else [f"map={self.map}"]
        given += [] if self.counts == KINDS[self.kind] else [f"counts={self.counts}"]
        given += [] if self.order == IMBALANCE_FIRST else [f"order={self.order}"]
        given += [] if self.seed == usual_seed(self.kind) else [f"seed={self.seed}"]
        given += ["sequential=yes"] if self.sequential else []
        return ",".join([f"{self.kind}:{self.rate}", *given])


def usual_seed(kind: str) -> int:
    """Return the seed where none is given: 1 for random targets, as their papers' code has it, else 0."""
    return 1 if kind in (ONE_TARGET, TWO_TARGETS) else 0


def noise_of(value: Any) -> Noise:
    """Return the noise that a text asks for: KIND:RATE[,option=value...], as in "symmetric:0.4".

    Options: counts=exact|per-class|equal|binomial, order=imbalance-first|noise-first, seed=N; of asymmetric alone
    CLASS=CLASS pairs or map=similar|next-of-five|pair-of-five|two-groups, and sequential=yes.

    Raises:
        ValueError, TypeError: no such text, an unknown kind or option, a rate outside of [0, 1].
    """
    if isinstance(value, Noise):
        return value
    if not isinstance(value, str):
        raise TypeError(f'{NAMED} must be a text such as "symmetric:0.4", got {quoted(value)}; write KIND:RATE')
    head, *rest = (part.strip() for part in value.split(","))
    kind, _, number = head.partition(":")
    if kind not in KINDS:
        raise ValueError(f"{NAMED} must be one of {', '.join(KINDS)}, got {quoted(kind)}; {_near(kind, list(KINDS))}")
    rate = _rate(kind, number)
    named, pairs = _parted(value, rest)
    if kind != ASYMMETRIC and (pairs or named.keys() & {"map", "sequential"}):
        extra = f"{pairs[0][0]}={pairs[0][1]}" if pairs else next(n for n in ("map", "sequential") if n in named)
        hint = _near(pairs[0][0] if pairs else extra, OPTIONS[:3])
        raise ValueError(
            f"{NAMED} {kind} takes only {', '.join(OPTIONS[:3])}, got {quoted(extra)}; {hint}, or take asymmetric"
        )
    chosen = _chosen(named, "map", MAPS, "") or None
    if chosen and pairs:
        raise ValueError(f"{NAMED} takes CLASS=CLASS pairs or map, got both in {quoted(value)}; leave one of them out")
    made = Noise(
        kind, rate, _chosen(named, "counts", COUNTS, KINDS[kind]), tuple(pairs), chosen,
        _chosen(named, "order", ORDERS, IMBALANCE_FIRST), _seed(named, kind),
        _chosen(named, "sequential", ("yes", "no"), "no") == "yes",
    )  # fmt: skip
    if made.sequential and made.map == TWO_GROUPS:
        raise ValueError(f"{NAMED} sequential=yes takes one target a class, got map={made.map}; leave one of them out")
    if made.sequential and made.counts not in (PER_CLASS, BINOMIAL):
        raise ValueError(f"{NAMED} sequential=yes takes counts=per-class or binomial, got {made.counts}; leave it out")
    return made


def _parted(value: str, rest: Sequence[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return options by their names, and pairs of classes."""
    named: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for part in rest:
        left, equals, right = (side.strip() for side in part.partition("="))
        if not (left and equals and right):
            raise ValueError(f"{NAMED} takes option=value after a comma, got {quoted(part)}; as in seed=1")
        if left in named or left in dict(pairs):
            raise ValueError(f"{NAMED} takes every name once, got {quoted(left)} twice in {quoted(value)}; remove one")
        if left in OPTIONS:
            named[left] = right
        else:
            pairs.append((left, right))
    return named, pairs


def _rate(kind: str, number: str) -> float:
    try:
        rate = float(number)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        got = quoted(f"{kind}:{number}") if number else f"{quoted(kind)} alone"
        raise ValueError(f"{NAMED} must have a rate in [0, 1] after its kind, got {got}; try {kind}:0.2")
    return rate


def _chosen(named: dict[str, str], option: str, known: Sequence[str], usual: str) -> str:
    value = named.get(option, usual)
    if value != usual and value not in known:
        raise ValueError(
            f"{NAMED} {option} must be one of {', '.join(known)}, got {quoted(value)}; {_near(value, known)}"
        )
    return value


def _seed(named: dict[str, str], kind: str) -> int:
    text = named.get("seed", str(usual_seed(kind)))
    if not text.isascii() or not text.isdigit() or int(text) >= 2**32:
        raise ValueError(f"{NAMED} seed must be an integer in [0, 2^32), got {quoted(text)}; 0 is usual")
    return int(text)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"try {known[0]}"
