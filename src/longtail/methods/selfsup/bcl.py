"""BCL: what is learnt badly gets stronger views."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from longtail.catalogue.encoders import encoder_base, over_encoders
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.data.further_change import LARGEST, FurtherChange
from longtail.data.rows import BatchedRows
from longtail.engine import Built
from longtail.facts.knobs import Choice, Range
from longtail.facts.late import Late
from longtail.learners.momentum_losses import MomentumLosses

AUTO, DRAWN = "auto", "drawn"
PUBLISHED: dict[str, tuple[int, float, bool]] = {"bcl-i": (1, 10.0, False), "bcl-d": (2, 5.0, True)}
"""Variant -> operations, floor, and whether magnitudes are drawn."""


@dataclass(frozen=True)
class Published(Choice):
    """That of a published variant, by name or by the base, or a number."""

    words: tuple[str, ...] = (AUTO, *PUBLISHED)
    number: Range = field(default_factory=Range)

    def __str__(self) -> str:
        return f"{super().__str__()} or {'' if self.number.integer else 'a number '}{self.number}"

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where the value breaks the rule."""
        if isinstance(value, str):
            super().check(name, value)
        else:
            self.number.check(name, value)


Base = Annotated[Method, encoder_base("views")]
Operations = Annotated[str | int, Published(number=Range(1, integer=True))]
Floor = Annotated[str | float, Published(number=Range(0, LARGEST))]
Magnitudes = Annotated[str, Choice((AUTO, "strength", DRAWN))]
SIMCLR: Any = "simclr"


def bcl(
    *,
    base: Base = SIMCLR,
    beta: Annotated[float, Range(0, 1, open_high=True)] = 0.97,
    ops: Operations = AUTO,
    floor: Floor = AUTO,
    magnitudes: Magnitudes = AUTO,
) -> Method:
    """BCL: the views of a row are changed the more, the worse `base` has learnt it.

    loss = that of `base`; m_i = beta m_i + (1 - beta) l_i in each epoch

    M_i = ((m_i - mean m) / max_j |m_j - mean m| + 1) / 2

    l_i is the loss of row i under `base`, without that of surrogate classes (gh); m_i = l_i in the first epoch, and
    over moco until its queue is full, since the losses before have fewer negatives. Every view of row i is then changed
    by `ops` operations, each drawn from fifteen and applied with probability M_i, of magnitude floor + (30 - floor) M_i
    u of 30: u = 1 for magnitudes="strength", U(0, 1) for "drawn", one number a row and step. M is computed before each
    epoch: its mean is 1/2, but it is 0 in the first epoch, and where all m are equal. A single epoch is refused.

    "auto" is BCL-I ("bcl-i": ops 1, floor 10, "strength"), and over a base that prunes a branch, such as sdclr, BCL-D
    ("bcl-d": ops 2, floor 5, "drawn"). The operations and their ranges are in `data.views.magnitudes`. They are for
    images; for a table the share of masked columns grows with the magnitude up to 0.6, for features the noise up to one
    standard deviation, which is ours.

    Zhou et al. 2022.

    Works: Rare classes are learnt later than frequent ones, so that their rows have the larger losses.

    Breaks: Rows with larger losses for another reason, such as noise, get stronger views, too. Views that change what
    a row shows: an inverted or turned digit may be another. One row with an extreme loss sets the scale for all others.
    In a short last batch losses are smaller, since rows have fewer negatives there: these count as learnt.

    Paper and code: The paper has magnitudes M_i u and no floor; the floors, and u = 1 for one operation, are in the
    code alone. A later port to ImageNet has two operations and no floor. A larger magnitude is a weaker change in
    posterize and solarize, and none in the middle of contrast, colour, brightness and sharpness. The code does not save
    m, so that a resumed run begins anew; with data workers that live longer than an epoch the strengths never change.
    The port, on several GPUs, stores losses of the gathered batch under rows of the local one. BCL-I has the weight
    decay 5e-4, in the recipe of the method's own.
    """
    dual = "branch" in base.taken
    variant = "bcl-d" if dual else "bcl-i"
    k = PUBLISHED[variant if ops == AUTO else ops][0] if isinstance(ops, str) else ops
    least = PUBLISHED[variant if floor == AUTO else floor][1] if isinstance(floor, str) else floor
    drawn = PUBLISHED[variant][2] if magnitudes == AUTO else magnitudes == DRAWN

    def change(built: Built, data: TrainingSet) -> Built:
        rows, learner = built.data, built.learner
        if not isinstance(rows, BatchedRows) or len(rows.views) != 2:
            got = f"{len(rows.views)} of them" if isinstance(rows, BatchedRows) else type(rows).__name__
            raise ValueError(
                f"base must compare two views of rows that are drawn alone, got {got}; choose another base"
            )
        memory = MomentumLosses(len(rows), beta)
        further = FurtherChange(rows, memory.strength, operations=k, floor=least, random=drawn)
        return built._replace(learner=learner.varied(memories=[*learner.memories, memory]), data=further)  # type: ignore[misc]

    begun = Late("its stronger views", lambda progress: float(progress > 0))
    own = base.own if dual else {**base.own, "weight_decay": 5e-4}
    return over_encoders(base, "views", change, reference=cited("zhou2022contrastive"), late=(begun,), own=own)
