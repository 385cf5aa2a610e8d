"""Suspects beside cleanlab's: 20 % planted wrong labels on digits and three tables, 5 seeds.

Digits, mammography and wine quality are made long-tailed at ratio 50; ecoli keeps the classes that it has. Mammography
has 500 rows of its large class (10 of the rare one, beside 100 wrong ones), and once more 5000.
Wrong labels are planted on the training rows: symmetric (any other class) and proportional (other classes by their
sizes). One method is trained in five folds. Its out-of-sample probabilities go to the rules of cleanlab 2.9
(`longtail.labels.rules`, whose equality with the package is checked here where it is installed) and to ours; ours also
with the margins of the same trainings. Counts are summed over seeds before precision and recall are divided; average
precision and AUROC are means over seeds, of the ranking by self-confidence (cleanlab's usual score) and by ours.

Two further lines take the rules apart. `as many as cleanlab`: the rows that our scores rank highest, as many as
cleanlab's default rule names, so that only the rankings differ. `in random order`: cleanlab's default rule where every
row has the probabilities of another, so that it knows nothing: what its numbers owe to class sizes alone.
Without planted noise (rate 0, seeds of the folds) the number of rows that each rule names is counted.

The rule was chosen on other seeds of noise (100 to 119) of the same data, at other rates and ratios, on abalone and on
Gaussian classes; its interval for the temperature, its test and its threshold 1/2 have the usual constants.
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
    "mammography-5000": ("mammography.csv", {"ratio": 50, "largest": 5000}),
    "winequality-white": ("winequality-white.csv", {"ratio": 50, "largest": 200}),
}
PAIRS = ("digits:ce", "digits:logistic", *(f"{name}:logistic" for name in TABLES))
CLEANLAB = ("prune_by_noise_rate", "both", "confident_learning")
DEFAULT = f"cleanlab {CLEANLAB[0]}"
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
    order = np.random.default_rng(0).permutation(len(labels))
    found[f"{DEFAULT}, in random order"] = (
        rules.wrong_labels(labels, filled[order], CLEANLAB[0]), -quality.self_confidence(labels, filled[order]),
    )  # fmt: skip
    alone = lt.labels.judged(
        labels, Evidence(evidence.probabilities, evidence.fold), [one.name for one in result.classes]
    )
    found["longtail, probabilities alone"] = named(alone)
    if evidence.margins is not None:
        found["longtail, with margins"] = named(result)
    scores = np.nan_to_num(result.scores)
    highest = np.argsort(-scores, kind="stable")[: int(found[DEFAULT][0].sum())] if scores.any() else []
    found["longtail, as many as cleanlab"] = (np.isin(np.arange(len(labels)), highest), scores)
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
    silent = 0
    for seed in range(seeds):
        noise = f"{kind}:{rate},seed={seed}"
        result = lt.labels.suspects(*places, method=method, noise=noise, **options)
        wrong = result.truth != result.labels
        silent += bool(np.isnan(result.scores).all())
        for rule, (flagged, scores) in flags(result).items():
            for group, numbers in counted(result, flagged).items():
                own = sums.setdefault(rule, {})
                own[group] = own.get(group, np.zeros(3, dtype=int)) + np.array(numbers)
            area = average_precision_score(wrong, scores), roc_auc_score(wrong, scores)
            ranking.setdefault(rule, []).append((float(area[0]), float(area[1])))
        print(f"{name} {method} {noise}", flush=True)
    found = {rule: line(sums[rule], ranking[rule]) for rule in sums}
    return {"data": name, "method": method, "noise": kind, "silent": silent, "rules": found}


def unplanted(name: str, method: str, seeds: int, arguments: Any) -> dict[str, Any]:
    """Return how many rows every rule names where no wrong label is planted, over seeds of the folds."""
    places, options = arguments
    total, named_rows = 0, dict[str, int]()
    for seed in range(seeds):
        result = lt.labels.suspects(*places, method=method, seed=seed, **options)
        total += len(result.scores)
        for rule, (flagged, _) in flags(result).items():
            named_rows[rule] = named_rows.get(rule, 0) + int(flagged.sum())
    print(f"{name} {method} without noise", flush=True)
    return {"data": name, "method": method, "rows": total, "named": named_rows}


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


def table(results: list[dict[str, Any]], clean: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return the results as Markdown: precision / recall / F1 in percent."""
    parts = [
        "# Suspects beside cleanlab's rules on the same probabilities",
        "20 % planted wrong labels. Cells: precision / recall / F1 in percent, counts summed over seeds; AP and AUROC "
        "of the ranking. Groups are by given labels; `-` where nothing is wrong or named.",
        "`as many as cleanlab`: the highest by our score, so many as cleanlab's default names. `in random order`: "
        "every row has the probabilities of another, so that the rule knows nothing of any row.",
        f"Made by `{machine['command']}`.",
    ]
    for one in results:
        names = list(next(iter(one["rules"].values()))["groups"])
        lines = [["rule", *names, "AP", "AUROC"]]
        for rule, found in one["rules"].items():
            cells = [cell(found["groups"][group]) for group in names]
            lines.append([rule, *cells, f"{found['average_precision']:.3f}", f"{found['auroc']:.3f}"])
        parts += [
            f"## {one['data']}, {one['noise']}, {one['method']}"
            + (f" (longtail is silent in {one['silent']} of the seeds)" if one["silent"] else ""),
            markdown_table(lines, "<" + ">" * (len(names) + 2)),
        ]
    parts += ["## Without planted noise: rows named, in percent of all", false_alarms(clean)]
    return "\n\n".join(parts) + "\n"


def false_alarms(clean: list[dict[str, Any]]) -> str:
    names = [DEFAULT, *(f"cleanlab {rule}" for rule in CLEANLAB[1:]), "longtail"]
    lines = [["data", *names]]
    for one in clean:
        best = "longtail, with margins" if "longtail, with margins" in one["named"] else "longtail, probabilities alone"
        shares = [100 * one["named"][rule] / one["rows"] for rule in (*names[:-1], best)]
        lines.append([f"{one['data']}, {one['method']}", *(f"{share:.1f}" for share in shares)])
    return markdown_table(lines, "<" + ">" * len(names))


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
    results, clean = [], []
    for name, method in (pair.split(":") for pair in options.pairs.split(",")):
        arguments = data_of(name, options.tables)
        if arguments is None:
            print(f"{name}: absent, left out")
            continue
        results += [measured(name, method, kind, options.seeds, arguments, options.rate) for kind in KINDS]
        clean.append(unplanted(name, method, options.seeds, arguments))
    machine = facts()
    save(
        options.out,
        {"machine": machine, "seeds": options.seeds, "rate": options.rate, "results": results, "clean": clean},
    )
    write_text(options.out.with_suffix(".md"), table(results, clean, machine))


if __name__ == "__main__":
    main()
