"""Re-sampling from the first epoch on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from torch import Tensor

from longtail import losses, sampling
from longtail.catalogue.implied import Implied, effective, power, subset, uniform
from longtail.catalogue.method import Check, MakeDraw, Method, one_stage
from longtail.catalogue.references import Reference, cited
from longtail.data import Part
from longtail.engine import Recipe
from longtail.engine.recipe import USUAL
from longtail.facts.class_weights import BETA
from longtail.facts.knobs import Choice, UnitStart
from longtail.facts.late import Late
from longtail.facts.schedules import linear
from longtail.sampling.classes import ClassSampler
from longtail.sampling.without_replacement import PER_CLASS, RATIO

PerClass = Annotated[int, PER_CLASS]
Ratio = Annotated[float, RATIO]
PER_VISIT = 4
"""Rows of a class that class-aware draws take together."""
SAMPLERS: dict[str, tuple[Callable[[Tensor], ClassSampler], Implied]] = {
    "balanced": (sampling.ClassBalancedSampler, uniform),
    "sqrt": (sampling.SquareRootSampler, power(0.5)),
    "effective": (sampling.EffectiveNumberSampler, effective(BETA)),
    "reversed": (lambda targets: sampling.PowerSampler(targets, q=-1.0), power(-1.0)),
    "progressive": (sampling.ProgressiveSampler, uniform),
    "class-aware": (sampling.ClassAwareSampler, uniform),
    "under": (lambda targets: sampling.UnderSampler(targets, num_samples=len(targets)), uniform),
}
"""Name -> targets -> draws of as many rows as there are, and the class shares of the draws at the end of training."""


def cb_rs(*, sampler: Annotated[str, Choice(("balanced", "effective"))] = "balanced") -> Method:
    """Class-balanced re-sampling: every class is drawn equally often, with replacement; N draws an epoch.

    P(class j) = 1 / C. sampler="effective" is the rule of LDAM's code, P(j) proportional to
    n_j (1 - beta) / (1 - beta^n_j) with beta 0.9999, which for n_j << 10^4 is nearly the same.

    Works: Features that are learnt already, or nearly so: at the end of training (ce-drs), or for the classifier alone
    (crt).

    Breaks: From the first epoch on, rare examples are seen many times over, so it over-fits them. In the Bag of Tricks
    (Zhang et al. 2021, CIFAR-100 at ratio 100) its error is 64.8 %, that of ce 62.3 %.

    Paper and code: In LDAM's code the sampler is built and never used. That of Kang et al. 2020 cycles through shuffled
    classes and the shuffled images of each; ours draws every example independently.
    """
    return drawn_by(*SAMPLERS[sampler], cited("shen2016relay"))


def sqrt_rs() -> Method:
    """Square-root re-sampling: P(class j) proportional to sqrt(n_j), with replacement; N draws an epoch.

    P(class j) = sqrt(n_j) / sum_k sqrt(n_k).

    Mahajan et al. 2018, section 2.2.

    Works: As a compromise: half-way between plain and class-balanced sampling, rare examples are repeated less often
    than by cb-rs.

    Breaks: Half of the imbalance stays, on a logarithmic scale: a class with a hundredth of the rows is drawn a tenth
    as often. From the first epoch on it is no better than ce in the Bag of Tricks (Zhang et al. 2021, CIFAR at ratio
    100: errors of 28.6 against 28.1 % and 63.2 against 62.3 %).

    Paper and code: We have read no code of the paper. That of Kang et al. 2020 draws with the same probabilities.
    """
    return drawn_by(*SAMPLERS["sqrt"], cited("mahajan2018exploring"))


def progressive_rs() -> Method:
    """Progressively balanced re-sampling: as the data are at first, class-balanced at the end, with replacement.

    P(class j) = (1 - p) n_j / N + p / C at progress p, finished epochs / epochs.

    Kang et al. 2020, "progressively-balanced sampling".

    Works: As a gentle course between ce and cb-rs that has no switch to tune. In the Bag of Tricks (Zhang et al. 2021,
    CIFAR-100 at ratio 100) its error is 61.0 %, those of ce 62.3 % and cb-rs 64.8 %.

    Breaks: Rare rows are repeated from the middle of the training on, at a high learning rate. On CIFAR-10 at ratio 100
    its error there is 28.0 %, that of ce 28.1 %.

    Paper and code: Their code has e / (E - 1) for the progress of epoch e of E, so that the last epoch is balanced;
    ours is e / E.
    """
    method = drawn_by(*SAMPLERS["progressive"], cited("kang2020decoupling"))
    return replace(method, late=(Late("its balanced draws", linear(0.0, 1.0)),))


def class_aware_rs(*, per_class: PerClass = PER_VISIT) -> Method:
    """Class-aware sampling: the classes in random order, again and again, `per_class` rows of each at a visit.

    P(class j) = 1 / C over an epoch of N draws; no row of a class comes again before all of them were drawn.

    Shen et al. 2016, where a visit has one row; 4 rows as in the code of OLTR and MiSLAS.

    Works: As cb-rs, with less chance in what an epoch has: every class comes equally often, and so does every row of a
    class, up to one pass.

    Breaks: As cb-rs, rare rows are seen many times over from the first epoch. Rows of a class come together, so a small
    batch has few classes: 32 rows have about 8. Batches of less than two visits would be of one class, which the
    network would then predict whatever it sees: they are refused before training.

    Paper and code: The released code cuts an epoch off after N / B steps and goes on in the cycles of the epoch before;
    here every epoch has new ones.
    """
    make = lambda targets: sampling.ClassAwareSampler(targets, per_class=per_class)  # noqa: E731
    method = drawn_by(make, uniform, cited("shen2016relay"))
    return replace(method, checks=(two_visits(per_class, "a smaller per_class"),))


def reversed_rs() -> Method:
    """Reversed re-sampling: the rarer a class, the more often it is drawn, with replacement; N draws an epoch.

    P(class j) = (1 / n_j) / sum_k (1 / n_k).

    Zhou et al. 2020 (BBN): the draws of its re-balancing branch.

    Works: As one of two sources of rows: BBN mixes it with plain draws and lets its share grow.

    Breaks: Alone from the first epoch, it turns the imbalance round: the rarest class has the most draws, from the
    fewest rows.

    Paper and code: They agree. In the paper it is never the only source of rows.
    """
    return drawn_by(*SAMPLERS["reversed"], cited("zhou2020bbn"))


def under_rs(*, ratio: Ratio = 1.0) -> Method:
    """Random under-sampling: every epoch has a fresh random subset in which the classes are of like size.

    P(class j) = m_j / sum_k m_k, m_j = min(n_j, floor(ratio n_min)); each chosen row once an epoch.

    As compared by Buda et al. 2018. An epoch is as short as the subset; `drs(sampler="under", at=0)` draws fresh
    subsets until an epoch has N rows.

    Works: The smallest class has hundreds of rows and time is short: no row is repeated within an epoch, and all rows
    of the large classes come up over the epochs.

    Breaks: With a few rare rows an epoch is a few steps: at 5 rows in the smallest of 100 classes, 500 rows. Raise the
    number of epochs, or `ratio`.

    Paper and code: There one subset serves the whole training; here each epoch has its own.
    """
    return drawn_by(
        lambda targets: sampling.UnderSampler(targets, ratio=ratio), subset(ratio), cited("buda2018systematic")
    )


def over_rs(*, at: UnitStart = 0.0) -> Method:
    """Over-sampling with stronger augmentation for the rare classes, whose rows are repeated most.

    P(class j) = 1 / C; rows of classes with n_j < N / C get the view "strong", others the common augmentation. With
    at=0.8 the draws are deferred as in ce-drs; the views are the same throughout.

    Over-sampling as compared by Buda et al. 2018; the choice of the view is ours. "strong" is RandAugment and cutout
    for images, masked columns for tables, noise for features (`data.views.policies`).

    Works: As cb-rs, where the strong view leaves the class what it is: the repeated rows of rare classes differ.

    Breaks: Classes are seen under different augmentation, so a network can tell them apart by it. Where augmentation
    was switched off because it changes the class, so does the strong view.

    Paper and code: No paper has it in this form, and no released code.
    """
    make, shares = SAMPLERS["balanced"]
    draw = lambda targets: sampling.Deferred(make(targets), at=at)  # noqa: E731
    return drawn_by(draw, shares if at < 1 else None, cited("buda2018systematic"), stronger=_repeated)


def two_visits(per_class: int, otherwise: str) -> Check:
    """Return the check that batches have room for rows of two classes, `per_class` of each.

    Args:
        per_class: rows of a class that come together.
        otherwise: what to change in place of the batch size, in words.
    """

    def check(recipe: Recipe, rows: Part) -> str | None:
        if 2 * per_class <= min(recipe.batch_size, len(rows)):
            return None
        return (
            f"batch_size must be at least {2 * per_class}, two classes of {per_class} rows, got {recipe.batch_size} "
            f"(and {len(rows)} rows an epoch); take larger batches or {otherwise}"
        )

    return check


def _repeated(rows: Part) -> Tensor:
    """Return which rows are of a class smaller than an equal share, (N,) bool."""
    counts = rows.class_counts
    return (counts * len(counts) < counts.sum())[rows.targets]


def _has_views(recipe: Recipe, rows: Part) -> str | None:
    if recipe.augmentation == USUAL:
        return None
    return f"augmentation must be usual where some rows get the strong view, got {recipe.augmentation}; leave it out"


def drawn_by(
    make: MakeDraw,
    prior: Implied | None,
    reference: Reference,
    stronger: Callable[[Part], Tensor] | None = None,
) -> Method:
    """Return cross-entropy on the draws of a sampler.

    Args:
        make: targets -> sampler.
        prior: of its draws.
        reference: of the method.
        stronger: rows -> which of them get the strong view.
    """
    stages = one_stage(lambda counts: losses.CrossEntropyLoss(), draw=make, stronger=stronger)
    return Method(stages, reference, prior=prior, checks=() if stronger is None else (_has_views,))
