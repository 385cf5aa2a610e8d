"""FixMatch, and DARP, which makes the pseudo-labels of any base meet the expected class totals."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from longtail.catalogue.compose import BaseMethod, corrected
from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import NonNegativeFloat, Range, UnitFloat
from longtail.facts.types import Batch, Outputs, Progress
from longtail.methods.semi import crest as generations_of
from longtail.methods.semi import fixmatch as leaf
from longtail.methods.semi.crest import Base as Generations
from longtail.methods.semi.crest import PlusBase
from longtail.targets import Refinement

Count = Annotated[int, Range(1, integer=True)]
FIXMATCH = ("fixmatch",)
Base = Annotated[Method, BaseMethod(FIXMATCH, slots=("targets",), task="semi-supervised", such=FIXMATCH)]
KIM_2020 = Reference("kim2020distribution", "Jaehyung Kim", "Distribution Aligning Refinery", "NeurIPS", 2020)


def fixmatch(
    *, threshold: NonNegativeFloat = 0.6, consistency: NonNegativeFloat = 1.0, decay: UnitFloat = 0.5, mu: Count = 1
) -> Method:
    """`longtail.methods.semi.fixmatch` with knobs that act within 25 steps.

    loss = as there.
    """
    return leaf.fixmatch(threshold=threshold, consistency=consistency, decay=decay, mu=mu)


class Refined(Refinement):
    """min sum_m w_m KL(y_m || p_m) with rows that sum to 1 and columns to the totals, w_m = 1 / H(p_m).

    y_mk = p_mk exp(b_k / w_m) / row sum; b by Newton's method.
    """

    def __init__(self, size: int, counts: Tensor, *, start: float, period: int, keep: float) -> None:
        super().__init__()
        self.start, self.period, self.keep = start, period, keep
        classes = len(counts)
        self.register_buffer("seen", torch.full((size, classes), 1 / classes))
        self.register_buffer("refined", torch.full((size, classes), 1 / classes))
        self.register_buffer("totals", counts.double() / counts.sum() * size)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Batch, guess: Tensor, outputs: Outputs, progress: Progress) -> Tensor:
        if not self.holding:
            self.seen[batch["index"]] = guess
            if progress >= self.start and int(self.step) % self.period == 0:
                self.refined.copy_(self.solved())
            self.step += 1
        return guess if progress < self.start else self.refined[batch["index"]]

    @torch.no_grad()
    def solved(self) -> Tensor:
        s, kept = self.seen.double(), torch.zeros_like(self.seen, dtype=torch.bool)
        for j, total in enumerate(self.totals.tolist()):
            kept[s[:, j].topk(min(int(self.keep * total), len(s))).indices, j] = True
        a = torch.where(kept, s, 0.0)
        a = a * (self.totals + 1e-6) / (a.sum(0) + 1e-6) + 1e-6
        a = a / a.sum(1, keepdim=True)
        h = -(a * (a + 1e-6).log()).sum(1, keepdim=True)
        b = torch.zeros_like(self.totals)
        for _ in range(20):
            y = (a.log() + b * h).softmax(1)
            slope = torch.diag((h * y).sum(0)) - (h * y).T @ y
            b = b + torch.linalg.solve(slope + 1e-3 * torch.eye(len(b), dtype=b.dtype), self.totals - y.sum(0))
        return (a.log() + b * h).softmax(1).to(self.seen.dtype)


def darp(
    *, base: Base = "fixmatch", start: UnitFloat = 0.4, period: Count = 1, keep: Annotated[float, Range(1)] = 2.0
) -> Method:
    """DARP: pseudo-labels refined so that their class totals are the expected ones; start = 1 is `base`.

    loss = that of `base`, its weak view's q replaced by the nearest y with the class totals of the labelled rows.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        knobs = {"start": start, "period": period, "keep": keep}
        targets = Refined(len(data.unlabeled), data.class_counts, **knobs)
        return built._replace(learner=built.learner.varied(targets=targets))

    return corrected(base, "targets", change, reference=KIM_2020)


def crest(*, base: Generations = "fixmatch", generations: Count = 2) -> Method:
    """`longtail.methods.semi.crest` with generations of more than one epoch.

    loss = as there.
    """
    return generations_of.crest(base=base, generations=generations)


def crest_plus(*, base: PlusBase = "fixmatch", generations: Count = 2) -> Method:
    """`longtail.methods.semi.crest` with generations of more than one epoch, and alignment.

    loss = as there.
    """
    return generations_of.crest_plus(base=base, generations=generations)


METHODS = {"fixmatch": fixmatch, "darp": darp, "crest": crest, "crest-plus": crest_plus}
