"""Decoupled ABSGD: plain training of the features, then the classifier with instance weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from torch import nn

from longtail import instance_weights
from longtail.catalogue.compose import PLAIN, BaseMethod, Gamma, Lambda, Start, weighted_learner
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Choice, Length
from longtail.facts.learner import Learner
from longtail.learners import SupervisedLearner
from longtail.methods.robust.weights import example

Base = Annotated[Method, BaseMethod(slots=("weights", "classifier"))]
Trained = Annotated[str, Choice(("classifier", "block"))]
More = Annotated[float, Length(0, 1, open_low=True)]


def absgd_decoupled(
    *,
    base: Base = PLAIN,
    lam: Lambda = 10.0,
    gamma: Gamma = 0.5,
    init: Start = "first",
    trained: Trained = "classifier",
    more: More = 0.3,
) -> Method:
    """Decoupled ABSGD: all layers by plain training, then ABSGD on the classifier, or on the last block too.

    loss = that of `base`; then mean of p_i l_i, p_i = exp(l_i / lambda) / s as in absgd, with the other layers frozen.

    The first part is `base` itself and is trained once for both. The second lasts the share `more` of its epochs, with
    the recipe's learning rate from the start and the schedules of `base` over its own progress. Frozen layers are in
    evaluation mode: its batch norms use the running statistics of the first part and do not move them; those of a
    trained block are trained.

    Qi et al. 2023, large-scale tables: lambda in 10, 20, 30; 90 epochs after 90 (ImageNet-LT), 30 after 90
    (Places-LT), 30 after 200 (iNaturalist); classifier only, or with the last block.

    Works: Large data or pre-trained layers: the features are good and cost most, and the classifier favours frequent
    classes.

    Breaks: Features that do not separate the rare classes: frozen layers cannot mend that. Wrong labels, where
    lambda > 0.

    Paper and code: The paper's text and tables disagree on which layers are trained. Its learning rates of the second
    part are in an appendix that we have not seen, and we have read no code of this part.
    """
    instance_weights.ABSGD(lam, gamma, init=init)  # knobs that do not go together are refused now

    def stages(recipe: Recipe) -> Sequence[Stage]:
        *first, last = base.stages(recipe)
        shorter = replace(recipe, epochs=max(1, round(more * recipe.epochs)))

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            assert isinstance(previous, SupervisedLearner)
            built = last.build(data, previous)
            network = copy.deepcopy(previous.network)
            learner = built.learner.varied(network=network)
            weights = instance_weights.ABSGD(lam, gamma, init=init)
            return built._replace(learner=weighted_learner(learner, weights, frozen_modules(network, trained)))

        second = replace(
            last,
            name="decoupled",
            spec=f"{last.spec} x {SELF}",
            build=build,
            epochs=shorter.epochs,
            lr=shorter.learning_rate,
        )
        return [*first, last, second]

    return replace(
        base,
        stages=stages,
        taken=base.taken | {"weights", "classifier"},
        reference=cited("qi2023attentional"),
        example=example,
    )


def frozen_modules(network: nn.Module, trained: str) -> list[str]:
    """Return the names of the modules of a network that are frozen.

    Args:
        network: standardize, body, head, as `models.build` makes it.
        trained: "classifier": the head alone; "block": also the last part of the body that has a layer of weights
            (a ResNet's last block, the last convolution or fully connected layer), and what follows it.

    Raises:
        ValueError: the body is one layer or none, so that nothing or everything would be trained.
    """
    if trained == "classifier":
        return ["body"]
    body = network.body
    layers = _layers(body) if isinstance(body, nn.Module) else []
    with_weights = [i for i, (_, module) in enumerate(layers) if any(p.ndim > 1 for p in module.parameters())]
    if len(with_weights) < 2:
        raise ValueError(
            'trained must be "classifier" for a network whose body has fewer than two layers of weights, got "block"; '
            'write trained="classifier"'
        )
    return [f"body.{name}" for name, _ in layers[: with_weights[-1]]]


def _layers(body: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """Return the parts of a body in order; nested sequences are flattened."""
    layers = []
    for name, module in body.named_children():
        if isinstance(module, nn.Sequential):
            layers += _layers(module, f"{prefix}{name}.")
        else:
            layers.append((f"{prefix}{name}", module))
    return layers
