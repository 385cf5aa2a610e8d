"""The ledger's tables, read and checked: every error names its file, its line and the way out."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from longtail.facts.ledger.protocol import SELECTED, Protocol, reasons

DATA = ("cifar10", "cifar100")
KINDS = ("lt", "step")
RATIOS = (10, 20, 50, 100, 200)
"""Imbalance ratios that papers report; 1, all images, is published beside them and is no benchmark."""
AMBIGUITIES = {"cifar10": ("0.3", "0.5", "0.7"), "cifar100": ("0.03", "0.05", "0.07")}
"""Data -> chances of other classes to be candidates, of benchmarks with candidate sets."""
AMBIGUOUS = tuple(
    f"{data}-lt-{ratio}-ambiguity-{chance}"
    for data, chances in AMBIGUITIES.items()
    for ratio in (50, 100)
    for chance in chances
)
"""Benchmarks with candidate sets, as in cifar10-lt-100-ambiguity-0.5."""
FEW_LABELS = (
    *(f"cifar10-lt-{ratio}-labeled-0.1" for ratio in (50, 100, 200)),
    *(f"cifar10-lt-{ratio}-labeled-500-unlabeled-4000{others}" for ratio, others in (
        (100, ""), (100, "-reversed"), (150, ""),
    )),
    "cifar10-lt-100-labeled-1000-unlabeled-4000",
    *(f"cifar10-lt-{ratio}-labeled-1500-unlabeled-3000{others}" for ratio, others in (
        (50, ""), (100, ""), (100, "-ratio-1"), (100, "-ratio-50"), (100, "-ratio-150"), (100, "-reversed"), (150, ""),
    )),
    *(f"cifar100-lt-{ratio}-labeled-150-unlabeled-300{others}" for ratio, others in (
        (10, ""), (10, "-reversed"), (15, ""), (20, ""), (50, ""), (100, ""),
    )),
    "cifar100-lt-20-labeled-200-unlabeled-300",
)  # fmt: skip
"""Benchmarks with rows without labels, as in cifar10-lt-100-labeled-1500-unlabeled-3000: so many rows of the largest
class with labels, and so many without, whose imbalance ratio is that of the labelled rows, another, or reversed."""
NOISY = (
    *(f"{data}-lt-{ratio}-noise-proportional-{rate}" for data in DATA for ratio in (10, 100) for rate in (
        "0.1", "0.2", "0.3", "0.4", "0.5",
    )),
    *(f"{data}-noise-{kind}-{rate}" for data in DATA for kind, rates in (
        ("asymmetric", ("0.2", "0.3", "0.4")), ("symmetric", ("0.2", "0.4", "0.6", "0.8")),
    ) for rate in rates),
)  # fmt: skip
"""Benchmarks with wrong labels, as in cifar10-lt-100-noise-proportional-0.3, and with all images of CIFAR, as in
cifar10-noise-symmetric-0.4: kind and rate of `--noise`."""
OTHERS = ("pascal-voc-candidates", "clothing1m")
"""Data of which numbers are published, and which `longtail reproduce` does not have."""
NAMES = (
    *(f"{data}-{kind}-{ratio}" for data in DATA for kind in KINDS for ratio in (1, *RATIOS)),
    *AMBIGUOUS, *FEW_LABELS, *NOISY, *OTHERS,
)  # fmt: skip
PROTOCOL = tuple(field.name for field in fields(Protocol))
COLUMNS = ("benchmark", "method", "variant", "source", "protocol", "changes", "error", "std", "note")
REQUIRED = ("method", "source", "protocol", "error")


@dataclass(frozen=True)
class Published:
    """One published number.

    Args:
        benchmark: as in cifar10-lt-100; with candidate sets, few or wrong labels as in `AMBIGUOUS`, `FEW_LABELS`
            and `NOISY`.
        method: canonical spec of the method; it need not be one of the catalogue.
        variant: knobs that are not the method's defaults, as in "gamma 0.5"; empty where they are, or are unknown.
        source: paper and table, README or logs.
        error, std: top-1 error in percent on the balanced test set, and its standard deviation.
        note: whatever else is known of this number.
        protocol: how it was obtained: that of its source, with the changes of its row.
    """

    benchmark: str
    method: str
    variant: str
    source: str
    error: float
    std: float | None
    note: str
    protocol: Protocol

    def not_comparable(self, ours: Protocol) -> list[str]:
        """Return why the number is not comparable with ours; empty where it is."""
        return [*([self.variant] if self.variant else []), *reasons(self.protocol, ours)]


def read_protocols(text: str) -> dict[str, Protocol]:
    """Return the protocols by their keys.

    Raises:
        ValueError: another column, a key twice or none, a selection that is unknown.
    """
    found: dict[str, Protocol] = {}
    for where, row in _rows("protocols.csv", text, PROTOCOL):
        if not row["key"] or row["key"] in found:
            raise ValueError(f"{where}: key must be given and be new, got {row['key']!r}; name the protocol otherwise")
        found[row["key"]] = _selected(where, Protocol(**row))
    return found


def read_published(text: str, protocols: Mapping[str, Protocol]) -> tuple[Published, ...]:
    """Return the published numbers in the order of the file.

    Raises:
        ValueError: another column, a cell that is missing, an unknown benchmark, protocol or field, an error outside
            0..100, or one number twice (same benchmark, method, variant, source and protocol).
    """
    found: dict[tuple[object, ...], str] = {}
    rows = []
    for where, row in _rows("published.csv", text, COLUMNS):
        published = _published(where, row, protocols)
        identity = (*(row[name] for name in ("benchmark", "method", "variant", "source")), published.protocol)
        if identity in found:
            raise ValueError(f"{where}: the number of {found[identity]} once more; delete one, or say what differs")
        found[identity] = where
        rows.append(published)
    return tuple(rows)


def _rows(file: str, text: str, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Every row with its place, as in "published.csv, line 12"."""
    lines = csv.DictReader(text.splitlines())
    if tuple(lines.fieldnames or ()) != columns:
        raise ValueError(
            f"{file}: columns must be {', '.join(columns)}, got {lines.fieldnames}; correct the first line"
        )
    for row in lines:
        where = f"{file}, line {lines.line_num}"
        if None in row or None in row.values():
            raise ValueError(f"{where}: must have {len(columns)} cells; quote a cell that has a comma")
        yield where, row


