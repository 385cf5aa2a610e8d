"""What was found, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longtail.inspection.identifiers import NAMES
from longtail.inspection.shape import FEW_TESTS
from longtail.metrics import wilson
from longtail.report.printable import listed, shown

Found = dict[str, Any]


def plural(count: int, one: str = "class has", many: str = "classes have") -> str:
    """As in "1 class has" and "2 classes have"."""
    return f"{count:,} {one if count == 1 else many}"


def findings(found: Found) -> list[str]:
    """Sentences about what was found; empty where there is nothing to say."""
    return [*_rows(found), *_splits(found), *_columns(found), *_labels(found), *_measurable(found)]


def _rows(found: Found) -> list[str]:
    lines = []
    if n := found["unreadable"]["files"]:
        lines.append(f"{plural(n, 'file', 'files')} cannot be read: {listed(found['unreadable']['examples'])}")
    copies, clash = found["duplicates"], found["conflicts"]
    naming = naming_rows(found)
    but = f", not looking at {listed(naming)}" if naming else ""
    if copies["rows"]:
        lines.append(
            f"{plural(copies['rows'], 'row is a copy', 'rows are copies')} of another "
            f"({_share(copies['rows'], found['rows'])} of all; {plural(copies['sets'], 'set', 'sets')} of equal rows, "
            f"the largest of {copies['largest']:,}{but}), for instance {_set(copies['examples'][0])}"
        )
    if clash["rows"]:
        first = clash["examples"][0]
        rows = plural(clash["rows"], "row", "rows")
        lines.append(
            f"{rows} in {plural(clash['sets'], 'set', 'sets')} of equal rows carry different labels, for instance "
            f"{_set(first['rows'])} are {listed(first['classes'])}; whoever sees only these columns or pixels must be "
            f"wrong on at least {plural(clash['errors'], 'row', 'rows')}"
        )
    return lines


def _splits(found: Found) -> list[str]:
    lines = []
    leak, groups = found["leaks"], found["group_leaks"]
    if leak["test"]:
        where = "the declared split" if leak["declared"] else "the split at hand"
        example = f", for instance {_set(leak['examples'][0])}" if leak["examples"] else ""
        lines.append(
            f"{plural(leak['test'], 'test row stands', 'test rows stand')} in the training part too, by {where} "
            f"({_share(leak['test'], leak['test_rows'])} of the test part){example}"
        )
    if leak["val"]:
        lines.append(
            f"{plural(leak['val'], 'validation row stands', 'validation rows stand')} in the training part too"
        )
    if groups["groups"]:
        lines.append(
            f"{plural(groups['groups'], 'group stands', 'groups stand')} in two parts of the declared split, for "
            f"instance {_set(groups['examples'][0])}"
        )
    return lines


def _columns(found: Found) -> list[str]:
    columns = found["columns"] or {"constant": [], "leaking": [], "identifying": []}
    named = {c["name"] for c in columns["identifying"]}
    lines = identified(columns["identifying"])
    if still := columns["constant"]:
        lines.append(
            f"{plural(len(still), 'column holds', 'columns hold')} one value in at least 99.9 % of the rows: "
            f"{listed([c['name'] for c in still])}"
        )
    if telling := [c for c in columns["leaking"] if c["name"] not in named]:  # of the others it is said already
        lines.append(
            f"{plural(len(telling), 'column tells', 'columns tell')} the class alone: "
            + ", ".join(f"'{shown(c['name'])}' ({100 * c['balanced_accuracy']:.1f} %)" for c in telling[:5])
            + " mean recall on rows held out"
        )
    return lines


def identified(flagged: list[Found]) -> list[str]:
    """A sentence on each column that counts or names the rows or rises with them; the first five are named."""
    lines = [f"column '{shown(c['name'])}' {c['sentence']}" for c in flagged[:5]]
    return (
        [*lines, f"and {plural(len(flagged) - 5, 'more such column', 'more such columns')}"] if flagged[5:] else lines
    )


def naming_rows(found: Found) -> list[str]:
    """The columns that count or name rows, by which copies are not told apart."""
    return [c["name"] for c in (found["columns"] or {}).get("identifying", []) if c["kind"] in NAMES]


def _labels(found: Found) -> list[str]:
    lines = [f"{listed(t['names'])} are one class name but for {t['differ_in']}" for t in found["labels"]["twins"][:5]]
    if more := len(found["labels"]["twins"]) - 5:
        lines += [f"and {more} more such sets of class names"] if more > 0 else []
    if hidden := found["labels"]["unseen"]:
        lines.append(
            f"{plural(len(hidden), 'class name has', 'class names have')} white space at an end or invisible "
            f"characters: {listed(hidden)}"
        )
    return lines


def _measurable(found: Found) -> list[str]:
    lines, classes = [], found["classes"]
    tested = dict(zip(classes, found["test_rows_by_class"], strict=True))
    if single := found["singletons"]:
        lines.append(
            f"{plural(len(single))} a single example, which can be learnt from or tested with, not both: "
            f"{listed(single)}"
        )
    if lone := [n for n, size in zip(classes, found["class_counts"], strict=True) if size == 1 and n not in single]:
        lines.append(f"{plural(len(lone))} a single training example: {listed(lone)}")
    told = hardly_tested(tested)
    return [*lines, told] if told else lines


def hardly_tested(tested: Mapping[str, int]) -> str | None:
    """The sentence on classes with fewer than 10 test examples, of the test examples by class; None without any."""
    small = {name: n for name, n in tested.items() if 0 < n < FEW_TESTS}
    if not small:
        return None
    worst = min(small, key=small.__getitem__)
    low, high = wilson(small[worst] / 2, small[worst])
    return (
        f"{plural(len(small))} fewer than {FEW_TESTS} test examples: a recall of one half measured on the "
        f"{small[worst]} of '{shown(worst)}' could be anything from {100 * float(low):.0f} to {100 * float(high):.0f} %"
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.2g} %"


def _set(rows: list[str]) -> str:
    return " and ".join(shown(r) for r in rows[:3]) + (" ..." if len(rows) > 3 else "")
