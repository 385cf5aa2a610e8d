"""Sharpness-aware minimisation over any base: one neighbourhood for all parameters, or one that scales with each."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod, corrected, with_update
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.facts.knobs import NonNegative, NonNegativeFloat
from longtail.updates import SAM
from longtail.updates.sam import STATISTICS

Base = Annotated[Method, BaseMethod(slots=("update",), task=None)]
Statistics = Annotated[str, STATISTICS]


def sam(
    *,
    base: Base = PLAIN,
    rho: NonNegative = 0.05,
    adaptive: bool = False,
    norms: bool = True,
    decay: bool = False,
    statistics: Statistics = "first",
) -> Method:
    """SAM, sharpness-aware minimisation: every step descends with the gradient at the worst point nearby.

    loss = that of `base` at w + e, e = rho g / (||g|| + 1e-12), g its gradient at w; the step is taken from w.
    adaptive: e = rho w^2 g / (|| |w| g || + 1e-12). rho = 0 is `base`.

    Both passes have the same examples, dropout and instance weights, and batch norms record their statistics in the
    first alone (statistics="both": in both); over two stages both are trained so. norms=False leaves the parameters of
    normalisation layers where they are, decay=True puts the weight decay into g.

    Cost: two forward and two backward passes a step, twice the time of `base`, and one more copy of the parameters.

    Foret et al. 2021, eq. 2-3; rho is 0.05 there, searched in 0.01 to 0.5.

    Works: As a correction over a method that knows class sizes, such as `sam(base="ldam-drw")`, where the network fits
    its training rows too closely and the double time is affordable.

    Breaks: Class sizes play no part in it. For the authors of ImbSAM (CIFAR-100 at ratio 100) it raises the accuracy
    over plain steps from 47.6 to 48.9 %, and that on few-shot classes falls from 13.5 to 12.4 %.

    Paper and code: Weight decay is the optimiser's and does not move e, as in the usual PyTorch code; in the authors'
    (JAX) it is part of the loss and does (`decay=True`, but for its own gradient at w + e), and the gradient is clipped
    to norm 5 afterwards. Usual PyTorch code records batch statistics in both passes (`statistics="both"`), the authors'
    in the first. adaptive=True is ASAM without the offset of 0.01 that Kwon et al. 2021 add to |w|, as in the usual
    PyTorch code; it wants a rho about ten times larger. Their own form is `asam`.
    """
    step = with_update(lambda rows: SAM(rho, adaptive=adaptive, norms=norms, decay=decay, statistics=statistics))
    return corrected(base, "update", step, reference=cited("foret2021sharpness"))


def asam(
    *,
    base: Base = PLAIN,
    rho: NonNegative = 0.5,
    eta: NonNegativeFloat = 0.01,
    biases: bool = False,
    norms: bool = True,
    decay: bool = False,
    statistics: Statistics = "first",
) -> Method:
    """ASAM, adaptive sharpness-aware minimisation: large weights may move further than small ones.

    loss = that of `base` at w + e, e = rho T^2 g / (||T g|| + 1e-12), T = |w| + eta for weights and 1 for biases, g its
    gradient at w; the step is taken from w. rho = 0 is `base`.

    Passes, batch norms and options are those of sam. A weight is a parameter with "weight" in its name, the factors of
    batch norms among them; biases=True scales all parameters.

    Cost: two forward and two backward passes a step, as sam.

    Kwon et al. 2021, eq. 8.

    Works: Where sam would, and rho is to mean the same for layers of different scale: with eta = 0, factors that one
    layer gains and the next one loses change the neighbourhood with them.

    Breaks: Class sizes play no part in it, as in sam. A weight of 0 moves by eta alone.

    Paper and code: eta = 0.01 and the exception of biases are the code's, as is rho; its example for CIFAR passes
    eta = 0. It records batch statistics in both passes (`statistics="both"`). Its constant next to the norm is 1e-16.
    """

    def make(data: TrainingSet) -> SAM:
        return SAM(
            rho, adaptive=True, eta=eta, biases=biases, norms=norms, decay=decay, statistics=statistics
        )  # fmt: skip

    return corrected(base, "update", with_update(make), reference=cited("kwon2021asam"))