def _published(where: str, row: dict[str, str], protocols: Mapping[str, Protocol]) -> Published:
    for name in REQUIRED:
        if not row[name]:
            raise ValueError(f"{where}: {name} must be given, got an empty cell; fill it in")
    if row["benchmark"] not in NAMES:
        raise ValueError(f"{where}: benchmark must be as in cifar10-lt-100, got {row['benchmark']!r}; see RATIOS")
    if row["protocol"] not in protocols:
        raise ValueError(f"{where}: protocol must be a key of protocols.csv, got {row['protocol']!r}; add it there")
    return Published(
        row["benchmark"], row["method"], row["variant"], row["source"], _percent(where, "error", row["error"]),
        _percent(where, "std", row["std"]) if row["std"] else None, row["note"],
        _selected(where, _changed(where, protocols[row["protocol"]], row["changes"])),
    )  # fmt: skip


def _percent(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 100:
        raise ValueError(f"{where}: {name} must be a number between 0 and 100, in percent, got {text!r}; correct it")
    return value


def _changed(where: str, protocol: Protocol, changes: str) -> Protocol:
    """The protocol with a row's changes, as in "epochs=400; width="; an empty value makes the field unknown."""
    given = dict(change.partition("=")[::2] for change in changes.split("; ")) if changes else {}
    for name in given:
        if name not in PROTOCOL or name == "key":
            raise ValueError(f"{where}: changes must name fields of a protocol, got {name!r}; as in epochs=400; width=")
    return replace(protocol, **given)


def _selected(where: str, protocol: Protocol) -> Protocol:
    if protocol.select not in ("", *SELECTED):
        rule = f"select must be empty or one of {', '.join(SELECTED)}"
        raise ValueError(f"{where}: {rule}, got {protocol.select!r}; leave it empty where it is not known")
    return protocol
