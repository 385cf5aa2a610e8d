"""What every loss promises, feature by feature.

Each check holds one loss to one feature and answers what the support table in docs/losses-support.md says of
it: "yes", a word, or "no: why", for which it has seen that the loss says no or does not care.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tests.losses import contract_counts as counts
from tests.losses import contract_running as running
from tests.losses import contract_sums as sums
from tests.losses import contract_targets as targets
from tests.losses.loss_cases import CASES, ROWS, Case

Check = Callable[[Case], str]
TABLES: dict[str, dict[str, Check]] = {
    "Targets": {
        "probabilities": targets.probability_targets,
        "any integer dtype": targets.integer_targets,
        "dense (N, C, d1..dk)": targets.dense_targets,
        "`ignore_index`": targets.ignored_targets,
        "`label_smoothing`": targets.label_smoothing,
        "classes renamed": targets.permutation,
    },
    "Weights and sums": {
        "`class_weight`": sums.class_weight,
        "`reweight` scheduled": sums.reweight,
        "`sample_weight`": sums.sample_weights,
        "`reduction`, `per_example`": sums.reductions,
        "`normalize`": sums.normalizers,
        "nothing counts: 0": sums.nothing_counts,
    },
    "Counts, knobs and scores": {
        "without counts": counts.without_counts,
        "`set_class_counts`": counts.new_counts,
        '`zero_count="mask"`': counts.zero_count,
        "knobs that move": counts.scheduled_knobs,
        "`scores`": counts.scores,
        "`probabilities`": counts.probabilities,
        "`features`": counts.features,
    },
    "Where it runs": {
        "half precision, autocast, logits of 1e4": running.narrow_logits,
        "gradcheck": running.gradients,
        "`torch.func`": running.vmap_and_grad,
        "`torch.compile(fullgraph=True)`": running.compiles,
        "`deepcopy`, `pickle`, `state_dict`": running.copies,
    },
}
FEATURES = {feature: check for table in TABLES.values() for feature, check in table.items()}


@cache
def answer(name: str, feature: str) -> str:
    """What the check of `feature` finds for the loss `name`."""
    return FEATURES[feature](CASES[name])


def support_tables() -> str:
    """The tables loss x feature, made by running every check."""
    return "\n\n".join(f"## {title}\n\n{_table(list(features))}" for title, features in TABLES.items())


def _table(features: list[str]) -> str:
    notes: list[str] = []
    lines = ["| loss | " + " | ".join(features) + " |", "|---" * (len(features) + 1) + "|"]
    for row in ROWS:
        cells = [_cell(cell(row, feature), notes) for feature in features]
        lines.append(f"| `{row}` | " + " | ".join(cells) + " |")
    return "\n".join(lines + [""] * bool(notes) + [f"({i}) {note}  " for i, note in enumerate(notes, 1)]).rstrip()


def cell(row: str, feature: str) -> str:
    """The one answer of all losses of a row."""
    (only,) = {answer(name, feature) for name in ROWS[row]}
    return only


def _cell(text: str, notes: list[str]) -> str:
    head, _, why = text.partition(": ")
    if not why:
        return text
    if why not in notes:
        notes.append(why)
    return f"{head} ({notes.index(why) + 1})"
