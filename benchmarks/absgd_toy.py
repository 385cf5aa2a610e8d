"""Where ABSGD puts the weight: the toy picture of one iteration, and what gamma and two stages do to a small network.

Toy: two Gaussian classes, 500 examples to 25, logistic regression after PLAIN steps of plain gradient descent; then one
step on all examples, plain and weighted by exp(loss / lambda). Shown: the share of the weight that the rare class has,
where the boundary goes, and, with a tenth of the labels flipped, the share on flipped labels for lambda < 0.

Sweeps, on digits at ratio 50 with a small convnet: gamma at lambda 5 throughout (in two stages the weights act only
where the learning rate is a hundredth, and gamma moves nothing that can be seen in so short a training); and lambda
fixed at 1 from the start beside 100, then 1, and infinity, then 1 (the paper's figure 3): balanced accuracy, and how
far classes are apart in the features (between-class scatter over total, on the test part). They show; they tune
nothing.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.data import Splits, load
from longtail.engine.default_recipe import default_recipe
from longtail.facts.types import as_outputs
from longtail.instance_weights import ABSGD
from longtail.runs.train import Fit

COMMON, RARE, PLAIN, RATE = 500, 25, 20, 1.0
DECAY = "steps"
"""The drops of the paper's recipe, at the first of which two stages change; the default for small data is a cosine."""
COLOURS = {"common class": "#2f6690", "rare class": "#d1495b", "flipped label": "#e8a33d"}
LAMBDAS = (math.inf, 5.0, 1.0, 0.3)
NEGATIVE = (math.inf, -5.0, -1.0, -0.3)
GAMMAS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
SCHEDULES = {
    "ce": "ce",
    "lambda 1 throughout": "absgd(lam=1.0)",
    "lambda 100, then 1": "absgd(lam=switch(0.8, 100.0, 1.0))",
    "lambda inf, then 1": "absgd(lam=switch(0.8, inf, 1.0))",
}


