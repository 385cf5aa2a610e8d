"""Self-supervised pre-training by rotation, then any method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from torch import nn

from longtail import losses
from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.encoders import all_rows, pretrained
from longtail.catalogue.method import Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.data.turned import Turned, quarter_turns
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Length
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner
from longtail.models.heads import swap_head
from longtail.targets import Given

Base = Annotated[Method, BaseMethod(slots=("start",))]
Share = Annotated[float, Length(0, open_low=True, open_high=True)]


def ssp(*, base: Base = PLAIN, pretraining: Share = 1.0) -> Method:
    """SSP: the network first learns by which angle an image is turned, without labels; then `base` starts from it.

    loss = -log softmax(z)_k, k one of 4 quarter turns, z (N, 4) of a classifier of its own; then that of `base`.

    All images of the training part take part, those without labels too, augmented as usual and then turned by 0, 90,
    180 or 270 degrees, equally many of each in a batch. `base` starts from all layers but the classifier, and from the
    statistics of the batch norms; its recipe, loss and sampler are its own. The pre-training has the recipe of `base`
    and lasts the share `pretraining` of its epochs; all methods that begin with it share one training. Images that are
    not square are turned by 0 or 180 degrees.

    Yang and Xu 2020, self-supervised pre-training.

    Works: Images with an upright direction, and classes so imbalanced that labels mislead the features: the angle is
    learnt from every image alike. By their README the error of ce on CIFAR-10 at ratio 100 becomes 26.5 %; it is 29.6 %
    in Cao et al. 2019. The gain of ldam-drw is smaller (22.97 to 22.17 %).

    Breaks: Images without an upright direction (seen from above, textures, symmetric digits), whose angle cannot be
    learnt. Tables and features have no angle and are refused. A training takes twice the time of its base.

    Paper and code: For ImageNet and iNaturalist they take MoCo in place of rotation, which is `ssp-contrast`. In the
    code both trainings last 200 epochs with the recipe of LDAM.
    """

    def encoder(recipe: Recipe) -> Sequence[Stage]:
        shorter = replace(recipe, epochs=max(1, round(pretraining * recipe.epochs)))

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = all_rows(data)
            angles = len(quarter_turns(rows.input_shape))
            network = swap_head(recipe.network(rows), lambda features, _: nn.Linear(features, angles), "head")
            learner = SupervisedLearner(network, losses.CrossEntropyLoss(), targets=Given("turns"))
            return Built(learner, Turned(rows.drawn(recipe.batch_size)))

        return [stage_under(shorter, "rotation", f"rotation(pretraining={pretraining!r})", build)]

    def misfit(rows: Part) -> str | None:
        shape = rows.input_shape
        if len(shape) < 2:
            return (
                f"needs images, which it turns, got rows of {shape[0]} numbers; leave it out, or train its base alone"
            )
        return None if base.misfit is None else base.misfit(rows)

    return pretrained(base, encoder, inputs="images", misfit=misfit, reference=cited("yang2020rethinking"))
