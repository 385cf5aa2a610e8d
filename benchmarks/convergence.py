"""Does the gradient norm of ABSGD's objective fall as its theorem says, and does the moving average help?

Objective F(w) = lambda log mean_i exp(l_i(w) / lambda) + (DECAY / 2) |w|^2 over all rows of a small data set, l the
cross-entropy of a network with one hidden layer of tanh units: smooth, not convex. Without the regulariser, weights and
curvature grow as long as the training lasts, and the theorem's bound on the curvature does not hold. With momentum,
batches of B rows and learning rate and gamma proportional to 1 / sqrt(T), the average over T steps of |grad F|^2 should
fall as T^(-1/2), for both signs of lambda (Qi et al. 2023, theorem 1). gamma = 1 weighs by the softmax of the batch,
which is biased whatever T is.

|grad F| is exact (all rows, float64) at PROBES steps, spread evenly over the run. Both variants see the same batches
from the same start, hence the same number of samples. The slope of log mean |grad F|^2 against log T is fitted for each
seed; its interval is Student's over seeds, and so is that of the log ratio at the largest T. A slope with a constant
step size says something else, so every T is a run of its own.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor, nn

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.instance_weights import ABSGD

ROWS, INPUTS, HIDDEN, CLASSES, BATCH, PROBES = 512, 6, 8, 3, 4, 64
FIRST = 256
"""T for which the learning rate is that of LR and gamma is GAMMA."""
GAMMA, MOMENTUM, DECAY = 0.5, 0.9, 0.01
LR = {0.5: 0.05, -0.5: 0.2}
"""lambda -> learning rate: gradients are larger where hard examples weigh more."""


def data(seed: int) -> tuple[Tensor, Tensor]:
    """Overlapping Gaussian classes with long-tailed sizes, and a tenth of the labels wrong, so that losses differ."""
    g = np.random.default_rng(seed)
    y = g.choice(CLASSES, ROWS, p=(0.8, 0.15, 0.05))
    x = g.normal(size=(ROWS, INPUTS)) + 1.5 * np.eye(INPUTS)[y]
    wrong = g.random(ROWS) < 0.1
    y[wrong] = g.integers(CLASSES, size=int(wrong.sum()))
    return torch.tensor(x), torch.tensor(y)


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, CLASSES)).double()


def squared_norm(model: nn.Module, x: Tensor, y: Tensor, lam: float, decay: float) -> float:
    """|grad F|^2 by autograd of F itself, which shares nothing with the weights."""
    losses = nn.functional.cross_entropy(model(x), y, reduction="none")
    parameters = list(model.parameters())
    objective = lam * (torch.logsumexp(losses / lam, 0) - math.log(len(y)))
    objective = objective + decay / 2 * sum(p.square().sum() for p in parameters)
    gradients = torch.autograd.grad(objective, parameters)
    return float(sum(g.square().sum() for g in gradients))


def run(seed: int, lam: float, steps: int, *, averaged: bool, decay: float) -> float:
    """The average of |grad F|^2 over one run."""
    x, y = data(seed)
    model, shrink = network(seed), math.sqrt(FIRST / steps)
    weights = ABSGD(lam, GAMMA * shrink if averaged else 1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR[lam] * shrink, momentum=MOMENTUM, weight_decay=decay)
    rows = torch.tensor(np.random.default_rng([seed, 1]).integers(ROWS, size=(steps, BATCH)))
    # middles of equal parts: the start, were it a probe, would weigh 1 / PROBES whatever T is
    probed = set(((np.arange(PROBES) + 0.5) * steps / PROBES).astype(int).tolist())
    found = []
    for step in range(steps):
        if step in probed:
            found.append(squared_norm(model, x, y, lam, decay))
        losses = nn.functional.cross_entropy(model(x[rows[step]]), y[rows[step]], reduction="none")
        optimizer.zero_grad()
        weights(losses).backward()
        optimizer.step()
    return float(np.mean(found))


def interval(values: list[float]) -> dict[str, float]:
    """Mean and 95 % interval over seeds."""
    mean, size = float(np.mean(values)), len(values)
    half = float(student.ppf(0.975, size - 1) * np.std(values, ddof=1) / math.sqrt(size)) if size > 1 else math.nan
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def study(lengths: list[int], seeds: int, decay: float) -> list[dict[str, Any]]:
    """One row per sign of lambda."""
    out = []
    for lam in LR:
        norms = {}
        for kind in ("moving average", "gamma = 1"):
            given = {"averaged": kind == "moving average", "decay": decay}
            norms[kind] = np.array([[run(s, lam, n, **given) for n in lengths] for s in range(seeds)])
        row: dict[str, Any] = {"lambda": lam, "steps": lengths}
        for kind, values in norms.items():
            slopes = [float(np.polyfit(np.log(lengths), np.log(line), 1)[0]) for line in values]
            row[kind] = {"slope": interval(slopes), "mean_squared_norm": values.tolist()}
            told = row[kind]["slope"]
            print(f"lambda {lam:+g}, {kind:<14} slope {told['mean']:.3f} [{told['low']:.3f}, {told['high']:.3f}]")
        ratio = np.log(norms["moving average"][:, -1] / norms["gamma = 1"][:, -1]).tolist()
        row["log_ratio_at_the_end"] = told = interval(ratio)
        print(f"lambda {lam:+g}, log of moving average / gamma = 1 after {lengths[-1]} steps: "
              f"{told['mean']:.3f} [{told['low']:.3f}, {told['high']:.3f}]")  # fmt: skip
        out.append(row)
    return out


def plot(rows: list[dict[str, Any]], out: Path) -> None:
    """Mean over seeds with the range, and a line of slope -1/2."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "longtail", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        for axes, row in zip(figure.subplots(1, len(rows), sharey=True), rows, strict=True):
            steps = np.array(row["steps"])
            for kind, colour in (("moving average", "#d1495b"), ("gamma = 1", "#2f6690")):
                values = np.array(row[kind]["mean_squared_norm"])
                middle = np.exp(np.log(values).mean(0))
                axes.plot(steps, middle, "o-", color=colour, label=kind)
                axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.15)
            first = np.exp(np.log(np.array(row["moving average"]["mean_squared_norm"])[:, 0]).mean())
            axes.plot(steps, first * (steps / steps[0]) ** -0.5, "k--", lw=1, label="slope -1/2")
            axes.set(xscale="log", yscale="log", xlabel="steps T", title=f"lambda = {row['lambda']:g}")
            axes.legend(frameon=False)
        figure.axes[0].set_ylabel("average of |grad F|² over T steps")
        figure.savefig(out, metadata={"Date": None})


def main() -> None:
    parser = argument_parser(__doc__, "convergence.json")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--lengths", default="1024,4096,16384,65536")
    parser.add_argument("--decay", type=float, default=DECAY, help="of the regulariser in the objective")
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    rows = study([int(n) for n in given.lengths.split(",")], given.seeds, given.decay)
    setting = {
        "rows": ROWS,
        "batch": BATCH,
        "first": FIRST,
        "lr": {f"{lam:g}": lr for lam, lr in LR.items()},
        "gamma": GAMMA,
        "momentum": MOMENTUM,
        "decay": given.decay,
    }
    result = {"machine": facts(), "seeds": given.seeds, "setting": setting, "rows": rows}
    save(given.out, result)
    plot(rows, given.out.with_suffix(".svg"))
    print(f"{time.perf_counter() - start:.0f} s; {given.out} and .svg")


if __name__ == "__main__":
    main()