def toy(flipped: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs with a constant 1, labels 0 and 1 (rare), and which labels are wrong."""
    g = np.random.default_rng(seed)
    y = np.repeat([0, 1], [COMMON, RARE])
    x = g.normal(size=(len(y), 2)) + np.array([[-1.0, 0.0], [1.0, 0.5]])[y]
    wrong = g.random(len(y)) < flipped
    inputs = torch.tensor(np.column_stack([x, np.ones(len(y))]))
    return inputs, torch.tensor(np.where(wrong, 1 - y, y)).double(), torch.tensor(wrong)


def one_iteration(flipped: float, lambdas: tuple[float, ...]) -> list[dict[str, Any]]:
    """Weights at the same point and the boundary after one step with them, for every lambda."""
    x, y, wrong = toy(flipped)
    w = torch.zeros(3, dtype=torch.float64)
    for _ in range(PLAIN):
        w -= RATE * x.T @ (torch.sigmoid(x @ w) - y) / len(y)
    losses = torch.nn.functional.softplus(-(2 * y - 1) * (x @ w))
    rows = []
    for lam in lambdas:
        p = ABSGD(lam, 1.0).weigh(losses).double()
        moved = w - RATE * x.T @ (p * (torch.sigmoid(x @ w) - y)) / len(y)
        rows.append({
            "lambda": f"{lam:g}",
            "share of the rare class": float(p[y == 1].sum() / p.sum()),
            "share of flipped labels": float(p[wrong].sum() / p.sum()),
            "effective examples": float(p.sum() ** 2 / (p**2).sum()),
            "recall of the rare class after the step": float((x @ moved > 0)[(y == 1) & ~wrong].double().mean()),
            "weights": p, "before": w, "after": moved,
        })  # fmt: skip
    return rows


def separation(features: Tensor, targets: Tensor) -> float:
    """Between-class scatter over total scatter, 0 to 1, each class counted alike."""
    classes = targets.unique()
    means = torch.stack([features[targets == c].mean(0) for c in classes])
    within = torch.stack([features[targets == c].var(0, correction=0).sum() for c in classes]).mean()
    between = means.var(0, correction=0).sum()
    return float(between / (between + within))


def trained(spec: str, splits: Splits, seed: int, epochs: int | None) -> dict[str, float]:
    fit = Fit(spec, splits, seed=seed, recipe=default_recipe(splits, epochs=epochs, decay=DECAY), threads=1)
    *_, last = fit
    learner: Any = fit.learner
    with torch.no_grad():
        features = as_outputs(learner.network.eval()(splits.test.inputs)).features
    assert features is not None
    return {**last["scores"], "separation": separation(features, splits.test.targets)}


def sweep(specs: dict[str, str], splits: Splits, seeds: int, epochs: int | None) -> dict[str, Any]:
    """Mean and 95 % interval over seeds, and of the paired difference to the first of the specs."""
    found = {name: [trained(spec, splits, seed, epochs) for seed in range(seeds)] for name, spec in specs.items()}
    base = next(iter(found))
    out: dict[str, Any] = {}
    for name, runs in found.items():
        out[name] = {"spec": specs[name]}
        for score in ("balanced_accuracy", "accuracy", "separation"):
            values = np.array([run[score] for run in runs])
            apart = values - np.array([run[score] for run in found[base]])
            out[name][score] = {**interval(values), f"minus {base}": interval(apart)}
        told, apart = out[name]["balanced_accuracy"], out[name]["balanced_accuracy"][f"minus {base}"]
        print(f"  {name:<22} balanced accuracy {100 * told['mean']:.1f} %, {100 * apart['mean']:+.1f} "
              f"[{100 * apart['low']:+.1f}, {100 * apart['high']:+.1f}] to {base}; separation "
              f"{out[name]['separation']['mean']:.3f}")  # fmt: skip
    return out


def interval(values: np.ndarray) -> dict[str, float]:
    mean, n = float(values.mean()), len(values)
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else 0.0
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def plot(panels: list[tuple[str, float, list[dict[str, Any]]]], out: Path) -> None:
    """Examples as large as their weights, and the boundary before and after the step."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with rc_context({"svg.hashsalt": "longtail", "svg.fonttype": "none"}):
        figure = Figure(figsize=(14, 6.4), layout="constrained")
        grid = figure.subplots(len(panels), len(panels[0][2]), sharex=True, sharey=True)
        for line, (title, flipped, rows) in zip(grid, panels, strict=True):
            x, y, wrong = toy(flipped)
            for axes, row in zip(line, rows, strict=True):
                for chosen, colour in zip(((y == 0) & ~wrong, (y == 1) & ~wrong, wrong), COLOURS.values(), strict=True):
                    size = 9 * row["weights"][chosen].clamp(max=60)
                    # as pixels: a thousand vector circles a panel make a file of megabytes
                    axes.scatter(x[chosen, 0], x[chosen, 1], s=size, color=colour, alpha=0.5, lw=0, rasterized=True)
                for w, style in ((row["before"], "k:"), (row["after"], "k-")):
                    ends = torch.tensor([-4.0, 4.0], dtype=torch.float64)
                    axes.plot(-(w[1] * ends + w[2]) / w[0], ends, style, lw=1)
                axes.set(xlim=(-5, 5), ylim=(-4, 4), title=f"{title}, lambda {row['lambda']}")
                axes.title.set_fontsize(9)
        dots = [Line2D([], [], color=colour, marker="o", ls="") for colour in COLOURS.values()]
        lines = [Line2D([], [], color="k", ls=style) for style in (":", "-")]
        names = [*COLOURS, "boundary before", "boundary after one step"]
        figure.legend([*dots, *lines], names, loc="outside lower center", ncols=5, frameon=False)
        figure.savefig(out, metadata={"Date": None}, dpi=110)


def main() -> None:
    parser = argument_parser(__doc__, "absgd-toy.json")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="of the sweeps; by default the recipe's")
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    panels = [("clean", 0.0, one_iteration(0.0, LAMBDAS)), ("10 % flipped", 0.1, one_iteration(0.1, NEGATIVE))]
    plot(panels, given.out.with_suffix(".svg"))
    hidden = ("weights", "before", "after")
    told = {name: [{k: v for k, v in row.items() if k not in hidden} for row in rows] for name, _, rows in panels}
    for name, rows in told.items():
        for row in rows:
            print(
                f"{name}: " + ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
            )
    splits = load("digits", ratio=50)
    print(f"digits at ratio 50, {given.seeds} seed(s)")
    gammas = {"ce": "ce"} | {f"gamma {g:g}": f"absgd(lam=5.0, gamma={g})" for g in GAMMAS}
    result = {
        "machine": facts(), "seeds": given.seeds, "toy": told,
        "gamma": sweep(gammas, splits, given.seeds, given.epochs),
        "two stages": sweep(SCHEDULES, splits, given.seeds, given.epochs),
    }  # fmt: skip
    save(given.out, result)
    print(f"{time.perf_counter() - start:.0f} s; {given.out} and .svg")


if __name__ == "__main__":
    main()
