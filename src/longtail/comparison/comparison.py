"""`compare`: methods x seeds on the user's data, from the data to the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from longtail.comparison.audit import find_damaged, reopen_damaged
from longtail.comparison.execute import OnBegin, OnPlan, OnResult, OutputError, RunOptions, check_limits, execute
from longtail.comparison.importance import add_importance, check_importance
from longtail.comparison.made_by import python_call
from longtail.comparison.output_folder import make_output_folder, write_config
from longtail.comparison.plan import plan
from longtail.comparison.preparation import Prepared, prepare
from longtail.comparison.result import summarise
from longtail.comparison.tracked_table import track_table
from longtail.comparison.tuned_rows import tune_every_method
from longtail.engine.lock import exclusive
from longtail.engine.selection import LAST
from longtail.facts.files import remove_unfinished
from longtail.inspection.checks import checked_codes
from longtail.models import Factory
from longtail.report import files, page, tables
from longtail.report.page import files as page_files
from longtail.runs.trackers import named


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
        """The verdict as a sentence that claims no more than the intervals show."""
        return tables.verdict_lines(self.summary)[0]

    @property
    def ok(self) -> bool:
        """Whether every run finished."""
        return not self.summary["failed"]

    def to_markdown(self) -> str:
        """Return the table, what it was measured on, and the verdict."""
        return tables.markdown(self.summary)

    def to_html(self, ignore: Iterable[str] = ()) -> str:
        """Return the page of `longtail report`: one file that needs nothing else.

        Args:
            ignore: codes of findings to leave out, such as "LT003".

        Raises:
            ModuleNotFoundError: without longtail[report].
            ValueError: a code that no finding has.
        """
        return page.render(self.summary, self.out, checked_codes(ignore, "ignore"))

    def report(self, path: str | Path, ignore: Iterable[str] = ()) -> Path:
        """Write that page and return its path; raises as `to_html` does, and ValueError for a name without .html."""
        target = page_files.checked_target(Path(path), "path")
        page_files.write_page(target, self.summary, self.out, checked_codes(ignore, "ignore"))
        return target

    def _repr_html_(self) -> str:
        return tables.html(self.summary)

    def __repr__(self) -> str:
        return tables.plain(self.summary)


def compare(
    data: Any = "digits",
    y: Any = None,
    *,
    methods: Any = "quick",
    seeds: int = 3,
    folds: int | None = None,
    out: str | Path | None = None,
    metric: str = "balanced_accuracy",
    positive: str | int | None = None,
    cost: Any = None,
    objective: str | None = None,
    target_prior: Any = None,
    task: str | None = None,
    baseline: Any = None,
    network: Factory | None = None,
    tune: int | None = None,
    jobs: int | None = None,
    budget: float | None = None,
    evaluations: int = 1,
    select: str = LAST,
    inspect: bool = False,
    importance: bool = False,
    on_plan: OnPlan | None = None,
    on_begin: OnBegin | None = None,
    on_result: OnResult | None = None,
    tracker: str | None = None,
    **options: Any,
) -> Comparison:
    """Compare methods of long-tailed learning on data, with confidence intervals and a verdict.

    Args:
        data: "digits", a path to .npz or .npy, features (N, D) or images (N, H, W[, 3]) as tensor, array or frame, or a
            map-style torch `Dataset` of (inputs, label) with its labels in `targets` or `labels`.
        y: the labels, where `data` is arrays; for a frame also the name of the label column.
        methods: a preset ("quick", "all") or specs such as "ce,ldam-drw(scale=20)". A preset is reduced to the methods
            of the task; the reference is always added, and on tables and features the twin of every method (the plain
            method of the same model, such as trees for trees-cw), with which it is also compared. In a list also
            classifiers of your own, scikit-learn compatible and unfitted, with or without a name, as in ["practice",
            LGBMClassifier(), ("nb", GaussianNB())], or "nb=sklearn:sklearn.naive_bayes.GaussianNB()" for one of an
            installed package: each gives the rows nb, nb-posthoc and, with validation rows, nb-threshold.
        seeds: number of seeds; they vary initialisation and order, the split is fixed.
        folds: number of cross-validation folds, so that every example is tested once, for data too small to hold a
            test part out; every seed then draws its own folds. None holds one test part out.
        out: folder for every run; the same call resumes there. None uses a temporary folder.
        metric: any of `metrics.registry`, by which rows are ranked and tested: balanced_accuracy, macro_f1, g_mean,
            mcc, average_precision, log_loss, ...; of one class positive_recall, positive_average_precision,
            "precision@recall=0.9", ...; "cost" is what decisions cost per row.
        positive: the class that metrics, costs and objectives of one class mean, by name or index; None is the rarest.
        cost: what mistakes cost: "missed=10,false=1", a file, or (C, C) with the true class by row (see
            `posthoc.decisions.costs.read_cost`). All rows then decide for the least expected cost, but for those that
            decide by costs themselves (threshold-moving; with metric "cost" also rows with a chosen threshold).
        objective: what all rows decide for, by one rule that is chosen on each run's validation rows, or across folds:
            "macro_f1", "fbeta(2)", "recall>=0.9", "alarms<=100", ... (see `posthoc.Decision`); None leaves each method
            its own rule.
        target_prior: "training", "uniform", {class: share} or C shares: probabilities and decisions of all rows are for
            these, as `longtail predict --target-prior` makes them; None is the training prior and each method's rule.
            Cost, objective and prior change no training: the same call with others judges the same runs again.
        task: None infers it from the labels; "self-supervised" uses the labels for evaluation only.
        baseline: the reference, a method of the task such as "trees". None is that of the folder `out`, else the task's
            (ce where every row has a label).
        network: makes networks of your own for all methods, in place of `model`; see `runs.train.Fit`.
        tune: every method, the reference too, is the best of so many trainings with different knobs, weight decay and
            learning rate, by the validation part (the method `tuned`); None compares them as they are.
        jobs: number of worker processes (None: one per core), of which each may train several small runs side by side;
            on a GPU of runs at once at most, all in this process (None: as many as make it faster).
        budget: seconds after which no further run begins.
        evaluations: number of evaluations on the test part during a training, for the record; they decide nothing.
        select: which epoch counts: "last", "val" (the best on validation rows) or "best-test" (the best on the test
            rows, as many papers did; its numbers are optimistic, and said to be).
        inspect: also inspect the data, for the findings of `Comparison.report`.
        tracker: "tensorboard", "mlflow" or "wandb", NAME or NAME:PLACE, which gets every run's epochs and scores, and
            the table; it changes no number, and where it fails a warning says so.
        importance: also measure how much the recall of each class falls where the cells of one column are moved between
            test rows, of the reference and of the leader (`rows[k]["importance"]`); tables only.
        on_plan, on_begin, on_result: called with the plan, before every run and after every run.
        options: label, classes, data_dir, sample_weight, ratio, profile, largest, val, test, name, unlabeled,
            candidates, train_list, val_list, test_list, labeled, unlabeled_size, unlabeled_ratio, ambiguity, noise
            (see `data.load`), epochs, batch_size, lr, optimizer, model, precision, kind, probe, protocol, ... (see
            `Recipe`), pretrained (a run folder, from the layers of whose network every network starts), and device.

    Raises:
        ValueError, TypeError: one line naming the argument, the rule, the value and the way out.
        OutputError: the output folder can no longer be written; finished runs are kept.
    """
    given = {**locals(), **options}
    del given["options"]
    check_limits(jobs, budget, evaluations)
    sent_to = named(tracker)
    prepared = prepare(
        data,
        y,
        methods=methods,
        seeds=seeds,
        metric=metric,
        positive=positive,
        cost=cost,
        objective=objective,
        target_prior=target_prior,
        out=out,
        folds=folds,
        task=task,
        baseline=baseline,
        network=network,
        select=select,
        inspect=inspect,
        **options,
    )
    if tune is not None:
        prepared = tune_every_method(prepared, tune)
    prepared = replace(prepared, command=python_call(compare, given))
    if importance:
        check_importance(prepared)
    run = RunOptions(
        jobs=jobs, budget=budget, evaluations=evaluations, on_plan=on_plan, on_begin=on_begin, on_result=on_result,
        tracker=sent_to,
    )  # fmt: skip
    if out is not None:
        return compare_prepared(prepared, importance=importance, **run)
    with tempfile.TemporaryDirectory(prefix="longtail-") as folder:
        result = compare_prepared(replace(prepared, out=Path(folder)), importance=importance, **run)
    return replace(result, out=None)


def compare_prepared(prepared: Prepared, *, importance: bool = False, **run: Unpack[RunOptions]) -> Comparison:
    """Run what `prepare` checked, and write the comparison's files beside its runs. Options as in `compare`."""
    make_output_folder(prepared.out)
    with exclusive(prepared.out):
        planned = plan(prepared)
        remove_unfinished(planned.out)
        reopen_damaged(planned, find_damaged(planned))
        write_config(planned.out, planned.config(), planned.data.origin)
        summary = summarise(planned, execute(planned, **run))
        add_importance(planned, summary, measured=importance)
        try:
            files.write(planned.out, summary)
        except OSError as error:
            raise OutputError(
                f"cannot write {planned.out} ({error.strerror}); finished runs are kept, make room and run the same "
                "again"
            ) from None
        if (tracker := run.get("tracker")) is not None:
            track_table(tracker, planned.out, summary)
        return Comparison(summary, planned.out)
