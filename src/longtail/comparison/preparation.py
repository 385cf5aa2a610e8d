"""`prepare`: load the data of a comparison and check everything that it needs, before anything is trained."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

from longtail.catalogue.aims import aimed, with_own_objective
from longtail.catalogue.choose import without_effect
from longtail.catalogue.method import Method
from longtail.catalogue.tasks import CONTEXT, SELF_SUPERVISED, SUPERVISED, role, task_of
from longtail.comparison.data_warnings import warn_of_joined_names, warn_of_small_classes
from longtail.comparison.features_preset import are_embeddings, asks_for_features, on_features
from longtail.comparison.findings import Findings, findings
from longtail.comparison.fold_parts import training_parts
from longtail.comparison.input_data import load_folds, load_search, load_splits
from longtail.comparison.question import Asked, Question, question
from longtail.data import Splits, TrainingSet, load
from longtail.data.pool import Pool
from longtail.data.read.options import ALLOWED
from longtail.data.split.folds import Folds, check_folds
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.engine.selection import LAST
from longtail.facts.messages import quoted
from longtail.facts.paths import check_not_data, named_path
from longtail.learners.probe_protocols import check_rows, check_used, chosen_probes
from longtail.methods import added, given_classifiers, method
from longtail.methods import methods as resolve
from longtail.models import Factory
from longtail.models.own import check_factory
from longtail.runs.pretrained import check_start, pretrained_body
from longtail.runs.selected import check as check_selectable
from longtail.runs.selected import check_select

log = logging.getLogger(__name__)

MOST_SEEDS = 1000
"""Every seed is a training of every method; intervals stop narrowing long before."""
RECIPE_OPTIONS = tuple(field.name for field in fields(Recipe) if field.name != "own")
"""`pretrained` is a run folder there."""
_COLUMN_OPTIONS = {option: None for known in ALLOWED.values() for option in known}
_LOAD_OPTIONS = [name for name in tuple(inspect.signature(load).parameters)[2:] if name != "columns"]
DATA_OPTIONS = tuple(dict.fromkeys((*_LOAD_OPTIONS, *_COLUMN_OPTIONS)))


@dataclass(frozen=True)
class Prepared:
    """A comparison that is checked and not yet run; nothing of it is written.

    With `folds` every run is cross-validated, and `splits` is one fold, as an example. The `task` decides the
    reference (`catalogue.tasks`) where there is no `baseline`. `command` is what was typed, for the record.
    """

    splits: Splits
    methods: Sequence[Method]
    seeds: tuple[int, ...]
    recipe: Recipe
    question: Question
    out: Path
    device: str
    folds: Folds | None = None
    task: str = SUPERVISED
    baseline: Method | None = None
    select: str = LAST
    command: str | None = None
    findings: Findings | None = None

    @property
    def metric(self) -> str:
        """The name of the metric that rows are ranked and tested by."""
        return self.question.measure.name


def prepare(
    data: Any = "digits",
    y: Any = None,
    *,
    methods: Any = "quick",
    seeds: int = 3,
    metric: str = "balanced_accuracy",
    positive: str | int | None = None,
    cost: Any = None,
    objective: str | None = None,
    target_prior: Any = None,
    out: str | Path | None = None,
    device: str = "cpu",
    folds: int | None = None,
    task: str | None = None,
    baseline: Any = None,
    network: Factory | None = None,
    search: bool = False,
    select: str = LAST,
    inspect: bool = False,
    **options: Any,
) -> Prepared:
    """Check everything that a comparison needs; names and numbers before data are loaded. Arguments as in `compare`.

    With `search`, the data are those of `load_search`, without the rows for testing, and `folds` are inside of the
    training rows. With `inspect` the data are inspected for the report.
    """
    check_select(select)
    if network is not None:
        check_factory(network)
    if options.get("pretrained") is not None:
        options["pretrained"] = pretrained_body(options["pretrained"])
    asked = Asked(metric, positive, cost, objective, target_prior)
    asked.check()
    methods = given_classifiers(methods)
    recipe_options = _check_arguments(data, methods, seeds, out, folds, options)
    if any(one.full for one in chosen_probes(recipe_options.get("probe"), recipe_options.get("protocol"))):
        options["keep_cut"] = True
    if options.get("backbone") is not None:
        options["device"] = device
    reference = None if baseline is None else _resolve_baseline(baseline, methods)
    about: dict[str, Any] = {"cost": str(cost) if isinstance(cost, str | PathLike) else None, "positive": positive}
    if reference is not None:
        reference = aimed([reference], metric, own=with_own_objective([baseline or reference]), **about)[0][0]
    if not isinstance(methods, str):
        methods = list(methods)
    rows: Pool | None = None
    loaded: Splits | Folds
    if search:
        loaded = load_search(data, y, folds, options)
    else:
        if folds is None:
            loaded, rows = load_splits(data, y, options)
        else:
            loaded = load_folds(data, y, folds, options)
            rows = loaded.pool
        warn_of_small_classes(loaded)
    if isinstance(loaded, Folds):
        loaded.check_noise(range(seeds))
    splits, data_folds = (loaded.splits(0, 0), loaded) if isinstance(loaded, Folds) else (loaded, None)
    warn_of_joined_names(splits.classes)
    task = task_of(splits.train, splits.unlabeled, task)
    if network is None and asks_for_features(methods, splits):
        recipe_options = on_features(splits, recipe_options)
    judged_by = question(asked, data_folds or splits, splits.val is not None, task)
    recipe = default_recipe(splits, network, **recipe_options)
    check_selectable(select, splits)
    check_start(recipe, splits)
    if reference is not None:
        _check_baseline(reference, task, splits, recipe)
    added(task, reference, truth=splits.truth is not None)  # refuses a task without its reference
    resolved = resolve(
        methods,
        val=splits.val is not None,
        table=getattr(splits.preparation, "kind", None) == "table",
        embeddings=are_embeddings(splits),
        task=task,
        data=TrainingSet.of(splits),
        truth=splits.truth is not None,
        recipe=recipe,
        folds=None if data_folds is None else training_parts(data_folds, splits.train, range(seeds)),
    )
    resolved, off_target = aimed(resolved, metric, own=with_own_objective(methods), **about)
    for note in (*without_effect(resolved, recipe), *([] if off_target is None else [off_target])):
        log.warning("%s", note)
    recipe.check(splits.train)
    check_used(recipe.probe, recipe.protocol, task)
    if task == SELF_SUPERVISED:
        check_rows(recipe.probes, splits.cut_rows is not None)
    return Prepared(
        splits=splits,
        methods=resolved,
        seeds=tuple(range(seeds)),
        recipe=recipe,
        question=judged_by,
        out=Path("runs") / splits.name if out is None else Path(out),
        device=device,
        folds=data_folds,
        task=task,
        baseline=reference,
        select=select,
        findings=findings(rows, splits) if inspect else None,
    )


def _resolve_baseline(baseline: Any, methods: Any) -> Method:
    try:
        return method(baseline, beside=() if isinstance(methods, str) else methods)
    except (ValueError, TypeError) as error:
        raise type(error)(f"baseline: {error}") from None


def _check_baseline(baseline: Method, task: str, splits: Splits, recipe: Recipe) -> None:
    """Raise ValueError where methods of the task cannot be compared with it, or it cannot learn from these data."""
    part = role(task, baseline.task, baseline.spec)
    if part is None or (part == CONTEXT and baseline.task != task):
        raise ValueError(
            f"baseline must be a method of the task, {task}, got {baseline.spec!r}, which is {baseline.task}; see "
            f"longtail methods --task {task}"
        )
    resolve([baseline], val=splits.val is not None, task=task, data=TrainingSet.of(splits), recipe=recipe)


def _check_arguments(
    data: Any,
    methods: Any,
    seeds: int,
    out: str | Path | None,
    folds: int | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Check what can be checked without the data; take the recipe's options out of `options` and return them."""
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise ValueError(f"seeds must be an integer >= 1, got {quoted(seeds)}; 3 is usual")
    if seeds > MOST_SEEDS:
        raise ValueError(f"seeds must be at most {MOST_SEEDS}, got {quoted(seeds)}; it is a count, 3 is usual")
    if folds is not None:
        check_folds(folds)
    # without `out` the folder is runs/<name of the data>, which is known only after loading
    check_not_data(Path("runs") if out is None else out, named_path(data))
    for option in ("data_dir", "human_labels", "unlabeled", "train_list", "val_list", "test_list"):
        check_not_data(Path("runs") if out is None else out, options.get(option))
    known = (*DATA_OPTIONS, *RECIPE_OPTIONS)
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise TypeError(f"unknown option {quoted(name)}; {hint}")
    recipe_options = {name: options.pop(name) for name in RECIPE_OPTIONS if name in options}
    Recipe(**{name: value for name, value in recipe_options.items() if value is not None})
    resolve(methods, val=True)  # a validation part may also be declared by the data
    return recipe_options
