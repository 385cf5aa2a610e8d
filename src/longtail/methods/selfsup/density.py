"""rwSAM: a sharpness-aware step whose ascent gives rows in sparse regions of the features more weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from longtail.catalogue.encoders import encoder_base, over_encoders
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import Choice, Length, NonNegative, NonNegativeFloat, Range
from longtail.learners.density import Densities
from longtail.updates import SAM, Descend
from longtail.updates.passes import ByRow

Base = Annotated[Method, encoder_base("update")]
Refresh = Annotated[float, Length(0, 1)]
SIMCLR: Any = "simclr"


@dataclass(frozen=True)
class Bandwidth(Choice):
    """A bandwidth: a number > 0, or the word "median"."""

    def __str__(self) -> str:
        return 'a number > 0 or "median"'

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where the value breaks the rule."""
        if isinstance(value, str):
            super().check(name, value)
        else:
            Range(0, open_low=True, open_high=True).check(name, value)


Width = Annotated[float | str, Bandwidth(("median",))]


def rwsam(
    *,
    base: Base = SIMCLR,
    rho: NonNegative = 0.05,
    alpha: NonNegativeFloat = 0.5,
    bandwidth: Width = "median",
    refresh: Refresh = 0.1,
    leave_one_out: bool = True,
    adaptive: bool = False,
) -> Method:
    """rwSAM: the encoder descends at the worst point nearby of a loss in which rows of sparse regions count more.

    loss = that of `base` at w + e, e = rho g / (||g|| + 1e-12), g the gradient at w of sum_i a_i l_i;
    a_i = (mean_j exp(-||f_i - f_j||^2 / (2 h^2)))^-alpha, f the features of length 1, h the bandwidth.

    The ascent is weighted, the descent is that of the plain loss. alpha = 0 is `sam` over the same base, rho = 0 is
    `base`. Labels are not used. Densities are those of the features in evaluation mode and without augmentation, at the
    start of the training (then of the initial network) and again after every share `refresh` of it; bandwidth="median"
    takes the median distance between rows. leave_one_out=False counts a row as its own neighbour. Of more than 8192
    rows, densities are means over so many evenly spaced ones. adaptive is as in `sam`. Over dnc, densities and steps
    are those of the base encoder and of each expert on its own rows; the distillation takes plain steps.

    Cost: two forward and two backward passes a step, as sam; every refresh passes all N rows once and compares N x
    min(N, 8192) pairs.

    Liu et al. 2022.

    Works: The paper's reason: on a long tail, the loss of rare rows is the sharper one, and rare classes lie where
    features are sparse; which rows these are is told without labels.

    Breaks: Density says little where features do not cluster by class: in the first epochs, or with outliers, which get
    the largest weights of all. With a large alpha, few rows decide the direction of the ascent.

    Paper and code: alpha, bandwidth, refresh and kernel are ours: none of them is in the released code. That
    code weights by the true class (1.2^class index on CIFAR), or loads densities from a file that is not in it, and on
    CIFAR leaves the weights out by default; its ascent is ASAM's. Weights are divided by their mean here, which the
    ascent does not depend on.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        learner: Any = built.learner
        if type(built.update) is not Descend:
            kind = type(built.update).__name__
            raise ValueError(f"base must take plain gradient steps, got {kind}; choose another base")
        memory = Densities(len(built.data), alpha, bandwidth, refresh, leave_one_out=leave_one_out)
        step = SAM(rho, adaptive=adaptive, ascent=ByRow(memory))
        return built._replace(learner=learner.varied(memories=[*learner.memories, memory]), update=step)

    return over_encoders(base, "update", change, reference=cited("liu2022imbalance"))
