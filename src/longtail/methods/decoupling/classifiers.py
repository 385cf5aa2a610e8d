"""Decoupled classifiers: the features of a finished training, and another classifier on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from torch import nn

from longtail import losses, sampling
from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.features import row_features
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SEMI_SUPERVISED, SUPERVISED
from longtail.data import Part
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import UnitLength
from longtail.learners import SupervisedLearner
from longtail.methods.decoupling.second import MORE, after, decoupled, retrained
from longtail.models.heads.nearest import FEATURES

Base = Annotated[Method, BaseMethod(slots=("classifier",), task=(SUPERVISED, SEMI_SUPERVISED))]
Features = Annotated[str, FEATURES]


def crt(*, base: Base = PLAIN, more: UnitLength = MORE, moving_norms: bool = True) -> Method:
    """cRT, classifier re-training: a new linear classifier by class-balanced draws on the features of `base`.

    loss = that of `base`; then, of the classifier alone, -log softmax(z)_y with P(class j) = 1 / C.

    The first stage is `base` itself, whatever its loss and head, and is trained once for both. The second lasts the
    share `more` of the recipe's epochs, of N draws each, with the recipe's learning rate from its start; more=0 omits
    it and is `base`. The classifier is linear with a bias and initialised anew. Over a
    semi-supervised base it is trained on the labelled rows, on the features of the moving average, as in DARP's code.
    With moving_norms=False the body is in evaluation mode, so that its features do not change at all.

    Kang et al. 2020, section 4.

    Works: Plain training learns good features and a classifier that favours frequent classes. In the paper
    (ImageNet-LT, ResNeXt-50) the accuracy rises from 44.4 to 49.6 %.

    Breaks: Features that do not separate the rare classes: the body is not trained again. Rare rows are repeated, as by
    cb-rs, though only the classifier can over-fit them.

    Paper and code: The paper keeps the representation fixed. In the code the body's weights are frozen but it stays in
    training mode: batch norms continue to record running statistics, now of class-balanced batches, and dropout acts.
    That is our default; moving_norms=False is the paper's text. Their second stage has 10 epochs
    after 90 (ImageNet-LT) or 30 after 90 or 200 (iNaturalist; 0.15 is 30 after 200), learning rate 0.2 and cosine
    decay; ours has the recipe's rate, warm-up and decay. Their sampler draws four images of each drawn class, and none
    again before all of the class were drawn; ours draws each image independently, with replacement.
    """

    def make(trained: nn.Module, rows: Part, recipe: Recipe) -> Built:
        network = recipe.network(rows, like=trained)
        learner = SupervisedLearner(network, losses.CrossEntropyLoss(), frozen=["body"], moving_norms=moving_norms)
        return Built(learner, rows.drawn(recipe.batch_size, sampling.ClassBalancedSampler(rows.targets)))

    return retrained(base, make, more=more, prior=uniform)


def ncm(*, base: Base = PLAIN, features: Features = "cl2n") -> Method:
    """NCM, nearest class mean: the classifier of `base` is replaced by the mean feature of every class.

    predict argmax -||f - mu_j||^2 over j, f = (h - c) / ||h - c||, mu_j the mean of f in class j, c that of all h.

    A second stage of no epochs: nothing is trained after `base`. h are the features of the training rows, without
    augmentation and in evaluation mode; a row of weight k counts as k rows. Of a semi-supervised base, they are the
    labelled rows' and the moving average's. features="l2n" (normalised): f = h / ||h||; "un" (raw): f = h. To centre
    alone changes no distance, so it is "un".

    Kang et al. 2020, section 4.

    Works: The rows of a class lie around one mean. Class sizes do not enter the decision: in the paper (ImageNet-LT,
    ResNeXt-50) the accuracy on few-shot classes rises from 7.7 to 28.1 %.

    Breaks: The mean of few rows is uncertain, and frequent classes lose (65.9 to 56.6 % there). The scores are at least
    -4, so softmax of them is flat: they rank classes and are poor as probabilities.

    Paper and code: To centre and to normalise is the default of their code ("cl2n"). Its means are not normalised
    again, nor are ours.
    """

    def make(trained: nn.Module, rows: Part, recipe: Recipe) -> Built:
        network = recipe.network(rows, "ncm", like=trained, features=features)
        network.to(next(trained.parameters()).device).eval()
        network.head.fit(row_features(network, rows), rows.targets, rows.sample_weight)  # type: ignore[operator, union-attr]
        return Built(SupervisedLearner(network, losses.CrossEntropyLoss()), rows.drawn(recipe.batch_size))

    def stages(recipe: Recipe) -> Sequence[Stage]:
        return [*base.stages(recipe), after("means", make, recipe, 0)]

    return decoupled(base, stages=stages, prior=uniform)
