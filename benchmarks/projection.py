"""What the projection on class totals costs, beside alternating scaling to the same residual, in turn within one run.

Soft labels are sharpened outputs of a model that favours frequent classes, refined as DARP does before it solves.
Alternating scaling is its row normaliser in closed form and a Newton search for each class multiplier; it ends at the
same residual, or at a limit of seconds.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.functional import project_on_totals

PROBLEMS = {
    "20000 x 10, matched": (20_000, 10, "matched"),
    "20000 x 10, uniform": (20_000, 10, "uniform"),
    "20000 x 10, reversed": (20_000, 10, "reversed"),
    "50000 x 100, matched": (50_000, 100, "matched"),
    "50000 x 100, uniform": (50_000, 100, "uniform"),
    "50000 x 100, gamma 20": (50_000, 100, "gamma 20"),
}
RATIO = 100
"""Of the classes that the model was trained on."""


def problem(size: int, classes: int, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return soft labels (M, K) float64, weights 1 / entropy (M,) and class totals (K,)."""
    generator = torch.Generator().manual_seed(0)
    positions = torch.arange(classes, dtype=torch.float64) / (classes - 1)
    shares = RATIO**-positions / (RATIO**-positions).sum()
    labels = torch.multinomial(shares, size, replacement=True, generator=generator)
    logits = 1.5 * torch.randn(size, classes, dtype=torch.float64, generator=generator) + shares.log()
    logits[torch.arange(size), labels] += 3
    totals = {
        "matched": torch.bincount(labels, minlength=classes).double(),
        "uniform": torch.ones(classes, dtype=torch.float64),
        "reversed": shares.flip(0),
        "gamma 20": 20**-positions,
    }[kind]
    totals = totals / totals.sum() * size
    p = (2 * logits).softmax(1)  # temperature 0.5
    kept = torch.zeros_like(p, dtype=torch.bool)
    for k, total in enumerate(totals.tolist()):
        kept[p[:, k].topk(min(int(2 * total), size)).indices, k] = True
    p = torch.where(kept, p, 0.0)
    p = p * (totals / p.sum(0)) + 1e-6
    p /= p.sum(1, keepdim=True)
    return p, 1 / torch.special.entr(p).sum(1).clamp(min=1e-6), totals


def alternating(p: Tensor, w: Tensor, totals: Tensor, tolerance: float, limit: float) -> tuple[int, float]:
    """Scale rows and columns in turn; return the rounds and the residual at their end."""
    logs, inverse, b = p.log(), 1 / w, torch.zeros_like(totals)
    start, rounds, residual = time.perf_counter(), 0, float("inf")
    while residual > tolerance and time.perf_counter() - start < limit:
        heights = torch.addmm(logs, inverse[:, None], b[None]).logsumexp(1)
        columns = []
        for k in range(len(totals)):
            base, x = logs[:, k] - heights, b[k]
            for i in range(30):  # log of the column is concave in x: its Newton search cannot circle
                y = (base + x * inverse).exp()
                column = y.sum()
                if i == 0:
                    columns.append(column)
                gap = (totals[k] / column).log()
                x = x + gap * column / (y @ inverse)
                if abs(gap) < tolerance / 10:
                    break
            b[k] = x
        residual = float(((torch.stack(columns) - totals).abs() / totals).max())
        rounds += 1
    return rounds, residual


def main() -> None:
    parser = argument_parser(__doc__, "projection.json")
    parser.add_argument("--only", nargs="+", choices=[*PROBLEMS], default=[*PROBLEMS], metavar="PROBLEM")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-9)
    parser.add_argument("--limit", type=float, default=60, help="seconds of alternating scaling")
    given = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"machine": facts(), "threads": 1, "tolerance": given.tolerance, "problems": {}}
    for name in given.only:
        p, w, totals = problem(*PROBLEMS[name])
        seconds, cpu = [], []
        for _ in range(given.repeats):
            start, started = time.perf_counter(), time.process_time()
            found = project_on_totals(p, totals, weights=w, tolerance=given.tolerance)
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - started)
        started = time.process_time()
        rounds, residual = alternating(p, w, totals, given.tolerance, given.limit)
        other = time.process_time() - started
        row = {
            "seconds": round(median(seconds), 3), "cpu_seconds": round(median(cpu), 3), "iterations": found.iterations,
            "residual": found.residual, "alternating_cpu_seconds": round(other, 2), "alternating_rounds": rounds,
            "alternating_residual": residual, "alternating_reached": residual <= given.tolerance,
            "ratio": round(other / median(cpu), 1), "largest_weight": round(float(w.max())),
        }  # fmt: skip
        result["problems"][name] = row
        print(f"  {name:<22} " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    save(given.out, result)


if __name__ == "__main__":
    main()
