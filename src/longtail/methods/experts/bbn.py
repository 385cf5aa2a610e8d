"""Two branches for two samplers: as the data are, and with the rare classes most frequent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from longtail import losses
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import SELF, SLOTS, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.data import TrainingSet, together
from longtail.engine import Built, Recipe, Stage
from longtail.facts import schedules
from longtail.facts.knobs import Fraction
from longtail.facts.late import Late
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner
from longtail.learners.bilateral import Bilateral
from longtail.methods.supervised.resampling import SAMPLERS

DECAY = schedules.parabola(1.0, 0.0)
LAYERS = {"branches": 2, "late": True}


def bbn(*, alpha: Fraction = DECAY) -> Method:
    """BBN: two last blocks, one for rows as they are and one for reversed draws, whose weight moves to the second.

    loss = alpha L(z, y) + (1 - alpha) L(z, y'), L(z, y) = -log softmax(z)_y, alpha = 1 - p^2 at progress p,
    z = W 2 [alpha f(x), (1 - alpha) g(x')] + b; predict argmax W [f(x), g(x)] + b.

    (x, y) is a row of a pass over the data, (x', y') one drawn with P(class j) = n_j^-1 / sum_k n_k^-1: a step has two
    batches. f and g are the features of one network that has its last block twice: the last block of a ResNet, the
    second block of a convnet, the last layer of an mlp or of a network for tables. To predict is alpha = 1/2. alpha may
    be another schedule, such as linear(1, 0), or a number; at 1 it is plain training of f, beside an untrained g.

    Zhou et al. 2020, cumulative learning.

    Works: The features are learnt from the data as they are, and the rare classes come late, as in deferred
    re-balancing, with a block of their own. By others' quotations of the paper the error on CIFAR-100 at ratio 100 is
    57.4 %; that of ce is 61.7 % in Cao et al. 2019.

    Breaks: Late in training the second block sees few rows, over and over: a class of 5 rows is drawn 100 times as
    often as one of 500. A step costs nearly two. In the survey of Zhang et al. 2023 (ImageNet-LT, ResNeXt-50, 90
    epochs) it has 41.2 %, ce 45.5. Networks of one's own cannot be divided and are refused.

    Paper and code: As in their code. Its learning rate falls at 60 and 80 % of the epochs, that of our recipe at 80 and
    90 %, and it reports the best epoch on the test part. A user's run of it has 79.5 % accuracy on CIFAR-10 at ratio
    50, the paper 82.2 %.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        divided = replace(recipe, model_args={**recipe.model_args, **LAYERS})
        sampler, _ = SAMPLERS["reversed"]

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = data.labeled
            learner = SupervisedLearner(divided.network(rows), losses.CrossEntropyLoss(), mixing=Bilateral(alpha))
            second = rows.drawn(recipe.batch_size, sampler(rows.targets))
            return Built(learner, together(rows.drawn(recipe.batch_size), second=second))

        return [stage_under(recipe, "train", SELF, build)]

    # the halves of z have learnt log n_j and -log n_j
    return Method(
        stages,
        cited("zhou2020bbn"),
        prior=uniform,
        taken=frozenset({"mixing"}),
        body_args=LAYERS,
        late=(Late("the reversed draws", lambda p: 1 - schedules.at(alpha, p)),),
        slots=SLOTS - {"start"},  # its body is its own
    )
