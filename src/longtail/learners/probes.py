"""Probes: classifiers on the features of a frozen encoder, by which encoders are compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from longtail.facts.messages import quoted
from longtail.learners.probe_fits import Features, bcl_descent, fit_linear, fit_svm, sdclr_descent
from longtail.models.heads import Neighbours

SEED = 0
"""Of the rows of few-shot probes, of descents and of augmented features: the same for every method and seed."""
ONCE, LIVE = "once", "live"
"""Augmented features: extracted once, or anew in every epoch of a descent."""
DESCENTS = ("sgd", "adam")

_NAME = re.compile(
    r"(?P<full>full-)?(?P<few>few-shot(?:-(?P<shots>[1-9]\d{0,5})(?:x(?P<draws>[2-9]|[1-9]\d))?)?)?"
    r"(?:(?(few)-)(?:(?P<kind>linear|svm|sgd|adam)|knn-(?P<k>[1-9]\d{0,5})(?P<raw>-raw)?))?(?:@(?P<views>once|live))?"
)
GRAMMAR = (
    "[full-][few-shot[-K[xDRAWS]]-]CLASSIFIER[@once|@live] with CLASSIFIER linear, svm, sgd, adam, knn-K or knn-K-raw"
)


@dataclass(frozen=True)
class Probe:
    """A classifier on frozen features.

    Args:
        kind: "linear" (logistic regression), "svm", "sgd" (SDCLR's), "adam" (BCL's) or "knn".
        neighbours: k of "knn"; `raw`: on features as they are, in place of features of length 1.
        few: whether it is fitted on equally many rows of each class: `shots` of them, or all of a class that has fewer;
            None for as many as the smallest class has.
        draws: how often these rows are drawn; what is measured is averaged over the draws.
        full: whether it is fitted on all rows that the long-tailed part was cut from, that part included.
        views: "" for features without augmentation, `ONCE` or `LIVE`.
    """

    kind: str = "linear"
    neighbours: int = 0
    raw: bool = False
    few: bool = False
    shots: int | None = None
    draws: int = 1
    full: bool = False
    views: str = ""

    @property
    def name(self) -> str:
        """Its name, without what goes without saying: "few-shot" is "few-shot-linear"."""
        shots = ("" if self.shots is None else f"-{self.shots}") + (f"x{self.draws}" if self.draws > 1 else "")
        kind = f"knn-{self.neighbours}{'-raw' if self.raw else ''}" if self.kind == "knn" else self.kind
        words = [*(["full"] if self.full else []), *([f"few-shot{shots}"] if self.few else [])]
        words += [] if self.few and kind == "linear" else [kind]
        return "-".join(words) + (f"@{self.views}" if self.views else "")

    @property
    def protocol(self) -> str:
        """What it does, in words."""
        rows = "all rows before the long-tailed cut" if self.full else "all training rows"
        if self.few:
            source = " before the long-tailed cut" if self.full else ""
            rows = f"as many rows{source} of each class as the smallest has"
            if self.shots is not None:
                rows = f"{self.shots} rows{source} of each class, or all of a class that has fewer"
            rows += f", drawn with seed {SEED}"
        if self.draws > 1:
            rows += f" to {SEED + self.draws - 1} and the results averaged"
        views = {
            "": "",
            ONCE: "; their features with the common augmentation, extracted once",
            LIVE: "; their features with the common augmentation, extracted anew in every epoch",
        }
        return f"{self._classifier()} {rows}{views[self.views]}"

    def _classifier(self) -> str:
        if self.kind == "knn":
            length = "features as they are" if self.raw else "features of length 1"
            vote = f"vote of the {self.neighbours} nearest" if self.neighbours > 1 else "class of the nearest"
            return f"{vote}, {length}, of"
        return {
            "linear": "logistic regression (scikit-learn, C = 1) on standardised features of",
            "svm": "linear SVMs (C = 1, squared hinge) on features of length 1 of",
            "sgd": f"linear by SGD (learning rate 30, batch 128, {100 if self.few else 30} epochs) on",
            "adam": "linear by Adam (learning rate 1e-2 to 1e-6, batch 1000, 500 epochs) on",
        }[self.kind]

    def note(self, counts: Sequence[float]) -> str | None:
        """Return what to know of its rows in a set with these class counts (C,); None where there is nothing."""
        if (voters := self._number(counts)) < self.neighbours:
            return f"all {voters:.9g} rows vote, which are fewer"
        less = sum(n < self.shots for n in counts) if self.shots is not None else 0
        return f"{less} of {len(counts)} classes have fewer than {self.shots} rows" if less else None

    def _number(self, counts: Sequence[float]) -> float:
        """Number of its rows in a set with these class counts."""
        most = (min(counts) if self.shots is None else self.shots) if self.few else max(counts)
        return sum(min(n, most) for n in counts)

    def rows(self, targets: Tensor, num_classes: int, draw: int = 0) -> Tensor | None:
        """Return the rows that it is fitted on, ascending, of those with these targets (N,); None for all."""
        return few_shot_rows(targets, num_classes, SEED + draw, self.shots) if self.few else None

    def head(self, rows: int) -> tuple[str, dict[str, Any]]:
        """Return the name of its head and further arguments, for this number of rows to fit it on."""
        if self.kind == "knn":
            return "neighbours", {"rows": rows, "k": self.neighbours, **({"unit": False} if self.raw else {})}
        return "unit-linear" if self.kind == "svm" else "linear", {}

    def fit(
        self, head: nn.Module, features: Tensor | Features, targets: Tensor, sample_weight: Tensor | None = None,
        draw: int = 0,
    ) -> None:  # fmt: skip
        """Fit its head on these rows, those of `rows`.

        Args:
            head: of `head`, changed.
            features, targets, sample_weight: of the rows, (N, D), (N,) and (N,) or None; features may depend on the
                epoch. Weights are not used by neighbours and by few-shot probes.
            draw: of the rows; it moves the seed of a descent, too.
        """
        if self.kind in DESCENTS:
            descent = sdclr_descent(self.few) if self.kind == "sgd" else bcl_descent()
            assert isinstance(head, nn.Linear)
            by_epoch = (lambda _: features) if isinstance(features, Tensor) else features
            descent.fit(head, by_epoch, targets, None if self.few else sample_weight, SEED + draw)
            return
        values = features if isinstance(features, Tensor) else features(0)
        if isinstance(head, Neighbours):
            head.fit(values, targets)
            return
        assert isinstance(head, nn.Linear)
        fit = fit_svm if self.kind == "svm" else fit_linear
        fit(head, values, targets, None if self.few else sample_weight)


def probe(name: str) -> Probe:
    """Return the probe of this name.

    [full-][few-shot[-K[xDRAWS]]-]CLASSIFIER[@once|@live], CLASSIFIER one of linear, svm, sgd, adam, knn-K, knn-K-raw

    Raises:
        ValueError: another name, or features extracted anew for a classifier that has no epochs.
    """
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None or not any(match[part] for part in ("few", "kind", "k")):
        raise ValueError(f"probe (--probe) must be {GRAMMAR}, got {quoted(name)}; linear is usual")
    shots, draws, kind = match["shots"], match["draws"], "knn" if match["k"] else match["kind"] or "linear"
    if match["views"] == LIVE and kind not in DESCENTS:
        raise ValueError(
            f"probe (--probe) must be sgd or adam for features extracted anew in every epoch, got {quoted(name)}; "
            "write @once"
        )
    return Probe(
        kind, int(match["k"] or 0), bool(match["raw"]), bool(match["few"]), None if shots is None else int(shots),
        int(draws or 1), bool(match["full"]), match["views"] or "",
    )  # fmt: skip


PROBES = {name: probe(name) for name in ("linear", "few-shot", "knn-10", "knn-1")}
"""The probes of every table, by name; the verdict's is the first, unless another is named."""
DEFAULT_PROBE = next(iter(PROBES))


def verdict_probe(name: str) -> Probe:
    """Return the probe of this name as one that a verdict can be about.

    Raises:
        ValueError: as `probe`, and for a probe of several draws, which is not one classifier.
    """
    one = probe(name)
    if one.draws > 1:
        raise ValueError(
            f"probe (--probe) must be one classifier to rank by, got {quoted(name)}, an average of {one.draws}; leave "
            f"out x{one.draws}"
        )
    return one


def few_shot_rows(targets: Tensor, num_classes: int, seed: int = SEED, shots: int | None = None) -> Tensor:
    """Return rows, ascending: `shots` of each class, or all where it has fewer.

    Args:
        targets: (N,).
        num_classes: C.
        seed: of the draw.
        shots: K; None for as many as the smallest class has.
    """
    most = int(torch.bincount(targets, minlength=num_classes).min()) if shots is None else shots
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    rows = [order[targets[order] == j][:most] for j in range(num_classes)]
    return torch.cat(rows).sort().values
