"""Suspects beside cleanlab's: 20 % planted wrong labels on digits and three tables, 5 seeds.

Every data set is long-tailed at ratio 50; ecoli, whose classes are as unequal, is taken as it is.
Wrong labels are planted on the training rows: symmetric (any other class) and proportional (other classes by their
sizes). One method is trained in five folds. Its out-of-sample probabilities go to the rules of cleanlab 2.9
(`longtail.labels.rules`, whose equality with the package is checked here where it is installed) and to ours; ours also
with the margins of the same trainings. Counts are summed over seeds before precision and recall are divided; average
precision and AUROC are means over seeds, of the ranking by self-confidence (cleanlab's usual score) and by ours.

The rule was chosen on other seeds of noise (100 to 103) of the same data.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.facts.files import write_text
from longtail.facts.groups import groups
from longtail.labels import quality, rules
from longtail.labels.out_of_sample import Evidence
from longtail.report.text_table import markdown_table

KINDS, SMALL = ("symmetric", "proportional"), 20
TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "ecoli": ("ecoli.csv", {}),
    "mammography": ("mammography.csv", {"ratio": 50, "largest": 500}),
    "winequality-white": ("winequality-white.csv", {"ratio": 50, "largest": 200}),
}
PAIRS = ("digits:ce", "digits:logistic", *(f"{name}:logistic" for name in TABLES))
CLEANLAB = ("prune_by_noise_rate", "both", "confident_learning")
Counts = dict[str, list[int]]


def data_of(name: str, folder: Path | None) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return the arguments of `suspects` for a data set, its classes by size; None where it is absent."""
    if name == "digits":
        return ("digits",), {}
    file, shape = TABLES[name]
    if folder is None or not (folder / file).is_file():
        return None
    import pandas

    frame = pandas.read_csv(folder / file, header=None)
    order = {label: i for i, label in enumerate(frame.iloc[:, -1].value_counts(sort=True).index)}
    return (frame.iloc[:, :-1].to_numpy(np.float32), frame.iloc[:, -1].map(order).to_numpy()), {**shape, "name": name}


