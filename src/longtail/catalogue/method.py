"""A method: a named recipe. Task, stages, post-hoc rule, reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from longtail.catalogue.implied import Implied
from longtail.catalogue.references import Reference
from longtail.data import Part
from longtail.engine import Recipe, Stage
from longtail.facts.types import Draw, Learner, TrainingData
from longtail.learners import SupervisedLearner
from longtail.losses import Loss

MakeStages = Callable[[Recipe], Sequence[Stage]]
MakeLoss = Callable[[Tensor], Loss]
MakeDraw = Callable[[Tensor], Draw]
MakeRule = Callable[[Tensor], nn.Module]
Example = Callable[[], list[str]] | None
Misfit = Callable[[Part], str | None]
"""Training part -> why a method cannot learn from it, with the way out, or None."""


@dataclass(frozen=True)
class Method:
    """A named way to learn.

    Args:
        stages: recipe -> the stages to train.
        reference: where it comes from.
        posthoc: class counts -> a rule on the scores of the trained model, or None.
        prior: class counts -> the prior that the scores speak of (see `methods.implied`); None means the counts.
        needs_val: whether the rule is fitted on a validation part.
        task: the kind of labels it learns from.
        inputs: the kind of inputs it learns from: "any", or "table or features" where each example is a row of numbers.
        misfit: which training parts it refuses, and why; None where it takes all.
        own: what its paper changes in the common recipe, used where the recipe's kind is "own".
        trains: what is trained, in words.
        example: lines of a worked example, computed by the method's own parts, for `longtail explain`.
        key, spec: its name, and the canonical string of name and knobs; set when the spec is resolved.
    """

    stages: MakeStages
    reference: Reference
    posthoc: MakeRule | None = None
    prior: Implied | None = None
    needs_val: bool = False
    task: str = "supervised"
    inputs: str = "any"
    misfit: Misfit | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    trains: str = "a network"
    example: Example = None
    key: str = ""
    spec: str = ""

    def named(self, key: str, spec: str) -> Method:
        """The same method under its resolved name."""
        return replace(self, key=key, spec=spec)

    def under(self, recipe: Recipe) -> Recipe:
        """The recipe it is trained with: the common one, or with its own paper's changes."""
        return replace(recipe, **self.own) if recipe.kind == "own" else recipe

    def refuses(self, data: Part) -> str | None:
        """Why it cannot learn from this training part, in one line with the way out; None where it can."""
        why = None if self.misfit is None else self.misfit(data)
        return None if why is None else f"method {self.key!r} {why}"

    @property
    def retrains(self) -> bool:
        """False where it only re-reads the scores of plain training."""
        return self.posthoc is None


Builder = Callable[..., Method]
"""Keyword-only knobs -> the method."""
Builders = Mapping[str, Builder]
"""Key -> builder: a catalogue."""


def one_stage(
    spec: str,
    loss: MakeLoss,
    *,
    head: str = "linear",
    draw: MakeDraw | None = None,
    prepare: Callable[[nn.Module], object] | None = None,
    no_decay: Iterable[str] = (),
) -> MakeStages:
    """The stages of a method that trains once, from scratch, under the recipe.

    Args:
        spec: canonical text of the training; methods that name the same text share one training.
        loss: class counts -> loss.
        head: the network's classifier, "linear" or "cosine".
        draw: targets -> which rows an epoch visits; None visits each once.
        prepare: changes the fresh network (bias initialisation).
        no_decay: parameters of the network that weight decay leaves alone.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: Part, left: Learner | None) -> tuple[Learner, TrainingData]:
            network = recipe.network(data, head)
            if prepare is not None:
                prepare(network)
            learner = SupervisedLearner(network, loss(data.class_counts), no_decay=no_decay)
            return learner, data.drawn(recipe.batch_size, None if draw is None else draw(data.targets))

        return (
            Stage(
                "train",
                spec,
                build,
                recipe.epochs,
                recipe.make_optimizer,
                recipe.learning_rate,
                lr_per=recipe.lr_per,
            ),
        )

    return stages
