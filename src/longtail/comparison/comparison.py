"""`compare`: methods x seeds on the user's data, from the data to the verdict."""

from __future__ import annotations

import difflib
import inspect
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SUPERVISED, task_of
from longtail.comparison.audit import audit, mend
from longtail.comparison.data_warnings import warn_of_small
from longtail.comparison.execute import OnBegin, OnResult, OutputError, check_limits, execute
from longtail.comparison.input_data import folds_of, splits_of
from longtail.comparison.plan import METRICS, Plan, claim, plan, writable
from longtail.comparison.result import summarise
from longtail.data import Splits, TrainingSet, load
from longtail.data.read.options import ALLOWED
from longtail.data.split.folds import Folds, check_folds
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.engine.lock import exclusive
from longtail.facts.files import remove_unfinished
from longtail.facts.messages import quoted
from longtail.facts.paths import check_not_data
from longtail.methods import added
from longtail.methods import methods as chosen
from longtail.report import files, tables


@dataclass(frozen=True)
class Comparison:
    """A finished comparison; shows itself as a table in a notebook and in print.

    `summary` is the content of comparison.json; `out` the folder with every run, or None where it was temporary.
    """

    summary: dict[str, Any]
    out: Path | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per method, best first: role, mean, std, difference to the reference, recall per class."""
        rows: list[dict[str, Any]] = self.summary["rows"]
        return rows

    @property
    def verdict(self) -> str:
        """The sentence that claims no more than was shown."""
        return tables.verdict_lines(self.summary)[0]

    @property
    def ok(self) -> bool:
        """Whether every run finished."""
        return not self.summary["failed"]

    def to_markdown(self) -> str:
        """The table, what it was measured on, and the verdict."""
        return tables.markdown(self.summary)

    def _repr_html_(self) -> str:
        return tables.html(self.summary)

    def __repr__(self) -> str:
        return tables.plain(self.summary)


def compare(
    data: Any = "digits",
    y: Any = None,
    *,
    methods: str | Iterable[str | Method] = "quick",
    seeds: int = 3,
    folds: int | None = None,
    out: str | Path | None = None,
    metric: str = "balanced_accuracy",
    task: str | None = None,
    jobs: int | None = None,
    budget: float | None = None,
    evaluations: int = 1,
    on_plan: Callable[[Plan], None] | None = None,
    on_begin: OnBegin | None = None,
    on_result: OnResult | None = None,
    **options: Any,
) -> Comparison:
    """Compare methods of long-tailed learning on data, with intervals and an honest verdict.

    Args:
        data: "digits", a path to .npz or .npy, features (N, D) or images (N, H, W[, 3]) as tensor, array or frame, or a
            TensorDataset of inputs and labels.
        y: the labels, where `data` is arrays; for a frame also the name of the label column.
        methods: a preset ("quick", "all") or specs such as "ce,ldam-drw(scale=20)"; of a preset those of the
            task, and the reference of the task (ce where every row has a label) is always among them.
        seeds: how many; they vary initialisation and order, the split is fixed.
        folds: test every example once, by k-fold cross-validation, for data too small to hold a test part out; then
            every seed draws its own folds. None holds one test part out.
        out: folder for every run; the same call resumes there. None keeps nothing.
        metric: balanced_accuracy, accuracy or macro_f1.
        task: None where it follows from what is known of the labels; "self-supervised" uses them to judge only.
        jobs: runs at a time (None: one per core).
        budget: seconds after which no further run begins.
        evaluations: how often the test part is looked at during a training, for the record; decides nothing.
        on_plan, on_begin, on_result: called when the plan stands, before every run and after it.
        options: label, classes, data_dir, sample_weight, ratio, profile, val, test, name (see `data.load`) and
            epochs, batch_size, lr, optimizer, model, precision, kind, ... (see `Recipe`), and device.

    Raises:
        ValueError, TypeError: one line naming the argument, the rule, the value and the way out.
        OutputError: the output folder cannot be written any more; finished runs are kept.
    """
    check_limits(jobs, budget, evaluations)
    found = prepare(data, y, methods=methods, seeds=seeds, metric=metric, out=out, folds=folds, task=task, **options)
    execution: dict[str, Any] = {
        "seeds": seeds, "metric": metric, "jobs": jobs, "budget": budget, "evaluations": evaluations,
        "on_plan": on_plan, "on_begin": on_begin, "on_result": on_result,
    }  # fmt: skip
    if out is not None:
        return compare_prepared(found, **execution)
    with tempfile.TemporaryDirectory(prefix="longtail-") as folder:
        return replace(compare_prepared(replace(found, out=Path(folder)), **execution), out=None)


def compare_prepared(
    found: Prepared,
    *,
    seeds: int,
    metric: str,
    on_plan: Callable[[Plan], None] | None = None,
    **execution: Any,
) -> Comparison:
    """Run what `prepare` checked, and write the comparison's files beside its runs.

    Args:
        found: from `prepare`.
        seeds, metric, on_plan: as in `compare`.
        execution: jobs, budget, evaluations, on_begin, on_result, as in `execute`.
    """
    writable(found.out)
    with exclusive(found.out):
        made = plan(
            found.splits, found.methods, seeds, found.recipe, metric, found.out, found.device, found.folds, found.task
        )  # fmt: skip
        remove_unfinished(made.out)
        mend(made, audit(made))
        claim(made)
        if on_plan is not None:
            on_plan(made)
        summary = summarise(made, execute(made, **execution))
        try:
            files.write(made.out, summary)
        except OSError as error:
            raise OutputError(
                f"cannot write {made.out} ({error.strerror}); finished runs are kept, make room and run the same again"
            ) from None
        return Comparison(summary, made.out)


MOST_SEEDS = 1000
"""Every seed is a training of every method; intervals say nothing new long before."""
RECIPE = tuple(field.name for field in fields(Recipe))
COLUMNS = {option: None for known in ALLOWED.values() for option in known}
DATA = tuple(dict.fromkeys((*(p for p in tuple(inspect.signature(load).parameters)[2:] if p != "columns"), *COLUMNS)))


@dataclass(frozen=True)
class Prepared:
    """Everything checked, nothing yet run or written; with `folds`, `splits` are one of them, as an example."""

    splits: Splits
    methods: Sequence[Method]
    recipe: Recipe
    out: Path
    device: str
    folds: Folds | None = None
    task: str = SUPERVISED


def prepare(
    data: Any = "digits",
    y: Any = None,
    *,
    methods: str | Iterable[str | Method] = "quick",
    seeds: int = 3,
    metric: str = "balanced_accuracy",
    out: str | Path | None = None,
    device: str = "cpu",
    folds: int | None = None,
    task: str | None = None,
    **options: Any,
) -> Prepared:
    """Check everything a comparison needs, the cheap things first: names and numbers before data are loaded."""
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise ValueError(f"seeds must be an integer >= 1, got {quoted(seeds)}; 3 is usual")
    if seeds > MOST_SEEDS:
        raise ValueError(f"seeds must be at most {MOST_SEEDS}, got {quoted(seeds)}; it is a count, 3 is usual")
    if folds is not None:
        check_folds(folds)
    # the folder that is written where none is named has a name of the data's, which are not read yet
    check_not_data(Path("runs") if out is None else out, data)
    check_not_data(Path("runs") if out is None else out, options.get("data_dir"))
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {quoted(metric)}; choose one of these")
    for name in options:
        if name not in (*DATA, *RECIPE):
            near = difflib.get_close_matches(name, (*DATA, *RECIPE), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join((*DATA, *RECIPE))}"
            raise TypeError(f"unknown option {quoted(name)}; {hint}")
    recipe_options = {k: options.pop(k) for k in RECIPE if k in options}
    Recipe(**{k: v for k, v in recipe_options.items() if v is not None})
    # a validation part may also be declared by the data, which are not loaded yet
    chosen(methods, val=True)
    made = None if folds is None else folds_of(data, y, folds, options)
    splits = splits_of(data, y, options) if made is None else made.splits(0, 0)
    warn_of_small(made or splits)
    table = getattr(splits.preparation, "kind", None) == "table"
    found = task_of(splits.train, splits.unlabeled, task)
    added(found)
    trained = TrainingSet.of(splits)
    resolved = chosen(methods, val=splits.val is not None, table=table, task=found, data=trained)
    recipe = default_recipe(splits, **recipe_options)
    recipe.check(splits.train)
    return Prepared(
        splits, resolved, recipe, Path(out) if out is not None else Path("runs") / splits.name, device, made, found
    )
