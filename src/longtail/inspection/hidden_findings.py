"""The findings on rows without labels and on candidate sets."""

from __future__ import annotations

from longtail.inspection.sentences import Document, Found, plural, share
from longtail.report.printable import shown

FEW_SIZES = 8
"""Of at most so many sizes of candidate sets the rows are listed."""

READINGS = {"em": "EM", "mean_probability": "mean probability", "argmax": "arg-max"}
"""Key of a model's class shares -> its name."""


def hidden_label_findings(document: Document) -> list[Found]:
    """Return code and sentence per problem of hidden labels."""
    lines: list[Found] = []
    unlabeled, candidates = document["unlabeled"], document["candidates"]
    if unlabeled is not None and (tested := unlabeled["tested"]):
        lines.append(
            (
                "LT013",
                f"{plural(tested, 'test row is', 'test rows are')} among the rows without labels too "
                f"({share(tested, sum(document['test_rows_by_class']))} of the test part), so "
                "training sees these inputs",
            )
        )
    if (shares := document["class_shares"]) is not None and shares["verdict"] == "differ":
        lines.append(
            (
                "LT014",
                f"by the model, the {shares['rows']:,} rows without labels have other class shares than the labels: "
                + "total variation distance "
                + ", ".join(f"{shares['distances'][key]:.2f} ({name})" for key, name in READINGS.items()),
            )
        )
    return lines if candidates is None else [*lines, *_candidates(candidates)]


def _candidates(candidates: Document) -> list[Found]:
    lines: list[Found] = []
    sizes = candidates["sizes"]
    by_size = ", ".join(f"{size}: {rows:,}" for size, rows in sizes.items())
    lines.append(
        (
            "LT015",
            f"the {sum(sizes.values()):,} training rows have {candidates['mean']:.2f} candidates on average, from "
            f"{min(map(int, sizes))} to {max(map(int, sizes))}; the class of {candidates['known']:,} is known"
            + (f" (rows by size: {by_size})" if len(sizes) <= FEW_SIZES else ""),
        )
    )
    lines += [("LT016", sentence) for sentence in _always_with(candidates["always_with"])]
    if candidates["full"]:
        rows = plural(candidates["full"], "row names", "rows name")
        lines.append(("LT017", f"{rows} every class as a candidate, from which nothing can be learnt"))
    return lines


def _always_with(pairs: list[Document]) -> list[str]:
    """Return the sentence on classes that are candidates only beside a certain other one, [] without any."""
    if not pairs:
        return []
    names = list(dict.fromkeys(pair["class"] for pair in pairs))
    one = pairs[0]
    return [
        f"{plural(len(names), 'class is a candidate', 'classes are candidates')} only beside a certain other one, for "
        f"instance all {one['rows']:,} sets with '{shown(one['class'])}' also name '{shown(one['other'])}'; no method "
        "can tell such a class from the other"
    ]
