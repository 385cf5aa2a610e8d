"""SupCon: contrast with labels, beside the encoders that have none."""

from __future__ import annotations

from typing import Any

from longtail.catalogue.encoders import encoder_stage, probe_stage
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SUPERVISED
from longtail.data import Part
from longtail.engine import Recipe
from longtail.engine.recipe import USUAL
from longtail.facts.knobs import Positive
from longtail.learners.hosts import SupCon
from longtail.methods.selfsup.simclr import Passes, Width

SUPCON_RECIPE: dict[str, Any] = {"lr": 0.5, "batch_size": 1024, "decay": "cosine"}
"""Recipe of SupCon's code on CIFAR-10, but for the 1000 epochs and the network."""
SLOTS = frozenset({"views"})
"""Corrections of encoders are for those without labels, those of classifiers for one loss over labelled rows."""


def supcon(*, t: Positive = 0.1, dim: Width = 128, passes: Passes = "joint") -> Method:
    """SupCon: rows of the same class attract each other in two views, others repel; a probe classifies.

    loss = mean over 2N anchors i of -1 / |P(i)| sum_{p in P(i)} log( exp(s_ip / t) / sum_{k != i} exp(s_ik / t) ).

    s: cosines of the projections (2N, dim) of two contrastive views of N labelled rows; P(i): all others of the class
    of the anchor, its other view among them. t may be a schedule. Views, projector and passes are those of simclr, and
    so is the probe on the frozen features, `--probe` where encoders are compared, else logistic regression on all rows.
    Rows without labels have no part. In tables of encoders it is context, as it learns from labels.

    The loss is at least the log of the number of positives: values of 6 or 7 in large batches are no failure.

    Khosla et al. 2020, eq. 2 (the mean outside of the logarithm), with t = 0.1 as in their recipe for CIFAR-10.

    Works: Several rows of each class in a batch.

    Breaks: On a long tail most rows of a batch are of frequent classes, which have many positives; a rare class often
    has its own other view alone, and is repelled by all.

    Paper and code: Their code multiplies the loss by t / 0.07, here left out, and by default has t = 0.07. An anchor
    without positives cannot occur in two views. solo-learn's loss of that name has the mean inside of the logarithm.
    """
    return Method(
        lambda recipe: [
            encoder_stage(
                recipe,
                SELF,
                lambda network, rows: SupCon(t),
                passes=passes,
                projection={"dim": dim},
                labelled=True,
            ),
            probe_stage(recipe),
        ],
        cited("khosla2020supervised"),
        task=SUPERVISED,
        slots=SLOTS,
        checks=(has_views_of_its_own,),
        own=SUPCON_RECIPE,
        trains="an encoder with labels",
    )


def has_views_of_its_own(recipe: Recipe, rows: Part) -> str | None:
    """Refuse another augmentation, which two contrastive views have no place for."""
    if recipe.augmentation == USUAL:
        return None
    return f"augmentation must be {USUAL}, as its views are its own, got {recipe.augmentation}; leave it out"
