"""A classifier of the user's as methods: plain, with the log prior taken off, with thresholds moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longtail.catalogue.implied import uniform
from longtail.catalogue.method import Builders, Method
from longtail.catalogue.references import Reference
from longtail.catalogue.resolve import resolve
from longtail.data import Part
from longtail.facts.knobs import NonNegativeFloat
from longtail.learners.fitted import matrix, untrusted
from longtail.methods.estimators import classifiers
from longtail.methods.estimators.build import adjusted, estimator, thresholded
from longtail.methods.given import checks, fitting, identity
from longtail.methods.supervised.moved_thresholds import tuned_threshold
from longtail.posthoc.choice import Cost, Goal, PositiveClass

PLAIN, POSTHOC, THRESHOLD = "", "-posthoc", "-threshold"
FORMS = (PLAIN, POSTHOC, THRESHOLD)
"""What follows the name in the keys of the rows."""

_WORDS = {
    PLAIN: "as it is",
    POSTHOC: "the log prior subtracted from its log-probabilities; nothing is fitted for it",
    THRESHOLD: "thresholds chosen on validation rows (--val 0.2), for the metric of the comparison",
}


class _Own(Reference):
    """In place of a paper."""

    @property
    def short(self) -> str:
        """What the tables' column of papers has."""
        return "own classifier"

    @property
    def bibtex(self) -> str:
        """Nothing to cite that is known here."""
        return ""


