"""Self-training in generations: each trains anew, on the labelled rows and on rows that the one before labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from longtail.catalogue.features import predicted
from longtail.catalogue.method import MakeStages, Method
from longtail.data import TrainingSet
from longtail.data.together import Together
from longtail.data.training_set import check_alike
from longtail.engine import Built, Recipe, Stage
from longtail.facts.learner import Learner
from longtail.sampling.self_training import most_confident, rebalancing_rates

Change = Callable[[int, Built, TrainingSet], Built]
"""(number of the generation from 0, what it has built, the rows as they were given) -> what is trained instead."""


def in_generations(base: Method, count: int, root: float, spec: str, change: Change | None = None) -> MakeStages:
    """Return the stages of `base`, trained `count` times from new, each time with more labelled rows.

    The recipe's epochs are shared out: each generation has epochs // count of them, the last ones one more where some
    are over, and none fewer than 1. An epoch has as many steps as one of `base`, and schedules run once within a
    generation. What its network predicts decides which rows without labels the next one has as labelled rows, too
    (`sampling.self_training`). Each choice is made anew, and the rows without labels remain all.

    Args:
        base: a method of one stage, besides preparatory ones, which are trained once, before the first generation. The
            stage gets the learner of the stage before: in a later generation that of the one before.
        count: of generations; 1 is `base`.
        root: of the rates.
        spec: text of what decides the choice, besides what the base's stage says.
        change: of what each generation trains; None changes nothing.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        if count == 1:
            return base.stages(recipe)
        each, over = divmod(recipe.epochs, count)
        lengths = [max(1, each + (number >= count - over)) for number in range(count)]
        before = [stage for stage in base.stages(recipe) if stage.preparatory]
        return [*before, *(of(number, replace(recipe, epochs=epochs)) for number, epochs in enumerate(lengths))]

    def of(number: int, recipe: Recipe) -> Stage:
        (stage,) = (stage for stage in base.stages(recipe) if not stage.preparatory)

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            check_alike(data.labeled, data.unlabeled)  # before the first generation, not after it
            rows = data if number == 0 else with_predictions(data, previous, root)
            built = stage.build(rows, previous)
            if number > 0 and isinstance(built.data, Together):  # steps of an epoch as before, whatever joined
                steps = data.labeled.drawn(recipe.batch_size).steps()
                built = built._replace(data=replace(built.data, count=steps))
            return built if change is None else change(number, built, data)

        text = stage.spec if number == 0 and change is None else f"{stage.spec} in {spec}"
        late = tuple(replace(part, otherwise=f"lower generations ({count})") for part in stage.late)
        return replace(stage, name=f"generation-{number + 1}", spec=text, build=build, late=late)

    return stages


def with_predictions(data: TrainingSet, learner: Learner | None, root: float) -> TrainingSet:
    """Return the set with the most confident predictions of rows without labels as labelled rows, too."""
    assert learner is not None
    assert data.unlabeled is not None
    labels, confidence = predicted(learner, data.unlabeled)
    rows = most_confident(labels, confidence, rebalancing_rates(data.class_counts, root))
    return data.with_labels(rows, labels[rows].to(data.labeled.targets.device))
