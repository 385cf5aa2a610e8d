"""Self-supervised pre-training by comparing views, then any method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.encoders import encoder_base, encoder_stages, pretrained
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.engine import Recipe, Stage
from longtail.facts.knobs import Length

Base = Annotated[Method, BaseMethod(slots=("start",))]
Host = Annotated[Method, encoder_base()]
Share = Annotated[float, Length(0, open_low=True, open_high=True)]
SIMCLR: Any = "simclr"


def ssp_contrast(*, base: Base = PLAIN, host: Host = SIMCLR, pretraining: Share = 1.0) -> Method:
    """SSP by contrast: the network first learns as an encoder without labels, then `base` starts from it.

    loss = that of `host`; then that of `base`.

    All rows of the training part take part in the first training, those without labels too; it is `host` without its
    probe, with all of its stages. `base` starts from all layers but the classifier, and from the statistics of the
    batch norms; its recipe, loss and sampler are its own. The pre-training has the recipe of `base` and lasts the share
    `pretraining` of its epochs; all methods that begin with it share one training. `host` is any self-supervised
    method, corrected or not.

    Yang and Xu 2020, self-supervised pre-training.

    Works: Where classes are so imbalanced that labels mislead the features, and turning a row means nothing: tables,
    features, images without an upright direction. The authors take MoCo for ImageNet-LT and iNaturalist.

    Breaks: Where the encoder itself does: few rows, small batches, views that change the class. A training takes twice
    the time of its base.

    Paper and code: The authors train MoCo by its own recipe (200 epochs on ImageNet-LT); here it has the recipe of
    `base`, whose learning rate may not be the encoder's. Their first stage for CIFAR is by rotation, `ssp`.
    """

    def encoder(recipe: Recipe) -> Sequence[Stage]:
        return encoder_stages(host, replace(recipe, epochs=max(1, round(pretraining * recipe.epochs))))

    def misfit(rows: Part) -> str | None:
        reasons = (one.misfit(rows) for one in (host, base) if one.misfit is not None)
        return next((why for why in reasons if why is not None), None)

    return pretrained(
        base,
        encoder,
        inputs=base.inputs if host.inputs == "any" else host.inputs,
        misfit=misfit,
        checks=(*host.checks, *base.checks),
        notes=(*host.notes, *base.notes),
        reference=cited("yang2020rethinking"),
    )
