"""What a comparison is asked beside what it trains: the metric, its class and costs, how rows decide, for which prior.

Nothing of it changes a training, so that the same folder can be asked again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from longtail.catalogue.tasks import SELF_SUPERVISED
from longtail.comparison.decided import DecidedBy
from longtail.comparison.evidence.measure import Measure, measure_of
from longtail.data import Splits
from longtail.data.split.folds import Folds
from longtail.facts.messages import quoted
from longtail.metrics.rates import Floats
from longtail.metrics.registry import METRICS, metric
from longtail.metrics.rows import Rows
from longtail.posthoc.decisions.costs import class_index, read_cost
from longtail.posthoc.decisions.objectives import objective as objective_of
from longtail.runs import priors
from longtail.runs.outputs import group_counts
from longtail.runs.scored import ScoredRun


@dataclass(frozen=True)
class Asked:
    """What was asked, in the words of the command; see `compare`."""

    metric: str = "balanced_accuracy"
    positive: str | int | None = None
    cost: Any = None
    objective: str | None = None
    target_prior: Any = None

    def check(self) -> None:
        """Check what can be checked before data are loaded.

        Raises:
            ValueError: no such metric or objective; costs that nothing would use, or that are missing.
        """
        needs = metric(self.metric).needs
        goal = None if self.objective is None else objective_of(self.objective)
        if self.cost is None and (needs == "cost" or (goal is not None and goal.name == "cost")):
            what = "metric" if needs == "cost" else "objective"
            raise ValueError(
                f'{what} cost needs what mistakes cost, got nothing; add --cost "missed=10,false=1" or a file (cost=)'
            )
        if goal is not None and goal.name != "cost" and self.cost is not None and needs != "cost":
            raise ValueError(
                f"cost has no use with objective {self.objective} and metric {self.metric}, which read no costs; leave "
                "one of them out, or take --metric cost (metric='cost')"
            )
        if isinstance(self.target_prior, str) and self.target_prior == priors.ESTIMATE:
            raise ValueError(
                "target_prior (--target-prior) of a comparison must be class shares, got 'estimate'; give "
                '"a=0.9,b=0.1", uniform or a .json file (longtail predict estimates them)'
            )
        if self.objective is not None and self.target_prior is not None:
            raise ValueError(
                f"objective {self.objective} is chosen on validation rows, which have the training prior, got "
                "target_prior (--target-prior) too; leave one of them out"
            )


@dataclass(frozen=True)
class Question:
    """What was asked of these data: everything by index, and checked.

    Args:
        measure: the metric that rows are ranked and tested by.
        positive: index of the class that metrics of one class mean; `by_rarity` where nobody named it, `meant` where
            metric, costs or objective are about it.
        decided: the rule of all rows; None leaves each method its own.
        target: (C,) the prior that probabilities and decisions are for, or None for that of the training part.
        prior: the same in words, or None.
    """

    measure: Measure
    positive: int
    positive_name: str
    by_rarity: bool = True
    meant: bool = False
    decided: DecidedBy | None = None
    target: Floats | None = field(default=None, compare=False)
    prior: str | None = None

    @property
    def plain(self) -> bool:
        """Whether methods decide by their own rules, with probabilities under the training prior."""
        return self.decided is None and self.target is None

    @property
    def of_costs(self) -> bool:
        """Whether all rows decide for the least expected cost, under the training prior."""
        return self.decided is not None and self.decided.objective is None and self.target is None

    def log_probs(self, run: ScoredRun) -> Floats:
        """Return log-probabilities (N, C) of test rows under the target prior, where there is one."""
        if self.target is None:
            return run.test.log_probs
        logs, training, target = map(torch.from_numpy, (run.test.log_probs, run.training_prior, self.target))
        return np.asarray(priors.under(logs, training, target))

    def asked_of(self, run: ScoredRun, changed: ScoredRun | None = None) -> ScoredRun:
        """Return a run with the decisions that are asked for: by the common rule, else its own; by the probabilities
        under a target prior where there is one, as `longtail predict --target-prior` decides. With `changed`, the same
        run on changed test rows, that one, decided by the rule that was chosen for `run`."""
        made = run if changed is None else changed
        if self.plain:
            return made
        logs = self.log_probs(made)
        decided = logs.argmax(axis=1) if self.decided is None else self.decided.decide(run, logs)
        return replace(made, test=replace(made.test, decided=decided, log_probs=logs))

    def rows(self, run: ScoredRun) -> Rows:
        """Return the test rows of a run of which `asked_of` was asked."""
        test = run.test
        return Rows(np.exp(test.log_probs), test.decided, test.targets, test.weight, self.positive, self.measure.cost)

    def measures(self) -> dict[str, Measure]:
        """Return every metric that applies, by name, the chosen one too."""
        names = [name for name in METRICS if name != "cost" or self.measure.cost is not None]
        every = {name: replace(self.measure, metric=METRICS[name]) for name in names}
        return every | {self.measure.name: self.measure}

    def to_json(self, folds: bool) -> dict[str, Any]:
        """Return the entry `question` of comparison.json."""
        one = self.measure.metric
        decided = self.decided
        cost = self.measure.cost
        return {
            "label": self.measure.label, "higher_is_better": one.higher_is_better, "fraction": one.fraction,
            "reads": one.reads, "positive": self.positive_name, "positive_by_rarity": self.by_rarity,
            "of_one_class": self.meant, "cost": None if cost is None else cost.tolist(),
            "decided_for": None if decided is None else decided.words(folds), "target_prior": self.prior,
        }  # fmt: skip


def question(asked: Asked, data: Splits | Folds, val: bool, task: str) -> Question:
    """Return what was asked of these data.

    Args:
        asked: checked by itself.
        data: all that is tested. val: whether runs have validation rows. task: of the comparison.

    Raises:
        ValueError: a class or costs that do not fit, no row of the class to judge by, no rows to choose a rule on.
    """
    asked.check()
    classes = tuple(data.classes)
    counts = np.asarray(group_counts(data), dtype=np.float64)
    positive = int(counts.argmin()) if asked.positive is None else class_index(asked.positive, classes, "positive")
    cost = None if asked.cost is None else read_cost(asked.cost, classes, positive)
    measure = measure_of(asked.metric, len(classes), positive=positive, positive_name=classes[positive], cost=cost)
    if task == SELF_SUPERVISED:
        _check_encoders(asked, measure)
    if measure.of_one_class and not float(data.test_counts[positive]) > 0:
        raise ValueError(
            f"metric {asked.metric} is of class {quoted(classes[positive])}, which has no row to judge by; name "
            "another with --positive (positive=)"
        )
    decided = _rule(asked, classes, positive, cost)
    if decided is not None and decided.fitted and not (val or isinstance(data, Folds)):
        raise ValueError(
            f"objective {asked.objective} is chosen on validation rows, got none; add --val 0.2 (val=0.2), or --folds 5"
        )
    in_words = isinstance(asked.cost, str) and "=" in asked.cost
    meant = measure.of_one_class or in_words or (decided is not None and decided.positive is not None)
    made = Question(measure, positive, classes[positive], asked.positive is None, meant, decided)
    if asked.target_prior is None:
        return made
    target, words = priors.target(asked.target_prior, classes, data.class_counts)
    return replace(made, target=target.numpy(), prior=words)


def _rule(asked: Asked, classes: tuple[str, ...], positive: int, cost: Floats | None) -> DecidedBy | None:
    """Return the rule by which all rows decide; None where each has its own."""
    if asked.objective is None:
        return None if cost is None else DecidedBy(classes, cost)
    goal = objective_of(asked.objective)
    of_cost = cost if goal.name == "cost" else None
    made = DecidedBy(classes, of_cost, asked.objective, None if goal.of_all else positive)
    made.rule  # noqa: B018 - refuses what cannot be decided for
    return made


def _check_encoders(asked: Asked, measure: Measure) -> None:
    """Raise ValueError for what needs probabilities, which the probes of an encoder do not have."""
    if not measure.exact:
        raise ValueError(
            f"metric of encoders must be read from what probes decide, got {asked.metric}; choose balanced_accuracy, "
            "accuracy or macro_f1"
        )
    for name in ("cost", "objective", "target_prior"):
        if getattr(asked, name) is not None:
            raise ValueError(f"{name} is about probabilities, which encoders do not have; leave it out")
