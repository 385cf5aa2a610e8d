"""Bad calls of the API: good arguments of public parts, with one of them exchanged."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from refusal_case import Case, arrays, junk, not_a_number
from torch import nn

import longtail as lt

COUNTS = torch.tensor([40, 16, 8])
LOGITS, TARGETS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2])


def _counts(rng: random.Random) -> Any:
    return rng.choice(
        [
            [],
            [[1, 2]],
            [-1, 2, 3],
            [float("nan"), 1, 2],
            [0, 0, 0],
            "abc",
            None,
            [float("inf"), 1, 1],
            3,
            torch.ones(2, 3),
            {"a", "b"},
            [1, "x"],
            object(),
        ]
    )


def _labels(rng: random.Random) -> Any:
    return rng.choice(
        [
            [],
            [-1, 2],
            [0.5, 1],
            [None, 1],
            [2026010100017, 5],
            [0, 20_000_000],
            [[0, 1]],
            7,
            None,
            ["a", None],
            torch.zeros(2, 2, dtype=torch.long),
            [2**70, 1],
            {1, 2},
            object(),
            [float("nan")] * 3,
            b"ab",
        ]
    )


def _targets(rng: random.Random) -> Any:
    return rng.choice(
        [
            torch.ones(6, 3, dtype=torch.long),
            torch.zeros(5, dtype=torch.long),
            torch.zeros(6, 2),
            "abc",
            None,
            [0, 1],
            torch.zeros(6, dtype=torch.bool).to(torch.complex64),
            torch.zeros((), dtype=torch.long),
            3,
        ]
    )


def _logits(rng: random.Random) -> Any:
    return rng.choice(
        [torch.randn(6, 4), torch.randn(6), torch.zeros(6, 3, dtype=torch.long), None, "abc", [[1.0]], 2.0]
    )


def _data(rng: random.Random) -> Any:
    return rng.choice(
        [None, 3, object(), "nothing.csv", junk(rng), [["a"]], torch.zeros(64, 3, 2, 2, 2), {}, b"x", torch.zeros(0, 3)]
    )


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 3)


LOSSES = [
    lt.losses.CrossEntropyLoss,
    lt.losses.LogitAdjustedLoss,
    lt.losses.LDAMLoss,
    lt.losses.VSLoss,
    lt.losses.FocalLoss,
    lt.losses.BalancedSoftmaxLoss,
    lt.losses.ClassBalancedLoss,
    lt.losses.MaximumMarginLoss,
]
KNOBS = {
    "tau": lt.losses.LogitAdjustedLoss,
    "max_margin": lt.losses.LDAMLoss,
    "scale": lt.losses.LDAMLoss,
    "gamma": lt.losses.FocalLoss,
    "beta": lt.losses.ClassBalancedLoss,
    "label_smoothing": lt.losses.CrossEntropyLoss,
    "reweight": lt.losses.CrossEntropyLoss,
    "delta_minus": lt.losses.MaximumMarginLoss,
}

Mutation = Callable[[random.Random], tuple[str, Callable[..., Any], dict[str, Any], dict[str, Any]]]


def _knob(rng: random.Random) -> Any:
    knob, loss = rng.choice(list(KNOBS.items()))
    return f"{loss.__name__}.{knob}", loss, {"class_counts": COUNTS}, {knob: not_a_number(rng)}


def _loss_counts(rng: random.Random) -> Any:
    loss = rng.choice(
        [lt.losses.LogitAdjustedLoss, lt.losses.LDAMLoss, lt.losses.VSLoss, lt.losses.BalancedSoftmaxLoss]
    )
    return f"{loss.__name__} counts", loss, {"class_counts": COUNTS}, {"class_counts": _counts(rng)}


def _loss_call(rng: random.Random) -> Any:
    loss = rng.choice(LOSSES)
    bad = rng.choice(
        [{"targets": _targets(rng)}, {"logits": _logits(rng)}, {"sample_weight": rng.choice([torch.ones(5), "x", [1]])}]
    )
    return f"{loss.__name__}()", loss(COUNTS), {"logits": LOGITS, "targets": TARGETS}, bad


def _function(rng: random.Random) -> Any:
    number = not_a_number(rng)
    return rng.choice(
        [
            ("class_counts", lt.class_counts, {"labels": [0, 1, 1]}, {"labels": _labels(rng)}),
            (
                "class_counts num_classes",
                lt.class_counts,
                {"labels": [0, 1, 1]},
                {"num_classes": rng.choice([number, 1, -1, 10**12])},
            ),
            ("class_names", lt.class_names, {"labels": ["a", "b"]}, {"labels": _labels(rng)}),
            ("priors", lt.priors, {"counts": COUNTS}, {"counts": _counts(rng)}),
            (
                "long_tail",
                lt.profiles.long_tail,
                {"n_max": 100, "num_classes": 3, "ratio": 10.0},
                {rng.choice(["n_max", "num_classes", "ratio"]): rng.choice([number, float("inf"), -1, 0])},
            ),
            (
                "step",
                lt.profiles.step,
                {"n_max": 100, "num_classes": 3, "ratio": 10.0},
                {rng.choice(["n_max", "num_classes", "ratio"]): number},
            ),
            (
                "profile",
                lt.profiles.profile,
                {"kind": "exp", "n_max": 9, "num_classes": 3, "ratio": 3.0},
                {"kind": rng.choice([junk(rng), number])},
            ),
            (
                "switch",
                lt.schedules.switch,
                {"at": 0.8, "before": 0.0, "after": 1.0},
                {rng.choice(["at", "before", "after"]): number},
            ),
            ("linear", lt.schedules.linear, {"start": 0.8, "end": 0.0}, {rng.choice(["start", "end"]): number}),
            (
                "steps",
                lt.schedules.steps,
                {"at": (0.8,), "levels": (1.0, 0.1)},
                {rng.choice(["at", "levels"]): rng.choice([number, (), ("a",)])},
            ),
            ("warmup", lt.schedules.warmup, {"epochs": 5, "total": 20}, {rng.choice(["epochs", "total"]): number}),
            (
                "CosineClassifier",
                lt.heads.CosineClassifier,
                {"in_features": 4, "out_features": 3},
                {rng.choice(["in_features", "out_features"]): rng.choice([number, 0, -3, 2.5])},
            ),
            (
                "swap_head",
                lt.heads.swap_head,
                {"model": Net(), "head": lt.heads.CosineClassifier},
                rng.choice(
                    [
                        {"model": ""},
                        {"model": number},
                        {"head": number},
                        {"name": ""},
                        {"name": junk(rng)},
                        {"name": number},
                    ]
                ),
            ),
            (
                "effective_number",
                lt.class_weights.effective_number,
                {"counts": COUNTS, "beta": 0.9},
                rng.choice([{"beta": number}, {"beta": 1.0}, {"counts": _counts(rng)}]),
            ),
            (
                "power",
                lt.class_weights.power,
                {"counts": COUNTS, "q": 0.5},
                rng.choice([{"q": number}, {"counts": _counts(rng)}]),
            ),
            (
                "adjust_logits",
                lt.posthoc.adjust_logits,
                {"logits": LOGITS, "counts": COUNTS},
                rng.choice([{"tau": number}, {"counts": _counts(rng)}, {"logits": _logits(rng)}]),
            ),
            (
                "evaluate",
                lt.metrics.evaluate,
                {"scores": LOGITS, "targets": TARGETS, "class_counts": COUNTS},
                rng.choice(
                    [
                        {"scores": _logits(rng)},
                        {"targets": _targets(rng)},
                        {"class_counts": rng.choice([[], [[1, 2]], [-1, 2, 3], "abc", torch.ones(2, 3)])},
                    ]
                ),
            ),
            (
                "ABSGD",
                lt.instance_weights.ABSGD,
                {"lam": 2.0},
                {rng.choice(["lam", "gamma", "alpha", "uniform", "accumulate"]): number},
            ),
            ("TERM", lt.instance_weights.TERM, {"t": 2.0}, {"t": number}),
            ("method", lt.method, {"spec": "ce"}, {"spec": rng.choice([number, junk(rng), "ldam(scale=-1)", None])}),
            ("load", lt.load, {}, {"folder": rng.choice(["nothing", junk(rng)])}),
        ]
    )


def _compare(rng: random.Random) -> Any:
    data = arrays()
    good = {
        "data": torch.tensor(data["X"]),
        "y": torch.tensor(data["y"]),
        "methods": "ce",
        "epochs": 1,
        "seeds": 1,
        "jobs": 1,
        "model": "linear",
    }
    number = not_a_number(rng)
    return (
        "compare",
        lt.compare,
        good,
        rng.choice(
            [
                {"data": _data(rng)},
                {"y": _labels(rng)},
                {"seeds": rng.choice([number, 0, 20_000_000])},
                {"folds": rng.choice([number, 1])},
                {"jobs": rng.choice([number, 0])},
                {"budget": rng.choice([number, -1])},
                {"epochs": rng.choice([number, 0])},
                {"metric": junk(rng)},
                {"methods": rng.choice([number, [], junk(rng), ["ce", 3]])},
                {"lr": number},
                {"batch_size": rng.choice([number, 0])},
                {"val": rng.choice([number, 1.0])},
                {"ratio": rng.choice([number, 0.5])},
                {"profile": junk(rng)},
                {junk(rng): 1},
                {"sample_weight": rng.choice([number, torch.ones(3), -torch.ones(64)])},
                {"test": number},
                {"classes": rng.choice([["a"], ["a", "a", "b"]])},
            ]
        ),
    )


def call(rng: random.Random) -> Case:
    made: Mutation = rng.choice([_knob, _loss_counts, _loss_call, _function, _function, _function, _compare])
    name, function, good, bad = made(rng)
    return Case("call", f"{name} {bad!r}", lambda: function(**{**good, **bad}), lambda: good and function(**good))
