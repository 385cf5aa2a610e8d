"""How papers on long-tailed encoders evaluate, as named sets of probes, and what of each cannot be had here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longtail.facts.messages import quoted
from longtail.learners.probes import DEFAULT_PROBE, PROBES, Probe, probe

OURS = "ours"
ASPECTS = ("trained on", "labels", "few labels", "classifier", "features", "neighbours", "std of groups")
"""What protocols differ in, as the rows of a table."""


@dataclass(frozen=True)
class Protocol:
    """A way to evaluate encoders.

    Args:
        paper: whose it is.
        probes: their names; the first is that of the verdict.
        says: what the paper and its code do, in the order of `ASPECTS`.
        otherwise: what is done in another way here, as sentences.
    """

    paper: str
    probes: tuple[str, ...]
    says: tuple[str, ...]
    otherwise: tuple[str, ...] = ()


_ONE_CUT = "One cut of the training rows, by seed 0, in place of the lists of images of the released code"
PROTOCOLS = {
    OURS: Protocol(
        "longtail",
        tuple(PROBES),
        (
            "the long-tailed rows",
            "the long-tailed rows",
            "as many as the smallest class has, of the long-tailed rows",
            "logistic regression, C = 1, standardised features",
            "extracted once, not augmented",
            "k = 10 and 1, features of length 1, long-tailed rows",
            "both",
        ),
    ),
    "sdclr": Protocol(
        "Jiang et al. 2021",
        ("full-sgd@live", "few-shot-sgd@live"),
        (
            "9,754 rows of CIFAR-100, 5 splits",
            "40,000 rows (CIFAR-10: 45,000); 5,000 others choose the epoch",
            "4 a class of CIFAR-100, 45 of CIFAR-10, of the long-tailed rows",
            "SGD, learning rate 30, batch 128 (ImageNet: 512), 30 epochs, 100 on few labels; best epoch on validation "
            "rows",
            "anew in every epoch, random crop and flip",
            "none",
            "population",
        ),
        (
            "The classifier of the last epoch, not of the best one on validation rows",
            f"{_ONE_CUT}, which has 5 splits",
            "Full labels are all training rows before the cut (less those of --val)",
            "Few labels are as many a class as the smallest has, which are 4 and 45 in theirs",
        ),
    ),
    "bcl": Protocol(
        "Zhou et al. 2022",
        ("full-adam", "full-few-shot-100x5-adam", "full-few-shot-50x5-adam"),
        (
            "9,754 rows of CIFAR-100, split 1 shown",
            "40,000 rows",
            "100 and 50 a class, five draws averaged",
            "Adam, 1e-2 to 1e-6, weight decay 5e-6, batch 1000, 500 epochs, last epoch",
            "extracted once, not augmented",
            "none",
            "population",
        ),
        (
            f"{_ONE_CUT}",
            "Full labels are all training rows before the cut (less those of --val), and few labels are drawn from "
            "these by seeds 0 to 4, not by their lists",
        ),
    ),
    "gh": Protocol(
        "Zhou et al. 2023",
        ("full-adam@once", "full-few-shot-100-adam@once", "knn-5-raw@once"),
        (
            "10,847, 12,608 or 19,573 rows of CIFAR-100",
            "all 50,000 rows",
            "100 a class (ImageNet-LT, Places-LT)",
            "that of BCL",
            "extracted once, random crop and flip",
            "k = 5, features as they are (in the code, not in its tables)",
            "sample (tables), population (code)",
        ),
        (
            "Few labels are drawn with seed 0, not by their lists",
            "Whose rows vote in the code's kNN is not known; here the long-tailed ones",
        ),
    ),
    "ts": Protocol(
        "Kukleva et al. 2023",
        ("svm@once", "few-shot-svm@once", "knn-10@once", "knn-1@once"),
        (
            "9,754 rows of CIFAR-100, splits 1 to 3",
            "the long-tailed rows",
            "as many as the smallest class has (4, 45; ImageNet-100: 12), seed 42",
            "linear SVM, C = 1, squared hinge, features of length 1",
            "extracted once; random crop and flip (CIFAR)",
            "k = 10 and 1, features of length 1, long-tailed rows",
            "none",
        ),
        (f"{_ONE_CUT}, of which it uses 3 splits", "Few labels are drawn with seed 0, not 42"),
    ),
}
"""Name -> protocol."""


def check_protocol(name: str) -> None:
    """Raise ValueError where there is no such protocol."""
    if name not in PROTOCOLS:
        raise ValueError(f"protocol (--protocol) must be one of {', '.join(PROTOCOLS)}, got {quoted(name)}")


def shown_probes(verdict: str, protocol: str) -> tuple[Probe, ...]:
    """Return the probes of a table: those of the protocol, and before them that of the verdict where it is another."""
    names = PROTOCOLS[protocol].probes
    return tuple(map(probe, names if verdict in names else (verdict, *names)))


def chosen_probes(verdict: str | None, protocol: str | None) -> tuple[Probe, ...]:
    """Return the probes of a table by what was asked for, the verdict's among them; None means the default.

    Raises:
        ValueError: no such probe or protocol.
    """
    check_protocol(protocol := protocol or OURS)
    return shown_probes(PROTOCOLS[protocol].probes[0] if verdict is None else probe(verdict).name, protocol)


def check_used(verdict: str, protocol: str, task: str) -> None:
    """Raise ValueError where a probe or a protocol is named and the task has none."""
    if task == "self-supervised":
        return
    for option, value, default in (("protocol", protocol, OURS), ("probe", verdict, DEFAULT_PROBE)):
        if value != default:
            raise ValueError(
                f"{option} (--{option}) must be left out where methods classify themselves, got {value!r} for a {task} "
                "task; probes are for self-supervised methods"
            )


def protocol_table() -> list[list[str]]:
    """Return how the protocols differ, the header first: a row for each of `ASPECTS`."""
    head = ["", *(f"{name} ({one.paper})" if name != OURS else name for name, one in PROTOCOLS.items())]
    lines = [[aspect, *(one.says[i] for one in PROTOCOLS.values())] for i, aspect in enumerate(ASPECTS)]
    return [head, *lines, ["probes", *(", ".join(one.probes) for one in PROTOCOLS.values())]]


def differences(name: str) -> list[str]:
    """Return what a table says of a protocol, in lines: how the paper evaluates, and what is done otherwise here.

    Args:
        name: of the protocol; [] for ours.
    """
    if name == OURS:
        return []
    one, ours = PROTOCOLS[name], PROTOCOLS[OURS]
    others = ", ".join(other for other in PROTOCOLS if other not in (name, OURS))
    return [
        f"Protocol {name}, as in {one.paper}, other than ours and than {others}:",
        *(
            f"- {aspect}: {theirs}; ours: {own}"
            for aspect, theirs, own in zip(ASPECTS, one.says, ours.says, strict=True)
            if theirs != own
        ),
        f"Not as in {one.paper}:",
        *(f"- {sentence}" for sentence in one.otherwise),
    ]


def check_rows(probes: Sequence[Probe], cut: bool) -> None:
    """Raise ValueError where a probe needs the rows that a long-tailed cut left out, and there are none.

    Args:
        probes: of the table.
        cut: whether these rows are at hand.
    """
    full = [one.name for one in probes if one.full]
    if full and not cut:
        raise ValueError(
            f"probe {full[0]} needs the training rows that a long-tailed cut left out, got data that were not cut; "
            f"choose {full[0].removeprefix('full-')}, or cut them with --ratio 100 (ratio=100; data.load also needs "
            "keep_cut=True)"
        )