def flags(result: lt.labels.Suspects) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for every rule the rows that it names (N,), and the scores that rank them, higher for wrong."""
    labels, evidence = result.labels, result.evidence
    assert labels is not None
    assert evidence is not None
    seen = ~np.isnan(evidence.probabilities).any(1)
    given = np.eye(evidence.probabilities.shape[1])[labels]  # as CleanLearning: such a row is never named
    filled = np.where(seen[:, None], evidence.probabilities, given)
    found = {
        f"cleanlab {rule}": (rules.wrong_labels(labels, filled, rule), -quality.self_confidence(labels, filled))
        for rule in CLEANLAB
    }
    check_cleanlab(labels, filled, {rule: found[f"cleanlab {rule}"][0] for rule in CLEANLAB})
    alone = lt.labels.judged(
        labels, Evidence(evidence.probabilities, evidence.fold), [one.name for one in result.classes]
    )
    found["longtail, probabilities alone"] = named(alone)
    if evidence.margins is not None:
        found["longtail, with margins"] = named(result)
    return found


def named(result: lt.labels.Suspects) -> tuple[np.ndarray, np.ndarray]:
    return np.isin(result.index, [one.row for one in result.rows]), np.nan_to_num(result.scores)


def check_cleanlab(labels: np.ndarray, probabilities: np.ndarray, ours: dict[str, np.ndarray]) -> None:
    """Raise AssertionError where the installed cleanlab names other rows."""
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError:
        return
    for rule, mask in ours.items():
        assert np.array_equal(find_label_issues(labels, probabilities, filter_by=rule, n_jobs=1), mask), rule


def counted(result: lt.labels.Suspects, flagged: np.ndarray) -> Counts:
    """Return hits, named and wrong rows for every group of given labels."""
    assert result.labels is not None
    wrong, sizes = result.truth != result.labels, np.bincount(result.labels, minlength=len(result.classes))
    split = groups(sizes)
    members = {"all": range(len(sizes)), "many": split.many, "medium": split.medium, "few": split.few}
    parts = {group: np.isin(result.labels, list(some)) for group, some in members.items()}
    parts[f"classes below {SMALL} rows"] = sizes[result.labels] < SMALL
    return {
        group: [int((flagged & wrong & own).sum()), int((flagged & own).sum()), int((wrong & own).sum())]
        for group, own in parts.items()
    }


def measured(name: str, method: str, kind: str, seeds: int, arguments: Any, rate: float) -> dict[str, Any]:
    """Return the sums and means over seeds for every rule."""
    sums: dict[str, dict[str, np.ndarray]] = {}
    ranking: dict[str, list[tuple[float, float]]] = {}
    places, options = arguments
    for seed in range(seeds):
        noise = f"{kind}:{rate},seed={seed}"
        result = lt.labels.suspects(*places, method=method, noise=noise, **options)
        wrong = result.truth != result.labels
        for rule, (flagged, scores) in flags(result).items():
            for group, numbers in counted(result, flagged).items():
                own = sums.setdefault(rule, {})
                own[group] = own.get(group, np.zeros(3, dtype=int)) + np.array(numbers)
            area = average_precision_score(wrong, scores), roc_auc_score(wrong, scores)
            ranking.setdefault(rule, []).append((float(area[0]), float(area[1])))
        print(f"{name} {method} {noise}", flush=True)
    return {"data": name, "method": method, "noise": kind, "rules": {r: line(sums[r], ranking[r]) for r in sums}}


def line(sums: dict[str, np.ndarray], ranking: list[tuple[float, float]]) -> dict[str, Any]:
    share: Callable[[int, int], float | None] = lambda hits, of: None if of == 0 else hits / of  # noqa: E731
    found = {
        group: {
            "precision": share(int(hits), int(flagged)), "recall": share(int(hits), int(wrong)),
            "f1": share(2 * int(hits), int(flagged + wrong)), "named": int(flagged), "wrong": int(wrong),
        }
        for group, (hits, flagged, wrong) in sums.items()
    }  # fmt: skip
    mean = np.mean(ranking, axis=0)
    return {"groups": found, "average_precision": float(mean[0]), "auroc": float(mean[1])}


def table(results: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return the results as Markdown: precision / recall / F1 in percent."""
    parts = [
        "# Suspects beside cleanlab's rules on the same probabilities",
        "20 % planted wrong labels. Cells: precision / recall / F1 in percent, counts summed over seeds; AP and AUROC "
        "of the ranking. Groups are by given labels; `-` where nothing is wrong or named.",
        f"Made by `{machine['command']}`.",
    ]
    for one in results:
        names = list(next(iter(one["rules"].values()))["groups"])
        lines = [["rule", *names, "AP", "AUROC"]]
        for rule, found in one["rules"].items():
            cells = [cell(found["groups"][group]) for group in names]
            lines.append([rule, *cells, f"{found['average_precision']:.3f}", f"{found['auroc']:.3f}"])
        parts += [
            f"## {one['data']}, {one['noise']}, {one['method']}",
            markdown_table(lines, "<" + ">" * (len(names) + 2)),
        ]
    return "\n\n".join(parts) + "\n"


def cell(found: dict[str, Any]) -> str:
    numbers = [found[name] for name in ("precision", "recall", "f1")]
    return "-" if None in numbers else " / ".join(f"{100 * one:.0f}" for one in numbers)


def main() -> None:
    parser = argument_parser(__doc__, "suspects/suspects.json")
    parser.add_argument("--tables", type=Path, help="folder with ecoli.csv, mammography.csv, winequality-white.csv")
    parser.add_argument("--pairs", default=",".join(PAIRS), help="which data:method pairs, all by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.2, help="share of wrong labels")
    options = parser.parse_args()
    results = []
    for name, method in (pair.split(":") for pair in options.pairs.split(",")):
        arguments = data_of(name, options.tables)
        if arguments is None:
            print(f"{name}: absent, left out")
            continue
        results += [measured(name, method, kind, options.seeds, arguments, options.rate) for kind in KINDS]
    machine = facts()
    save(options.out, {"machine": machine, "seeds": options.seeds, "rate": options.rate, "results": results})
    write_text(options.out.with_suffix(".md"), table(results, machine))


if __name__ == "__main__":
    main()
