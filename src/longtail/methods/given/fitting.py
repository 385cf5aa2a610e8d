"""A copy of the user's classifier for one run: seeded, in the threads of the run, with the arguments of its fit."""

from __future__ import annotations

import inspect
from typing import Any

from longtail.learners.fitted import last_step
from longtail.methods.given.identity import nested, parameters_of

SEEDS = ("random_state", "random_seed", "seed")
WEIGHTS = (
    "class_weight", "scale_pos_weight", "is_unbalance", "auto_class_weights", "class_weights", "sampling_strategy",
)  # fmt: skip
"""Arguments of scikit-learn, XGBoost, LightGBM, CatBoost and imbalanced-learn that change the shares of classes."""
THREADS = ("n_jobs", "thread_count", "nthread")

BALANCED = ("balanced", "balanced_subsample")
"""Values of `class_weight` under which probabilities are for classes of equal size."""
TO_EQUAL = ("auto", "all", "not minority", "not majority")
"""Values of imbalanced-learn's `sampling_strategy` under which classes become equally large."""
CLEANING = (
    "TomekLinks", "EditedNearestNeighbours", "RepeatedEditedNearestNeighbours", "AllKNN", "CondensedNearestNeighbour",
    "OneSidedSelection", "NeighbourhoodCleaningRule",
)  # fmt: skip
"""Its samplers that only take rows off, and leave the classes of different size."""


def balances(one: Any) -> bool:
    """Whether an estimator weighs or resamples rows to classes of equal size."""
    given, kind = parameters_of(one), type(one)
    weight, strategy = given.get("class_weight"), given.get("sampling_strategy")
    resamples = kind.__module__.startswith("imblearn.") and kind.__name__ not in CLEANING
    return (isinstance(weight, str) and weight in BALANCED) or (
        resamples and isinstance(strategy, str) and strategy in TO_EQUAL
    )


def seeded_copy(estimator: Any, seed: int, threads: int) -> Any:
    """Return an unfitted copy whose seeds and numbers of threads that were left open are set, nested ones too.

    A `random_state` of None is the seed; a given one stays. `n_jobs` of None or below 0 is the threads of the run, as
    runs go in parallel instead; a given number stays.
    """
    from sklearn.base import clone

    made = clone(estimator)
    for one in nested(made):
        set_now = parameters_of(one)
        accepted = set_now.keys() | _optional(one)
        changes: dict[str, Any] = {}
        if (name := next((name for name in SEEDS if name in accepted), None)) and all(
            set_now.get(other) is None for other in SEEDS
        ):
            changes[name] = seed
        if name := next((name for name in THREADS if name in accepted), None):
            given = set_now.get(name)
            if given is None or given < 0:
                changes[name] = threads
        if "allow_writing_files" in accepted - set_now.keys():  # CatBoost's logs in the current folder
            changes["allow_writing_files"] = False
        if changes:
            one.set_params(**changes)
    return made


def other_weights(estimator: Any) -> list[str]:
    """Return what else was given that changes the shares of classes, such as `scale_pos_weight=9`."""
    found = [(name, parameters_of(one).get(name)) for one in nested(estimator) for name in WEIGHTS]
    known = {"None", "False", "1", "1.0", *BALANCED, *TO_EQUAL}
    return list(dict.fromkeys(f"{name}={value}" for name, value in found if str(value) not in known))


def fixed_seeds(estimator: Any) -> list[str]:
    """Return what was given as seeds: `random_state=0`."""
    found = [(name, parameters_of(one).get(name)) for one in nested(estimator) for name in SEEDS]
    return list(dict.fromkeys(f"{name}={value}" for name, value in found if value is not None))


def takes_weights(estimator: Any) -> bool:
    """Whether its fit, or that of the last step of a pipeline, takes `sample_weight`."""
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(last_step(estimator), "sample_weight"))


def _optional(one: Any) -> set[str]:
    """Return the arguments of the constructor, also where `get_params` names only those that were given."""
    parameters = inspect.signature(type(one).__init__).parameters.values()
    return {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)} - {"self"}
