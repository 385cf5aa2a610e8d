"""OLTR: the network trained further, with a classifier that has a memory of class centroids."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from torch import Tensor, nn

from longtail import functional, losses, sampling
from longtail.catalogue.compose import PLAIN, BaseMethod
from longtail.catalogue.features import class_means
from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Method
from longtail.data import Part
from longtail.engine import Built, Recipe
from longtail.facts.knobs import Length, NonNegativeFloat, PositiveFloat
from longtail.facts.types import Outputs, Progress
from longtail.learners import SupervisedLearner
from longtail.methods.decoupling.lengths import SLOTS
from longtail.methods.decoupling.second import retrained
from longtail.methods.supervised.resampling import PER_VISIT, PerClass, two_visits

More = Annotated[float, Length(0, 10)]
Base = Annotated[Method, BaseMethod(slots=SLOTS, such=("ce", "mixup"))]
OWN = {"weight_decay": 5e-4}
"""Its code's recipe for ImageNet-LT, on features, classifier and centroids; learning rate 0.1 as ours."""


def oltr(
    *,
    base: Base = PLAIN,
    more: More = 1.0,
    per_class: PerClass = PER_VISIT,
    scale: PositiveFloat = 16.0,
    attraction: NonNegativeFloat = 0.01,
    repulsion: NonNegativeFloat = 1e-4,
    margin: NonNegativeFloat = 10.0,
    body_rate: NonNegativeFloat = 0.1,
    centroid_rate: NonNegativeFloat = 0.1,
    attention: bool = False,
) -> Method:
    """OLTR: the network trained further by class-aware draws, its classifier with a memory of class centroids.

    loss = that of `base`; then -log softmax(z)_y + attraction ||h - c_y||^2 / 2 + repulsion max(margin - d, 0),
    d = sum_{j != y} ||h - c_j||^2 / C, averaged over the batch, under class-aware draws of `per_class` rows a visit;
    z_j = scale (|x| / (1 + |x|)) <x / |x|, w_j / |w_j|>, x = (10 / min_j ||h - c_j||) (h + tanh(S h + s) * m),
    m = softmax(A h + a) c.

    The first stage is `base` itself and is trained once for both; A and a start as its linear classifier. The second
    trains the whole network for `more` times the recipe's epochs, of N draws each, with the recipe's learning rate from
    its start: `body_rate` times that for the body, `centroid_rate` times for the centroids c, which start as the class
    means of the training rows' features (evaluation mode, no augmentation) and are constants in z. more=0 omits it and
    is `base`. attention=True puts modulated attention over the last map of convnet, resnet32, densenet and wide_resnet;
    for 32 x 32 images its map has 8 x 8 positions. Networks without a map are then refused. To reject unknown
    classes, the open world of the title, is not included.

    Liu et al. 2019, section 3.

    Works: The rows of a class lie around one centroid, and the features of a rare class resemble those of frequent ones
    that the memory knows. The authors report 44.2, 35.2 and 17.5 % on many-, medium- and few-shot classes of
    ImageNet-LT (ResNet-10).

    Breaks: The centroid of few rows is uncertain, and these rows are repeated while the body is trained, too. In the
    survey of Zhang et al. 2023 (ImageNet-LT, ResNeXt-50, 90 epochs) it has 46.7 %, ce 45.5 and balanced softmax 50.8.
    The second stage costs `more` times the epochs of ce. Batches of less than two visits are refused.

    Paper and code: The code's second stage has modulated attention, and a new layer of 512 features behind the body;
    ours has the attention on request, since tables and embeddings have no map, and not the layer. The attraction's
    gradient for centroids is sum (c_j - h) / (1 + n_j) over the n_j rows of class j, divided by the batch, without the
    factor `attraction`, in the code and here: the rule of center loss (Wen et al. 2016). The code divides by the
    distance to the nearest centroid and gives NaN where it is 0; ours is the same value, rearranged, and finite. Its
    second stage has 60 epochs after 30 on ImageNet-LT, at rates 0.01 for body and centroids and 0.1 for the classifier
    (our shares), and 30 after 30 on Places-LT (our share), where the body is frozen but for the attention
    (`body_rate=0` freezes that as well). It selects the best epoch on validation data; ours is the last.
    """
    layers = {"attention": True} if attention and more > 0 else {}

    def criterion(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
        assert outputs.features is not None
        memory = functional.discriminative_centroids(
            outputs.features,
            outputs.extra["head"].centroids,
            targets,
            attraction=attraction,
            repulsion=repulsion,
            margin=margin,
            weight=weight,
        )
        entropy = functional.cross_entropy(outputs.logits, targets)
        return memory + (entropy if weight is None else entropy * weight)

    def make(trained: nn.Module, rows: Part, recipe: Recipe) -> Built:
        old: Any = trained
        recipe = replace(recipe, model_args={**recipe.model_args, **layers})
        network: Any = recipe.network(rows, "meta-embedding", like=trained, scale=scale)
        network.to(next(trained.parameters()).device).eval()
        network.head.fit(class_means(network, rows), old.head)
        learner = SupervisedLearner(
            network,
            losses.CrossEntropyLoss(),
            criterion=criterion,
            rates={"body": body_rate, "head.centroids": centroid_rate},
        )
        draw = sampling.ClassAwareSampler(rows.targets, per_class=per_class)
        return Built(learner, rows.drawn(recipe.batch_size, draw))

    return retrained(
        base,
        make,
        more=more,
        prior=uniform,
        slots=SLOTS,
        reference="liu2019large",
        own=OWN,
        body_args={**base.body_args, **layers},
        checks=(*base.checks, two_visits(per_class, "a smaller per_class")),
    )
