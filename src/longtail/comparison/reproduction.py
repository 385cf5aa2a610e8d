"""`reproduce`: run a benchmark of the field and set our numbers beside the published ones, with the deviations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from longtail.catalogue.method import Method
from longtail.comparison.benchmarks import Benchmark, benchmark
from longtail.comparison.comparison import compare_prepared
from longtail.comparison.execute import OnBegin, OnPlan, OnResult, OutputError, RunOptions, check_limits
from longtail.comparison.ledger_rows import measured_rows
from longtail.comparison.preparation import Prepared, prepare
from longtail.facts import ledger
from longtail.facts.files import write_json, write_text
from longtail.methods import catalogue
from longtail.report import reproduction as report

SCHEMA = 1
METRIC = "accuracy"
EVALUATIONS = 10
FREE = ("kind", "precision", "compile", "capture", "deterministic")
"""Parts of a recipe that are no deviation from the published protocol; they are reported by themselves."""


@dataclass(frozen=True)
class Reproduction:
    """A finished reproduction; `summary` is the content of reproduction.json."""

    summary: dict[str, Any]
    out: Path

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per method: our numbers, and every published number with the difference to it."""
        rows: list[dict[str, Any]] = self.summary["rows"]
        return rows

    @property
    def ok(self) -> bool:
        """Whether every run finished."""
        return not self.summary["failed"]

    def to_markdown(self) -> str:
        """Return the tables."""
        return report.markdown(self.summary)

    def __repr__(self) -> str:
        return "\n".join(report.lines(self.summary))


def reproduce(
    name: str,
    *,
    jobs: int | None = None,
    budget: float | None = None,
    evaluations: int = EVALUATIONS,
    on_plan: OnPlan | None = None,
    on_begin: OnBegin | None = None,
    on_result: OnResult | None = None,
    **options: Any,
) -> Reproduction:
    """Run a benchmark and set the results beside the published ones; the same call resumes.

    Args:
        name: such as cifar10-lt-100, see `benchmarks`.
        jobs, budget, on_plan, on_begin, on_result: as in `compare`.
        evaluations: number of evaluations on the test part, evenly over the epochs; "best-test" is the best of these.
        options: see `prepare_benchmark`.

    Raises:
        ValueError, TypeError: one line naming the argument, the rule, the value and the way out.
        OutputError: the output folder can no longer be written; finished runs are kept.
    """
    check_limits(jobs, budget, evaluations)
    asked, prepared = prepare_benchmark(name, **options)
    run = RunOptions(
        jobs=jobs, budget=budget, evaluations=evaluations, on_plan=on_plan, on_begin=on_begin, on_result=on_result
    )
    return reproduce_prepared(asked, prepared, **run)


def _catalogue_order(specs: Iterable[str]) -> list[str]:
    """Return the specs of the catalogue's methods in its order; of one method the plain one first."""
    order = {key: i for i, key in enumerate(catalogue())}
    known = [spec for spec in specs if spec.partition("(")[0] in order]
    return sorted(known, key=lambda spec: (order[spec.partition("(")[0]], spec))


def prepare_benchmark(
    name: str,
    *,
    methods: str | Iterable[str | Method] | None = None,
    seeds: int = 1,
    epochs: int | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> tuple[Benchmark, Prepared]:
    """Check everything that a reproduction needs; names and numbers before data are loaded.

    Args:
        name: name of the benchmark.
        methods: specs; None takes those with a published number for this benchmark.
        seeds, epochs: number of seeds and of epochs; None are those of the published protocol.
        out: output folder; None is runs/<name>.
        options: data_dir, device, kind ("common", "own"), precision and the rest of `Recipe`, in place of the
            published recipe's.
    """
    asked = benchmark(name)
    if methods is None:
        methods = _catalogue_order({row.method for row in ledger.published() if row.benchmark == name})
    if not methods:
        raise ValueError(f'no number is published for {name}; name the methods, as in --methods "ce,ldam-drw"')
    options = asked.recipe_options(epochs=epochs, **options)
    return asked, prepare(
        asked.data, methods=methods, seeds=seeds, metric=METRIC, name=name,
        out=Path("runs") / name if out is None else out, **asked.options, **options,
    )  # fmt: skip


def reproduce_prepared(benchmark: Benchmark, prepared: Prepared, **run: Unpack[RunOptions]) -> Reproduction:
    """Run what `prepare_benchmark` checked, as a comparison, and set its rows beside those of the ledger."""
    run.setdefault("evaluations", EVALUATIONS)
    comparison = compare_prepared(prepared, **run)
    summary = summarise(benchmark, prepared, comparison.summary)
    try:
        write_json(prepared.out / "reproduction.json", summary)
        write_text(prepared.out / "reproduction.md", report.markdown(summary))
    except OSError as error:
        raise OutputError(
            f"cannot write {prepared.out} ({error.strerror}); finished runs are kept, make room"
        ) from None
    return Reproduction(summary, prepared.out)


def summarise(benchmark: Benchmark, prepared: Prepared, summary: dict[str, Any]) -> dict[str, Any]:
    """Return the content of reproduction.json, from the summary of the comparison."""
    deviating = deviations(benchmark, prepared)
    rows = measured_rows(benchmark, summary, prepared.out, deviating)
    order = {key: i for i, key in enumerate(catalogue())}
    rows.sort(key=lambda row: order.get(row["key"], len(order)))
    for row in rows:
        ours = benchmark.protocol(replace(prepared.recipe, **row["recipe_changes"]))
        numbers = [p for p in ledger.published() if (p.benchmark, p.method) == (benchmark.name, row["method"])]
        row["published"] = [{**ledger.beside(p, ours), "difference": differences(row, p.error)} for p in numbers]
    return {
        "schema_version": SCHEMA,
        "benchmark": benchmark.name,
        "data": {k: summary["data"][k] for k in ("name", "hash", "facts", "class_counts", "test_counts")},
        "recipe": summary["recipe"],
        "deviations": deviating,
        "seeds": summary["seeds"],
        "rows": rows,
        "failed": summary["failed"],
        "missing": summary["missing"],
    }


def deviations(benchmark: Benchmark, prepared: Prepared) -> list[str]:
    """Return how the training deviates from the published protocol, each as "epochs 20 instead of 200"."""
    asked, usual = prepared.recipe.to_json(), benchmark.recipe.to_json()
    names = [name for name in {**asked, **usual} if name not in FREE and asked.get(name) != usual.get(name)]
    return [f"{name} {asked.get(name)} instead of {usual.get(name)}" for name in names]


def differences(row: dict[str, Any], error: float) -> dict[str, float | None]:
    """Return ours less theirs in points of error, for both of our numbers; negative is better than published."""
    return {kind: None if row[kind] is None else round(row[kind]["mean"] - error, 10) for kind in ("last", "best_test")}
