"""A classifier that is fixed before training: one vector per class, all at equal angles."""

from __future__ import annotations

from typing import Annotated, Any

from torch import Tensor

from longtail import losses
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import COSINE, Check, Method, one_stage
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.engine import Recipe
from longtail.facts.knobs import Choice, PositiveFloat
from longtail.losses import Loss
from longtail.models.heads.frame import FRAME, misfit

OWN = {"drop": 0.1}
"""The learning rate of the released code on CIFAR: x 0.1 at epoch 160 of 200, x 0.01 at 180."""


def etf_dr(
    *,
    loss: Annotated[str, Choice(("dr", "ce"))] = "dr",
    scale: PositiveFloat = 1.0,
    frame: Annotated[str, FRAME] = "simplex",
    batch_norm: bool = False,
    rescale: bool = False,
) -> Method:
    """ETF classifier with dot regression: fixed class vectors at equal angles; only the features are trained.

    loss = (s / 2) (z_y - 1)^2, z_j = <m_j, h / ||h||>, <m_i, m_j> = C / (C - 1) [i = j] - 1 / (C - 1); loss="ce":
    -log softmax(s z)_y; predict argmax <m_j, h>.

    s = `scale` is the paper's sqrt(E_W E_H), the length of class vectors times that of features. frame="simplex" exists
    for C <= D + 1 classes in D features; more are refused before training. frame="tight" takes for them unit vectors
    with sum_j m_j m_j^T = (C / D) I, spread evenly but not all at one angle. The orientation is random and follows from
    the seed. It composes as ce does: `mixup(base="etf-dr")`, `drw(base="etf-dr")`, `crt(base="etf-dr")`.

    Yang et al. 2022, section 4.

    Works: Classes that the features can separate: rare classes have the angle that frequent ones have, and an example
    is drawn to its own vector and pushed away from no other. In the paper (CIFAR at ratios of 50 to 200, mixup) it is 2
    to 5 points ahead of its baseline with a ResNet, and with a DenseNet between 0.7 behind and 1.8 ahead.

    Breaks: Class sizes do not enter. Where classes overlap, the best scores rank them by probability, as those of ce
    do, so rare ones lose. Features behind a ReLU are not negative, and so cannot reach a vector with negative
    coordinates: batch_norm=True lets them. The scores lie in [-s, s], so that softmax of them is flat at s = 1:
    with C = 10 about 0.25 at most. loss="ce" needs a larger scale for that reason.

    Paper and code: The code adds what the paper does not have, each off by default here. batch_norm=True: a batch norm
    before features get length 1. rescale=True: class vectors are multiplied by sqrt(B / (K b_j)) in training, b_j the
    rows of class j among B in the batch and K its classes, which weighs the losses by B / (K b_y): a re-balancing. Both
    with mixup (alpha 1) are `mixup(base="etf-dr(batch_norm=True, rescale=True)")`. Its construction of the frame needs
    C <= D; CIFAR-100 has a ResNet-32 of doubled width there. On ImageNet-LT features have no unit length. In the code
    the classifier of the ResNet's baseline is random and fixed, too; with the DenseNet, whose baseline is trained, a
    user of the code found ce ahead (44.7 against 43.0 % on CIFAR-100 at ratio 100).
    """
    if rescale and loss != "dr":
        raise ValueError(f'rescale must be False with loss="{loss}", got True; it is part of loss="dr"')

    def make(counts: Tensor) -> Loss:
        if loss == "ce":
            return losses.UniformMarginLoss(counts, margin=0.0, scale=scale)
        return losses.DotRegressionLoss(counts, scale=scale, rescale=rescale)

    stages = one_stage(make, head="frame", head_args={"frame": frame, "batch_norm": batch_norm})
    prior = uniform if rescale else None
    checks = (_has_room(frame), *(() if batch_norm else (_trains,)))
    return Method(stages, cited("yang2022inducing"), slots=COSINE, prior=prior, checks=checks, own=OWN)


def _has_room(frame: str) -> Check:
    def check(recipe: Recipe, rows: Part) -> str | None:
        why = misfit(frame, _features(recipe, rows)[0], len(rows.classes))
        other = "frame='tight'" if frame == "simplex" else "leave out the method"
        return None if why is None else f"{why}; choose a wider network with --model (model=, model_args=), or {other}"

    return check


def _features(recipe: Recipe, rows: Part) -> tuple[int, bool]:
    """Return the number of features that enter the last layer, and whether parameters before it are trained."""
    if recipe.own is not None:
        return recipe.own.features, recipe.own.trains
    network: Any = recipe.sketch(rows)
    return network.head.in_features, any(True for _ in network.body.parameters())


def _trains(recipe: Recipe, rows: Part) -> str | None:
    if _features(recipe, rows)[1]:
        return None
    return "network must have parameters before its last layer, which is fixed, got none; choose another network"
