"""The arguments that make a task from clean data, their checks, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.simulate.candidate_sets import ambiguity_of, candidate_sets
from longtail.data.simulate.noise import Noise, noise_of
from longtail.data.simulate.noisy_labels import checked_draw
from longtail.data.simulate.removed_labels import REVERSED, Cut, Divided, divide
from longtail.facts import checks
from longtail.facts.messages import quoted

SIMULATIONS = ("labeled", "unlabeled_size", "unlabeled_ratio", "ambiguity", "noise")
"""The arguments of `simulation`."""


@dataclass(frozen=True)
class Simulation:
    """What is hidden of clean labels: labels of some rows, the true class among candidates, or right among wrong ones.

    `simulation` makes it, with checked values. The draws follow from the values, the labels and fixed seeds.
    """

    labeled: float | None = None
    unlabeled_size: int | None = None
    unlabeled_ratio: float | str | None = None
    ambiguity: str | None = None
    noise: str | None = field(default=None, repr=False)  # so that hashes of data without noise stay as they were

    @property
    def label_noise(self) -> Noise | None:
        """The noise as it is drawn; None without."""
        return None if self.noise is None else noise_of(self.noise)

    @property
    def noise_first(self) -> bool:
        """Whether noise comes before a long-tailed cut."""
        return self.label_noise is not None and self.label_noise.first

    @property
    def removes_labels(self) -> bool:
        """Whether some training rows have no label."""
        return not (self.labeled is None and self.unlabeled_size is None and self.unlabeled_ratio is None)

    def parted(self) -> tuple[Simulation | None, Simulation | None]:
        """Return the noise alone, and everything else alone; None where there is nothing of it."""
        rest = replace(self, noise=None)
        return None if self.noise is None else Simulation(noise=self.noise), rest if rest.facts else None

    @property
    def facts(self) -> dict[str, Any]:
        """The values that are given: they belong to the identity of the data."""
        return {name: value for name in SIMULATIONS if (value := getattr(self, name)) is not None}

    @property
    def words(self) -> str:
        """The names of these values with their flags, for messages."""
        return ", ".join(f"{name} (--{name.replace('_', '-')})" for name in self.facts)

    def divided(self, targets: Tensor, classes: Sequence[str], rows: Tensor, before: Tensor, cut: Cut) -> Divided:
        """Return the training rows with and without labels; see `divide`. With `ambiguity` or noise alone all have."""
        if not self.removes_labels:
            return Divided(rows, rows[:0])
        return divide(
            targets, classes, rows, before, cut,
            labeled=self.labeled, size=self.unlabeled_size, ratio=self.unlabeled_ratio,
        )  # fmt: skip

    def candidates(self, targets: Tensor, classes: Sequence[str]) -> Tensor | None:
        """Return candidate sets (N, C) bool; None without `ambiguity`."""
        return None if self.ambiguity is None else candidate_sets(targets, classes, self.ambiguity)

    def noisy(self, targets: Tensor, classes: Sequence[str], like: Tensor | None = None) -> Tensor:
        """Return labels (N,) with noise, the same ones without it; `like` are the clean labels of the training rows.

        Raises:
            ValueError: a class of the training rows is left without any.
        """
        if (noise := self.label_noise) is None:
            return targets
        reference = None if like is None else like.cpu().numpy()
        return torch.from_numpy(checked_draw(targets.cpu().numpy(), classes, noise, reference)).to(targets.device)

    def noise_note(self, wrong: Tensor) -> list[str]:
        """Return a sentence on the labels that are wrong (N,) bool of the training rows; none without noise."""
        if self.noise is None:
            return []
        share = 100 * float(wrong.double().mean())
        return [
            f"noise={self.noise}: {int(wrong.sum())} of {len(wrong)} labels are wrong ({share:.1f} %), those of "
            "validation rows alike; the test part keeps its clean labels, and groups of classes are by clean counts"
        ]

    def note(self, targets: Tensor, unlabeled: int) -> list[str]:
        """Return a sentence on what was hidden by other means than noise, if anything was.

        Args:
            targets: of the training rows with labels: (N,), or candidate sets (N, C).
            unlabeled: the number of training rows without.
        """
        given = ", ".join(f"{name}={value}" for name, value in self.facts.items() if name != "noise")
        return [self._note(given, targets, unlabeled)] if given else []

    def _note(self, given: str, targets: Tensor, unlabeled: int) -> str:
        if self.ambiguity is None:
            return f"labels were removed by {given}: {len(targets)} training rows have one, {unlabeled} have none"
        sizes = targets.sum(1)
        one, full = int((sizes == 1).sum()), int((sizes == targets.shape[1]).sum())
        return (
            f"candidates were added by {given}: {float(sizes.double().mean()):.2f} classes a training row on average; "
            f"{one} of {len(targets)} rows have one and {full} have all"
        )


def simulation(
    labeled: Any = None,
    unlabeled_size: Any = None,
    unlabeled_ratio: Any = None,
    ambiguity: Any = None,
    noise: Any = None,
) -> Simulation | None:
    """Return what is hidden of clean labels, checked before data are read; None where nothing is.

    Args:
        labeled: a float in (0, 1), the share of training rows that keep their labels, or an integer >= 1, the
            labelled rows of the largest class.
        unlabeled_size: rows without labels of their largest class.
        unlabeled_ratio: their imbalance ratio >= 1, or "reversed".
        ambiguity: the chance q in [0, 1) of other classes to be candidates: q, "superclass:q" or "pair:q".
        noise: wrong labels, KIND:RATE[,option=value...]; see `noise_of`. With `labeled` on the rows that keep theirs.

    Raises:
        ValueError, TypeError: a value out of its range, or ambiguity with any of the others.
    """
    made = None if noise is None else noise_of(noise)
    removed = (labeled, unlabeled_size, unlabeled_ratio)
    if ambiguity is not None:
        kind, chance = ambiguity_of(ambiguity)
        if any(value is not None for value in removed):
            raise ValueError(
                "ambiguity (--ambiguity) makes partial labels and cannot go with labeled, unlabeled_size or "
                "unlabeled_ratio, which make rows without labels; choose one"
            )
        if made is not None:
            raise ValueError(
                "noise (--noise) puts wrong labels in place of right ones and cannot go with ambiguity (--ambiguity), "
                "which keeps the right one among the candidates; choose one"
            )
        return Simulation(ambiguity=f"{kind}:{chance}" if kind else f"{chance}")
    if all(value is None for value in removed):
        return None if made is None else Simulation(noise=made.text)
    if made is not None and made.first:
        raise ValueError(
            "noise (--noise) order=noise-first cannot go with labeled (--labeled), unlabeled_size or unlabeled_ratio, "
            "which divide rows by their clean labels; leave one of them out"
        )
    if unlabeled_size is not None:
        checks.whole("unlabeled_size (--unlabeled-size)", unlabeled_size, "rows of their largest class", low=1)
    return Simulation(
        _labeled(labeled), unlabeled_size, _ratio(unlabeled_ratio), noise=None if made is None else made.text
    )


def parsed(option: str, text: str) -> float | str:
    """Return the text of an argument of `simulation` as its value: 500 and 0.1 are numbers, "reversed" is a word."""
    for number in () if option in ("ambiguity", "noise") else (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _labeled(value: Any) -> float | None:
    if value is None or (isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1):
        return None if value is None else int(value)
    if not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(
            "labeled (--labeled) must be a share of the rows in (0, 1), such as 0.1, or the number of labelled rows of "
            f"the largest class, an integer >= 1, got {quoted(value)}"
        )
    return float(value)


def _ratio(value: Any) -> float | str | None:
    if value is None or value == REVERSED:
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        raise ValueError(
            f'unlabeled_ratio (--unlabeled-ratio) must be a number >= 1 or "reversed", got {quoted(value)}; try 1'
        )
    checks.number("unlabeled_ratio (--unlabeled-ratio)", value, 'it is n_max / n_min, or "reversed"', low=1)
    return float(value)
