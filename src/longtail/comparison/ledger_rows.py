"""What a comparison measured, as rows that the ledger keeps: self-contained, with machine and command, no date."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from longtail.comparison.benchmarks import Benchmark
from longtail.runs.run import Run


def measured_rows(wanted: Benchmark, summary: dict[str, Any], out: Path, deviations: list[str]) -> list[dict[str, Any]]:
    """One row per method with finished runs; errors are top-1 on the balanced test part, in percent."""
    rows = []
    for compared in summary["rows"]:
        runs = [Run.load(out / run["folder"]) for run in compared["runs"]]
        row = {"benchmark": wanted.name, **_row(summary, compared, runs), "deviations": deviations}
        rows.append({**row, "command": command(wanted.name, summary, row)})
    return rows


def _row(summary: dict[str, Any], compared: dict[str, Any], runs: list[Run]) -> dict[str, Any]:
    looks = [evaluated_scores(run) for run in runs]
    counts = sorted({len(errors) for errors in looks})
    return {
        "method": compared["method"],
        "key": compared["key"],
        "epochs": summary["recipe"]["epochs"],
        "seeds": [run["seed"] for run in compared["runs"]],
        # under "own" a paper without changes of its own is trained with the common recipe
        "recipe": "own" if compared["recipe_changes"] else "common",
        "recipe_changes": compared["recipe_changes"],
        "threads": max(run.config["threads"] for run in runs),
        "precision": _all([run.config["precision"] for run in runs]),
        "last": _spread([errors[-1] for errors in looks]),
        # the records hold the scores of the network itself; a post-hoc rule decides otherwise
        "best_test": _spread([min(errors) for errors in looks]) if compared["retrains"] else None,
        "evaluations": counts[0] if len(counts) == 1 else counts,
        "seconds": compared["seconds"],
        "images_per_second": images_per_second(runs),
        "reuses": compared["reuses"],
        "machine": _all([_machine(run.config) for run in runs]),
        "cpu_flags": sorted({flag for run in runs for flag in run.config.get("machine", {}).get("flags", [])}),
    }


def error(accuracy: float) -> float:
    """Top-1 error in percent."""
    return 100.0 * (1.0 - accuracy)


def evaluated_scores(run: Run) -> list[float]:
    """The errors at every look at the test part, the final scores in the place of the last epoch's."""
    errors = [error(record["scores"]["accuracy"]) for record in run.records if "scores" in record]
    return [*errors[:-1], error(run.scores["accuracy"])]


def images_per_second(runs: list[Run]) -> float | None:
    """Training images per second of training, looks at the test part and predictions not counted."""
    records = [record for run in runs for record in run.records]
    seconds = sum(record["seconds"] for record in records)
    return sum(record["examples"] for record in records) / seconds if seconds > 0 else None


def command(name: str, summary: dict[str, Any], row: dict[str, Any]) -> str | None:
    """What gives a row again, the data folder left out; None where the command line has no word for its recipe."""
    if any(not told.startswith("epochs ") for told in row["deviations"]):
        return None
    recipe, method, looks = summary["recipe"], row["method"], row["evaluations"]
    words = ["longtail", "reproduce", name, "--methods", f'"{method}"' if "(" in method else method]
    words += ["--seeds", str(1 + max(row["seeds"])), "--epochs", str(row["epochs"])]
    words += ["--evaluations", str(looks if isinstance(looks, int) else max(looks))]
    words += ["--recipe", row["recipe"]] if row["recipe"] != "common" else []
    words += ["--precision", recipe["precision"]] if recipe["precision"] != "auto" else []
    return " ".join([*words, *(["--device", "cuda"] if "GPU " in row["machine"] else [])])


def _spread(values: list[float]) -> dict[str, float | None]:
    return {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}


def _machine(config: dict[str, Any]) -> str:
    facts = config.get("machine", {})
    cpu = f"{facts.get('cpu', 'unknown CPU')}, {facts.get('cores', '?')} cores"
    return f"GPU {facts['gpu']}, {cpu}" if "gpu" in facts else cpu


def _all(words: list[str]) -> str:
    """The word that all runs share, or every one of them where a folder was filled in several ways."""
    return " + ".join(dict.fromkeys(words))
