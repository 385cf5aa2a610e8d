"""`reproduce`: a benchmark of the field, our numbers beside the published ones, with what sets them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from longtail.catalogue.method import Method
from longtail.comparison.benchmarks import Benchmark, benchmark
from longtail.comparison.comparison import Prepared, compare_prepared, prepare
from longtail.comparison.execute import OnBegin, OnResult, OutputError, check_limits
from longtail.comparison.ledger_rows import measured_rows
from longtail.comparison.plan import Plan
from longtail.engine.default_recipe import LDAM
from longtail.facts import ledger
from longtail.facts.files import write_json, write_text
from longtail.methods import catalogue
from longtail.report import reproduction as report

SCHEMA = 1
METRIC = "accuracy"
EPOCHS = LDAM.epochs
EVALUATIONS = 10
FREE = ("kind", "precision", "compile")
"""Parts of a recipe that do not set a run apart from the published protocol; they are told by themselves."""


@dataclass(frozen=True)
class Reproduction:
    """A finished reproduction; `found` is the content of reproduction.json."""

    found: dict[str, Any]
    out: Path

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per method: ours, and every published number with the difference to it."""
        rows: list[dict[str, Any]] = self.found["rows"]
        return rows

    @property
    def ok(self) -> bool:
        """Whether every run finished."""
        return not self.found["failed"]

    def to_markdown(self) -> str:
        """The tables."""
        return report.markdown(self.found)

    def __repr__(self) -> str:
        return "\n".join(report.lines(self.found))


def reproduce(
    name: str,
    *,
    jobs: int | None = None,
    budget: float | None = None,
    evaluations: int = EVALUATIONS,
    on_plan: Callable[[Plan], None] | None = None,
    on_begin: OnBegin | None = None,
    on_result: OnResult | None = None,
    **options: Any,
) -> Reproduction:
    """Run a benchmark and put the results beside the published ones; the same call resumes.

    Args:
        name: `<cifar10|cifar100>-<lt|step>-<ratio>`, such as cifar10-lt-100.
        jobs, budget, on_plan, on_begin, on_result: as in `compare`.
        evaluations: how often the test part is looked at, evenly over the epochs; "best-test" is the best of these.
        options: see `prepare_benchmark`.

    Raises:
        ValueError, TypeError: one line naming the argument, the rule, the value and the way out.
        OutputError: the output folder cannot be written any more; finished runs are kept.
    """
    check_limits(jobs, budget, evaluations)
    wanted, prepared = prepare_benchmark(name, **options)
    return reproduce_prepared(
        wanted, prepared, seeds=options.get("seeds", 1), jobs=jobs, budget=budget, evaluations=evaluations,
        on_plan=on_plan, on_begin=on_begin, on_result=on_result,
    )  # fmt: skip


def _in_order(specs: Iterable[str]) -> list[str]:
    """Those of the catalogue, in its order; of one method the plain one first."""
    order = {key: i for i, key in enumerate(catalogue())}
    known = [spec for spec in specs if spec.partition("(")[0] in order]
    return sorted(known, key=lambda spec: (order[spec.partition("(")[0]], spec))


def prepare_benchmark(
    name: str,
    *,
    methods: str | Iterable[str | Method] | None = None,
    seeds: int = 1,
    epochs: int = EPOCHS,
    out: str | Path | None = None,
    **options: Any,
) -> tuple[Benchmark, Prepared]:
    """Check everything that a reproduction needs, names and numbers before data are loaded.

    Args:
        name: of the benchmark.
        methods: specs; None takes those with a published number for this benchmark.
        seeds, epochs: how many.
        out: folder; None is runs/<name>.
        options: data_dir, device, kind ("common", "own"), precision and the rest of `Recipe`.
    """
    wanted = benchmark(name)
    numbers = {row.method for row in ledger.published() if row.benchmark == name}
    asked = _in_order(numbers) if methods is None else methods
    if not asked:
        raise ValueError(f'no number is published for {name}; name the methods, as in --methods "ce,ldam-drw"')
    place = Path("runs") / name if out is None else out
    return wanted, prepare(
        wanted.data, methods=asked, seeds=seeds, metric=METRIC, epochs=epochs, ratio=wanted.ratio,
        profile=wanted.profile, name=name, out=place, **options,
    )  # fmt: skip


def reproduce_prepared(
    wanted: Benchmark, prepared: Prepared, *, seeds: int, evaluations: int = EVALUATIONS, **options: Any
) -> Reproduction:
    """Run what `prepare_benchmark` checked: a comparison, whose runs are then read beside the ledger."""
    result = compare_prepared(prepared, seeds=seeds, metric=METRIC, evaluations=evaluations, **options)
    found = beside_published(wanted, prepared, result.summary, prepared.out)
    try:
        write_json(prepared.out / "reproduction.json", found)
        write_text(prepared.out / "reproduction.md", report.markdown(found))
    except OSError as error:
        raise OutputError(
            f"cannot write {prepared.out} ({error.strerror}); finished runs are kept, make room"
        ) from None
    return Reproduction(found, prepared.out)


def beside_published(wanted: Benchmark, prepared: Prepared, summary: dict[str, Any], out: Path) -> dict[str, Any]:
    """The content of reproduction.json."""
    apart = deviations(prepared)
    rows = measured_rows(wanted, summary, out, apart)
    order = {key: i for i, key in enumerate(catalogue())}
    rows.sort(key=lambda row: order.get(row["key"], len(order)))
    for row in rows:
        numbers = [p for p in ledger.published() if (p.benchmark, p.method) == (wanted.name, row["method"])]
        row["published"] = [{**asdict(p), "difference": differences(row, p.error)} for p in numbers]
    return {
        "schema_version": SCHEMA,
        "benchmark": wanted.name,
        "data": {k: summary["data"][k] for k in ("name", "hash", "facts", "class_counts", "test_counts")},
        "recipe": summary["recipe"],
        "deviations": apart,
        "seeds": summary["seeds"],
        "rows": rows,
        "failed": summary["failed"],
        "missing": summary["missing"],
    }


def deviations(prepared: Prepared) -> list[str]:
    """What sets the training apart from the published protocol, each as "epochs 20 instead of 200"."""
    asked, usual = prepared.recipe.to_json(), LDAM.to_json()
    return [f"{k} {asked[k]} instead of {usual[k]}" for k in asked if k not in FREE and asked[k] != usual[k]]


def differences(row: dict[str, Any], error: float) -> dict[str, float | None]:
    """Ours less theirs, in points of error, for either of our numbers; negative is better than published."""
    return {kind: None if row[kind] is None else round(row[kind]["mean"] - error, 10) for kind in ("last", "best_test")}
