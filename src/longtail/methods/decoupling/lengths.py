"""Other lengths of the class vectors of a trained linear classifier: learnt, or normalised by a power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Annotated, Any

from torch import nn

from longtail import losses, posthoc, sampling
from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Method
from longtail.data import Part
from longtail.engine import Built, Recipe
from longtail.facts.knobs import Choice, Range, UnitLength
from longtail.learners import SupervisedLearner
from longtail.methods.decoupling.second import MORE, decoupled, retrained

SLOTS = ("classifier", "linear head")
Base = Annotated[Method, BaseMethod(slots=SLOTS, such=("ce", "mixup"))]


@dataclass(frozen=True)
class Tau(Choice):
    """A number >= 0, or "val" for the best one on the validation part."""

    words: tuple[str, ...] = ("val",)

    def __str__(self) -> str:
        return '"val" or a number >= 0'

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where the value breaks the rule."""
        if isinstance(value, Real):
            Range(0, open_high=True).check(name, value)
        else:
            super().check(name, value)


def lws(*, base: Base = PLAIN, more: UnitLength = MORE, moving_norms: bool = True) -> Method:
    """LWS, learnable weight scaling: one learnt factor per class on the trained classifier, by class-balanced draws.

    loss = that of `base`; then, of f alone, -log softmax(z)_y, z_j = f_j (<w_j, h> + b_j), with P(class j) = 1 / C; w
    and b are frozen and f_j = 1 at the start.

    The first stage is `base` itself and is trained once for both; it must have a linear classifier, since a cosine one
    has no lengths. The second lasts the share `more` of the recipe's epochs, of N draws each; it has C parameters.
    more=0 omits it and is `base`. For moving_norms see crt.

    Kang et al. 2020, section 4, eq. 5.

    Works: The directions of ce are good and frequent classes have the longer vectors. In the paper (ImageNet-LT,
    ResNeXt-50) the accuracy rises from 44.4 to 49.9 %, on few-shot classes from 7.7 to 30.3 %.

    Breaks: Where a factor per class is not enough: directions and bias stay. A factor cannot change the sign of a
    score, so a class whose score is negative gains by a smaller factor.

    Paper and code: The code multiplies the complete logits, bias included, does not divide out ||w_j||, decays f by
    weight decay and trains 5 epochs after 90 with the learning rate of the first stage; so do we, but for the number
    of epochs and the recipe's warm-up. The Bag of Tricks (Zhang et al. 2021) has 30 epochs after 200, our share. The
    authors' slides write f_j = 1 / ||w_j||^tau, which is tau-norm.
    """

    def make(trained: nn.Module, rows: Part, recipe: Recipe) -> Built:
        network, frozen = with_factors(trained, rows, recipe), ["body", "head.0"]
        learner = SupervisedLearner(network, losses.CrossEntropyLoss(), frozen=frozen, moving_norms=moving_norms)
        return Built(learner, rows.drawn(recipe.batch_size, sampling.ClassBalancedSampler(rows.targets)))

    return retrained(base, make, more=more, prior=uniform, slots=SLOTS)


def with_factors(trained: nn.Module, rows: Part, recipe: Recipe) -> nn.Module:
    """Return a copy of a trained network with a learnable factor per class, 1 at the start, behind its classifier."""
    old: Any = trained
    bias = {} if old.head.bias is not None else {"bias": False}
    network: Any = recipe.network(rows, "rescaled", like=trained, **bias)
    network.head[0].load_state_dict(old.head.state_dict())
    return network  # type: ignore[no-any-return]


def tau_norm(*, base: Base = PLAIN, tau: Annotated[str | float, Tau()] = 1.0) -> Method:
    """tau-normalisation: the class vectors of `base` divided by a power of their lengths, without the bias.

    predict argmax <w_j, h> / ||w_j||^tau = argmax (z_j - b_j) / ||w_j||^tau; nothing is retrained.

    tau="val" chooses tau in 0, 0.1, ..., 2 by the balanced accuracy on the validation part; ties go to the smallest. At
    tau = 0 the scores are those of `base` minus its bias, so the decisions are its own where the bias is the same for
    all classes; at tau = 1 all vectors have length 1. `base` must have a linear classifier. Probabilities are those of
    `base`: normalised scores have no scale of their own.

    Kang et al. 2020, section 4, eq. 4.

    Works: Frequent classes have the longer vectors after plain training; no class counts are needed. In the paper
    (ImageNet-LT, ResNeXt-50) the accuracy rises from 44.4 to 49.4 %, on few-shot classes from 7.7 to 30.7 %.

    Breaks: Where lengths do not follow the class sizes: Menon et al. 2021 show that this depends on the
    optimiser. In the Bag of Tricks (Zhang et al. 2021) it has an error of 27.3 % against 28.1 % of ce on CIFAR-10
    at ratio 100, and a reader of its code could not reproduce that of ratio 50.

    Paper and code: The code drops the bias at test, the paper's formula has none; so do we. It sweeps tau over 0, 0.1,
    ..., 2, and the authors chose tau for iNaturalist on the test set; "val" never reads that.
    """
    rule = partial(posthoc.TauNormalization, tau=float(tau)) if tau != "val" else posthoc.TunedTauNormalization
    return decoupled(base, slots=SLOTS, posthoc=rule, needs_val=tau == "val")
