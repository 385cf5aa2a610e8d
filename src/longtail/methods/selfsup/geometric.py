"""GH: surrogate classes at the vectors of a simplex keep the representations of rare classes apart."""

from __future__ import annotations

from typing import Annotated, Any

from longtail.catalogue.encoders import encoder_base, over_encoders
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, Range, UnitFloat, UnitStart
from longtail.functional import simplex_frame
from longtail.learners.geometric import GeometricHarmonization
from longtail.methods.selfsup.focal_simclr import GH_RECIPE

Base = Annotated[Method, encoder_base("surrogate")]
Classes = Annotated[int, Range(2, integer=True)]
Count = Annotated[int, Range(1, integer=True)]
DEFAULT: Any = "simclr"


def gh(
    *,
    base: Base = DEFAULT,
    classes: Classes = 100,
    weight: NonNegativeFloat = 1.0,
    start: UnitStart = 0.5,
    ramp: UnitFloat = 0.01,
    refresh: UnitFloat = 0.02,
    early: UnitFloat = 0.9,
    late: UnitFloat = 0.999,
    pseudo_count: NonNegativeFloat = 0.0,
    eps: PositiveFloat = 0.05,
    tau: PositiveFloat = 0.1,
    iterations: Count = 300,
) -> Method:
    """GH: geometric harmonization, both views of a row are taught the same of K classes that are spread evenly.

    loss = that of `base` + weight ramp(p) mean over rows of [CE(x^, y / tau) + CE(y^, x / tau)],
    x = M z / ||M z||, x^ = argmax over labels with row sums 1 and means pi of sum x^ x + eps H(x^)

    M (K, D): K = `classes` unit vectors with inner products -1 / (K - 1) in the space of the projections z, drawn with
    the seed and fixed, for any K <= D + 1; x and y are the logits of the two views, x^ and y^ their surrogate labels,
    by `iterations` of Sinkhorn's algorithm on each batch and without a gradient. K need not be the number of classes.
    ramp(p) = 0 while p < `start`, p the share of the training that is over; then min(1, 1/10 + (p - start) / `ramp`). A
    training of too few epochs to reach `start` is refused. weight = 0 is `base`, bit for bit; so is start = 1.

    pi: the histogram of the largest of each row's stored logits, at `start` and then after each share `refresh` of the
    training, with `pseudo_count` added to each count. Stored are means of x over epochs, of which the share `early`
    stays before `start` and `late` from there on; they take N x K numbers. Entropy and largest entry of pi are in the
    records of every epoch. Of a base that compares with a moving average alone (moco), one direction has a gradient.

    Zhou et al. 2023; on CIFAR 500 of 1000 epochs before it begins, a ramp of 10, and pi every 20.

    Works: Frequent classes take most of the space of representations, and the encoder is already good enough for its
    nearest surrogate classes to follow the true ones: so it begins late.

    Breaks: pi is estimated from the encoder: what that has mixed up stays together. Few rows per batch and surrogate
    class (512 for 100 in the paper) make its labels follow the batch. A shorter training begins with it after fewer
    epochs, from a worse encoder.

    Paper and code: The paper's value of the loss at its optimum counts one direction; the code has the sum of both, as
    here. eps is 1 / lambda, lambda = 20. The code's frame generator has a syntax error and a rule that admits K = D +
    1, for which its recipe gives no simplex; here it does. Its stored logits begin in memory that is not set, to which
    the first epoch adds; ours begin with the row's first logits. Between processes the same memory is summed, and
    padded rows count twice. It computes pi again in every batch of an epoch in which it is due, seeds nothing on CIFAR,
    and its script for the test of CIFAR does not run; SDCLR + GH begins its ramp an epoch late on ImageNet. For
    ImageNet-LT and Places-LT it has pseudo_count = 100, start = 0.8, a ramp of 30 of 500 epochs, and means that begin
    at epoch 10. Sinkhorn's algorithm is on logarithms here. The baselines of the paper have one cosine from 0.5; GH has
    another schedule (0.5 to 0.3 until it begins, then to 1e-6), which `--recipe own` has not: here `base` and gh have
    the same. Its views pass through the network one by one, which is base="simclr(passes='split')".
    """
    width = base.projects
    if isinstance(width, int) and (why := _no_room(classes, width, repr(base.spec))) is not None:
        raise ValueError(why)
    paper: dict[str, Any] = {"reference": cited("zhou2023combating"), "own": GH_RECIPE}
    if weight == 0:
        return over_encoders(base, "surrogate", lambda built, data: built, **paper)

    def change(built: Built, data: TrainingSet) -> Built:
        learner: Any = built.learner
        dim = learner.network.head.out_features
        if (why := _no_room(classes, dim, type(learner.host).__name__)) is not None:
            raise ValueError(why)
        part = GeometricHarmonization(
            simplex_frame(classes, dim),
            len(getattr(built.data, "main", built.data)),
            weight=weight,
            start=start,
            ramp=ramp,
            refresh=refresh,
            stay=(early, late),
            pseudo_count=pseudo_count,
            eps=eps,
            tau=tau,
            iterations=iterations,
        )
        return built._replace(learner=learner.varied(auxiliary=part))

    def check(recipe: Recipe, rows: Part) -> str | None:
        if width is None or isinstance(width, int) or recipe.own is not None:
            return None
        network: Any = recipe.sketch(rows)
        return _no_room(classes, width(network.head.in_features), repr(base.spec))

    return over_encoders(base, "surrogate", change, check=check, **paper)


def _no_room(classes: int, dim: int, where: str) -> str | None:
    """Return why the projections have no room for so many classes, with the way out; None where they have."""
    if classes <= dim + 1:
        return None
    return (
        f"classes must be at most dim + 1 = {dim + 1} for the projections of {where}, got {classes}; lower classes, or "
        "raise dim of the base"
    )