@dataclass(frozen=True, eq=False)
class Given:
    """A classifier of the user's, and the rows that it gives.

    Args:
        name: of the plain row, and the beginning of the others'.
        estimator: the classifier; copies of it are fitted.
        forms: of `FORMS`, those that were asked for; the others can be resolved all the same.
        all_forms: whether the forms are all that the data allow, so that one that needs validation rows is left out
            without them.
    """

    name: str
    estimator: Any
    forms: tuple[str, ...] = FORMS
    all_forms: bool = True
    _tried: set[str] = field(default_factory=set)
    """The rows that it was tried on; sent to workers, which need not try again."""
    _why: dict[str, str | None] = field(default_factory=dict)
    """The same -> why the model fitted to them cannot be saved."""

    @cached_property
    def described(self) -> dict[str, str]:
        """Class and parameters, by name: what identifies its runs."""
        return identity.described(self.estimator)

    @property
    def text(self) -> str:
        """The same as one text."""
        return identity.spelled(self.described)

    @cached_property
    def packages(self) -> dict[str, str]:
        """The versions of the packages that it comes from."""
        return identity.packages(self.estimator)

    @property
    def balanced(self) -> bool:
        """Whether it weighs or resamples classes so that its probabilities are for classes of equal size."""
        return any(map(fitting.balances, identity.nested(self.estimator)))

    @cached_property
    def builders(self) -> Builders:
        """The catalogue of its rows: key -> builder."""
        return {f"{self.name}{form}": builder for form, builder in self._by_form().items()}

    def methods(self, *, val: bool = True) -> list[Method]:
        """Return its rows; without validation rows not the one that needs them, unless it was named."""
        forms = [form for form in self.forms if form in self._by_form()]
        if not val and self.all_forms:
            forms = [form for form in forms if form != THRESHOLD]
        return [self.method(form) for form in forms]

    def method(self, form: str | None = None) -> Method:
        """Return one of its rows, by default the first that was asked for."""
        return resolve(f"{self.name}{self.forms[0] if form is None else form}", self.builders)

    def refuses(self, rows: Part) -> str | None:
        """Return why it cannot learn from these rows, or None; it is fitted to some of them once."""
        if (why := classifiers.size_misfit(rows, classifiers.MOST_FEATURES)) is not None:
            return why
        part: Any = rows
        weight = part.sample_weight
        if weight is not None and (why := checks.refuses_weights(self.estimator)) is not None:
            return why
        facts = f"{tuple(rows.input_shape)} {len(rows.classes)} {weight is not None}"  # alike in all folds
        if facts not in self._tried:
            y = part.targets.cpu().numpy()
            w = None if weight is None else weight.double().cpu().numpy()
            kept = np.ones(len(y), dtype=bool) if w is None else w > 0
            try:
                fitted = checks.trial(
                    self.estimator, matrix(part.inputs)[kept], y[kept], None if w is None else w[kept]
                )
            except ValueError as error:
                return str(error)
            self._tried.add(facts)
            self._why[facts] = untrusted(fitted)
        return None

    @property
    def unsaved(self) -> str | None:
        """Why its models cannot be saved, as a trial has shown; None where they can, or nothing was tried."""
        return next((why for why in self._why.values() if why is not None), None)

    def notes(self, rows: Part) -> str | None:
        """Return what a table says of it: a seed or class weights of its own, a model that is not saved."""
        said = []
        if seeds := fitting.fixed_seeds(self.estimator):
            said.append(f"{', '.join(seeds)} was given, so that its seeds are alike but for the rows")
        if weights := fitting.other_weights(self.estimator):
            said.append(
                f"{', '.join(weights)} was given, and its probabilities are read as those of the training shares all "
                "the same, so that a correction may take the prior off twice"
            )
        if (why := self.unsaved) is not None:
            said.append(f"its models are not saved ({why})")
        return f"{self.name}: {'; '.join(said)}" if said else None

    def explained(self) -> dict[str, Any]:
        """Return what `longtail explain` says of it beside what it says of every method."""
        rows = {one.spec: one for one in self.methods()}
        return {
            "title": type(self.estimator).__name__,
            "paper": ", ".join(f"{name} {version}" for name, version in self.packages.items()),
            "classifier": self.described,
            "rows": {spec: _WORDS[spec.removeprefix(self.name)] for spec in rows},
        }

    def _by_form(self) -> Mapping[str, Any]:
        forms = {PLAIN: self._plain, POSTHOC: self._posthoc, THRESHOLD: self._threshold}
        if self.balanced:
            del forms[POSTHOC]
        return forms

    def _plain(self) -> Method:
        """A classifier of your own, as it is.

        predict argmax P(y | x), P its predict_proba.
        """
        reference = _Own(self.name, "own", self.text, "", 0)
        prior = uniform if self.balanced else None
        made = estimator(
            self.text, self.name, self._make, self.refuses, reference, prior=prior, given=True, trains=self._trains
        )
        return replace(made, given=self, notes=(self.notes,))

    def _posthoc(self, *, tau: NonNegativeFloat = 1.0) -> Method:
        """A classifier of your own with the log prior subtracted from its log-probabilities; nothing is retrained.

        predict argmax log P(y | x) - tau log pi_y, P its predict_proba.

        Menon et al. 2021, eq. 9.
        """
        return adjusted(self._plain(), tau)

    def _threshold(
        self,
        *,
        objective: Goal = "balanced_accuracy",
        cost: Cost | None = None,
        positive: PositiveClass | None = None,
    ) -> Method:
        """A classifier of your own with thresholds moved by tau log pi, tau chosen on validation data.

        predict argmax log P(y | x) - tau log pi_y, P its predict_proba; tau in [0, 3] the best for the objective on the
        validation part. With balanced class weights P is for equal classes, and tau - 1 stands in place of tau.

        Objective, cost and positive are those of ce-threshold.
        """
        if self.balanced:
            return tuned_threshold(self._plain(), objective, cost, positive, trained=1.0)
        return thresholded(self._plain(), objective, cost, positive)

    @property
    def _trains(self) -> str:
        return f"a classifier of your own, {type(self.estimator).__name__}"

    def _make(self, columns: classifiers.Columns, seed: int, targets: NDArray[np.int64]) -> Any:
        return fitting.seeded_copy(self.estimator, seed, torch.get_num_threads())


def named(name: str, value: Any) -> Given:
    """Return the classifier under its name; a name that ends in -posthoc or -threshold asks for that row alone.

    Raises:
        ValueError, TypeError: see `checks.check` and `identity.described`.
    """
    form = next((form for form in FORMS if form and name.endswith(form)), None)
    made = Given(name if form is None else name.removesuffix(form), value)
    checks.check(value)
    _ = made.described  # refuses parameters without a text
    made = replace(made, estimator=checks.cloned(value))  # which nobody changes meanwhile
    return made if form is None else replace(made, forms=(form,), all_forms=False)
