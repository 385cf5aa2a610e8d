"""A network as it was initialised: what a probe finds without any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.engine import Recipe, Stage
from longtail.methods.selfsup.simclr import simclr_stages


def random_encoder() -> Method:
    """A network as initialised, judged by the same probes: what an encoder has to exceed.

    predict argmax of the probe's logits on the features h of the untrained network.

    Inputs are standardised on the training rows; nothing else is learnt but the probe. Shown for context beside
    self-supervised methods, outside the verdict.

    Works: As the lower end of the scale. Saxe et al. 2011: random convolutions followed by pooling are selective
    already, so the architecture explains a part of the accuracy that is credited to learning.

    Breaks: It learns nothing, so its rank among methods means nothing; only the distance to it does.

    Paper and code: No released code; of the paper only the idea, to judge a network without training it, is used.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        # a pretrained body would be no random one
        encoder, probe = simclr_stages(replace(recipe, pretrained=None), 0.2)
        return [replace(encoder, spec=SELF, epochs=0), probe]

    return Method(
        stages, cited("saxe2011random"), task=SELF_SUPERVISED, slots=frozenset(), trains="nothing but the probe"
    )
