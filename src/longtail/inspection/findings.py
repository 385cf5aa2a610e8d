"""The findings of an inspection, in sentences; each belongs to a check of `inspection.checks`."""

from __future__ import annotations

from collections.abc import Mapping

from longtail.data.read.tables.missing import sentence_of
from longtail.inspection.hidden_findings import hidden_label_findings
from longtail.inspection.identifiers import NAMES
from longtail.inspection.sentences import Document, Found, plural, share
from longtail.inspection.shape import FEW_TESTS
from longtail.metrics import wilson
from longtail.report.printable import listed, shown


def found(document: Document) -> list[Found]:
    """Return code and sentence per problem; none where there is no problem."""
    return [
        *_rows(document), *_splits(document), *_columns(document), *_labels(document), *hidden_label_findings(document),
        *_class_sizes(document),
    ]  # fmt: skip


def _rows(document: Document) -> list[Found]:
    lines: list[Found] = []
    if n := document["unreadable"]["files"]:
        lines.append(
            ("LT001", f"{plural(n, 'file', 'files')} cannot be read: {listed(document['unreadable']['examples'])}")
        )
    copies, conflicts = document["duplicates"], document["conflicts"]
    ignored = identifier_names(document)
    but = f", ignoring {listed(ignored)}" if ignored else ""
    if copies["rows"]:
        lines.append(
            (
                "LT002",
                f"{plural(copies['rows'], 'row is a copy', 'rows are copies')} of another "
                f"({share(copies['rows'], document['rows'])} of all; {plural(copies['sets'], 'set', 'sets')} of equal "
                f"rows, the largest of {copies['largest']:,}{but}), for instance {_set(copies['examples'][0])}",
            )
        )
    if conflicts["rows"]:
        first = conflicts["examples"][0]
        rows = plural(conflicts["rows"], "row", "rows")
        lines.append(
            (
                "LT003",
                f"{rows} in {plural(conflicts['sets'], 'set', 'sets')} of equal rows carry different labels, for "
                f"instance {_set(first['rows'])} are {listed(first['classes'])}; a classifier of these columns or "
                f"pixels is wrong on at least {plural(conflicts['errors'], 'row', 'rows')}",
            )
        )
    return lines


def _splits(document: Document) -> list[Found]:
    lines: list[Found] = []
    leak, groups = document["leaks"], document["group_leaks"]
    if leak["test"]:
        where = "the declared split" if leak["declared"] else "the present split"
        example = f", for instance {_set(leak['examples'][0])}" if leak["examples"] else ""
        lines.append(
            (
                "LT004",
                f"{plural(leak['test'], 'test row is', 'test rows are')} in the training part too, by {where} "
                f"({share(leak['test'], leak['test_rows'])} of the test part){example}",
            )
        )
    if leak["val"]:
        lines.append(
            ("LT005", f"{plural(leak['val'], 'validation row is', 'validation rows are')} in the training part too")
        )
    if groups["groups"]:
        lines.append(
            (
                "LT006",
                f"{plural(groups['groups'], 'group is', 'groups are')} in two parts of the declared split, for "
                f"instance {_set(groups['examples'][0])}",
            )
        )
    return lines


def _columns(document: Document) -> list[Found]:
    columns = document["columns"] or {"constant": [], "leaking": [], "identifying": []}
    flagged = {c["name"] for c in columns["identifying"]}
    lines = [("LT007", sentence) for sentence in identifier_sentences(columns["identifying"])]
    lines += [("LT021", sentence_of(one)) for one in document["undeclared_missing"]]
    if constant := columns["constant"]:
        lines.append(
            (
                "LT008",
                f"{plural(len(constant), 'column holds', 'columns hold')} one value in at least 99.9 % of the rows: "
                f"{listed([c['name'] for c in constant])}",
            )
        )
    if leaking := [c for c in columns["leaking"] if c["name"] not in flagged]:
        lines.append(
            (
                "LT009",
                f"{plural(len(leaking), 'column alone predicts', 'columns alone predict')} the class: "
                + ", ".join(f"'{shown(c['name'])}' ({100 * c['balanced_accuracy']:.1f} %)" for c in leaking[:5])
                + " mean recall on held-out rows",
            )
        )
    return lines


def identifier_sentences(flagged: list[Document]) -> list[str]:
    """Return a sentence on each column that numbers, identifies or follows the rows, for the first five of them."""
    lines = [f"column '{shown(c['name'])}' {c['sentence']}" for c in flagged[:5]]
    return (
        [*lines, f"and {plural(len(flagged) - 5, 'more such column', 'more such columns')}"] if flagged[5:] else lines
    )


def identifier_names(document: Document) -> list[str]:
    """Return the columns that number or identify rows, which are ignored in the search for duplicates."""
    return [c["name"] for c in (document["columns"] or {}).get("identifying", []) if c["kind"] in NAMES]


def _labels(document: Document) -> list[Found]:
    lines = [
        ("LT010", f"{listed(t['names'])} are one class name but for {t['differ_in']}")
        for t in document["labels"]["twins"][:5]
    ]
    if (more := len(document["labels"]["twins"]) - 5) > 0:
        lines.append(("LT010", f"and {more} more such sets of class names"))
    if hidden := document["labels"]["unseen"]:
        lines.append(
            (
                "LT011",
                f"{plural(len(hidden), 'class name has', 'class names have')} white space at an end or invisible "
                f"characters: {listed(hidden)}",
            )
        )
    return [*lines, *(("LT012", sentence) for sentence in joined_names_sentence(document["labels"]["joined"]))]


def joined_names_sentence(joined: Document | None) -> list[str]:
    """Return the sentence on class names that join names of other classes, [] without any."""
    if joined is None:
        return []
    separator, count = joined["separator"], len(joined["names"])
    return [
        f"{plural(count, 'class name joins', 'class names join')} names of other classes: "
        f'{listed(joined["names"])}; where one of them is true, pass --candidates "{separator}" '
        f'(candidates="{separator}")'
    ]


def _class_sizes(document: Document) -> list[Found]:
    lines: list[Found] = []
    classes = document["classes"]
    tested = dict(zip(classes, document["test_rows_by_class"], strict=True))
    if single := document["singletons"]:
        lines.append(
            (
                "LT018",
                f"{plural(len(single))} a single example, which can be learnt from or tested with, not both: "
                f"{listed(single)}",
            )
        )
    sizes = dict(zip(classes, document["class_counts"], strict=True)) if document["counts_known"] else {}
    if lone := [name for name, size in sizes.items() if size == 1 and name not in single]:
        lines.append(("LT019", f"{plural(len(lone))} a single training example: {listed(lone)}"))
    sentence = few_tests_sentence(tested)
    return [*lines, ("LT020", sentence)] if sentence else lines


def few_tests_sentence(tested: Mapping[str, int]) -> str | None:
    """Return the sentence on classes with fewer than 10 test examples, from their number by class; None without any."""
    small = {name: n for name, n in tested.items() if 0 < n < FEW_TESTS}
    if not small:
        return None
    worst = min(small, key=small.__getitem__)
    low, high = wilson(small[worst] / 2, small[worst])
    return (
        f"{plural(len(small))} fewer than {FEW_TESTS} test examples: a recall of one half measured on the "
        f"{small[worst]} of '{shown(worst)}' could be anything from {100 * float(low):.0f} to {100 * float(high):.0f} %"
    )


def _set(rows: list[str]) -> str:
    return " and ".join(shown(r) for r in rows[:3]) + (" ..." if len(rows) > 3 else "")
