"""What a comparison trained on and for how long, in words."""

from __future__ import annotations

from typing import Any

Summary = dict[str, Any]


def counts_known(summary: Summary) -> bool:
    """Whether the class counts are counts; of candidate sets they are only expected, evener than the true ones."""
    return bool(summary["data"].get("counts_known", True))


def training_examples(summary: Summary) -> str:
    """How many training examples of how many classes; sums of sample weights need not be whole."""
    data = summary["data"]
    counts, unlabeled = sorted(data["class_counts"], reverse=True), data.get("unlabeled")
    rows = f"{sum(counts):.9g} training examples"
    if unlabeled is not None:
        rows = f"{sum(counts):.9g} labelled and {unlabeled} unlabelled training examples"
    if counts_known(summary):
        return (
            f"{rows}, {len(counts)} classes of {counts[0]:.6g} to {counts[-1]:.6g} (ratio {counts[0] / counts[-1]:.4g})"
        )
    sizes = f"{counts[0]:.1f} to {counts[-1]:.1f} expected by their candidate sets"
    return f"{rows}, {len(counts)} classes of {sizes} (ratio unknown)"


def stages(row: Summary) -> str:
    """As in "crt 100 train + 15 classifier"."""
    return f"{row['method']} {' + '.join(f'{epochs} {stage}' for stage, epochs in row['epochs'].items())}"
