"""Split rows by time: train on the past, test on the future, and validate on the latest of the past."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from longtail.data.pool import Pool
from longtail.data.read.times import Times

OPTIONS = {"test": "test", "validation": "val (--val)"}
FAR = 0.25
"""Share of the rows by which a later part may be larger than asked for; beyond, the times do not order the rows."""


def later(pool: Pool, rows: Tensor, share: float, part: str, notes: list[str]) -> tuple[Tensor, Tensor]:
    """Return the rows of a pool before a cut in time and those from it on, which are about a share of all.

    The cut is the moment for which the share of the rows from it on is nearest to the share asked for, the later one
    of two; rows of one moment are never separated. A class may have all of its rows before the cut. Rows from the cut
    on whose group has earlier rows, too, are in neither part.

    Args:
        pool: has times.
        rows: those to divide, ascending.
        share: in (0, 1).
        part: what the later rows are for, "test" or "validation".
        notes: gets sentences that say the split.

    Raises:
        ValueError: all rows of one moment, or so many that far more than the share would be later; a class with rows
            from the cut on alone, or no group that begins there.
    """
    assert pool.times is not None
    own = pool.times.take(rows.numpy())
    cut = _cut(own, share, part)
    after = own.values >= cut
    _check_classes(pool, rows, after, f"{own.text(cut)}", part)
    before, out = rows[torch.from_numpy(~after)], rows[torch.from_numpy(after)]
    said = []
    if pool.groups is not None:
        again = np.isin(pool.groups[out.numpy()], pool.groups[before.numpy()])
        if again.all():
            raise ValueError(
                f"every group (--group) with rows from {own.text(cut)} on has earlier ones, too, so there is none for "
                f"the {part} part; leave out group, or time (--time)"
            )
        if again.any():
            said.append(
                f"{int(again.sum())} rows from then on are of groups with earlier rows, and are in neither part"
            )
        out = out[torch.from_numpy(~again)]
    named = pool.facts.get("time")
    by = f" by column {named!r}, which is no feature" if named and part == "test" else ""
    moment = int((own.values == cut).sum())
    span = f"{own.text(own.values.min())} to {own.text(own.values[~after].max())}"
    notes.append(
        f"{part}: {100 * len(out) / len(rows):.3g} % of the rows ({len(out):,}), those from {own.text(cut)} on{by}; "
        f"the {len(before):,} before are of {span}"
    )
    if moment > 1:
        said.insert(0, f"{moment:,} rows are of {own.text(cut)} itself, all of them on the later side")
    notes.extend(said)
    return before, out


def without_future(rest: Pool, held_out: Sequence[Pool], notes: list[str]) -> Pool:
    """Return the rows without labels that are older than every row held out.

    Raises:
        ValueError: there are none.
    """
    parts = [part.times.values for part in held_out if part.times is not None and len(part.times.values)]
    if rest.times is None or not parts:
        return rest
    cut = min(float(values.min()) for values in parts)
    future = rest.times.values >= cut
    if not future.any():
        return rest
    if future.all():
        raise ValueError(
            f"rows without labels must be older than those held out, got all {len(rest)} from {rest.times.text(cut)} "
            "on; add older rows, or leave out time (--time)"
        )
    notes.append(f"{int(future.sum())} rows without labels are from {rest.times.text(cut)} on, and were left out")
    return rest.take(torch.from_numpy(np.flatnonzero(~future)))


def _cut(times: Times, share: float, part: str) -> float:
    moments, sizes = np.unique(times.values, return_counts=True)
    if len(moments) < 2:
        raise ValueError(
            f"all {len(times.values)} rows are of {times.text(moments[0])}, so none is later, for the {part} part; "
            f"lower the share held out, or leave out time (--time)"
        )
    later_rows = np.cumsum(sizes[::-1])[::-1][1:] / len(times.values)  # from each moment on, but the first
    nearest = np.abs(later_rows - share)
    best = np.flatnonzero(nearest <= nearest.min() + 1e-12)[-1]
    if later_rows[best] > share + FAR:
        got = f"{100 * later_rows[best]:.3g} % of the rows from {times.text(moments[1:][best])} on"
        raise ValueError(
            f"times must have a moment that cuts off about {100 * share:.3g} % of the rows for the {part} part, got "
            f"{len(moments)} moments, and at the nearest {got}; name a finer column with time "
            "(--time), or say in a column which rows are tested (--split)"
        )
    return float(moments[1:][best])


def _check_classes(pool: Pool, rows: Tensor, after: np.ndarray, cut: str, part: str) -> None:
    """Raise ValueError where a class has rows from the cut on alone."""
    labels = pool.known[rows].numpy()
    trained = np.bincount(labels[~after & (labels >= 0)], minlength=len(pool.classes))
    later_rows = np.bincount(labels[after & (labels >= 0)], minlength=len(pool.classes))
    new = np.flatnonzero((trained == 0) & (later_rows > 0))
    if len(new):
        named = ", ".join(repr(pool.classes[j]) for j in new[:5]) + (
            f" and {len(new) - 5} more" if len(new) > 5 else ""
        )
        raise ValueError(
            f"class{'es' * (len(new) > 1)} {named} {'have' if len(new) > 1 else 'has'} rows only from {cut} on, where "
            f"the {part} part begins, so no earlier row to train on; take these rows out, hold out a smaller share "
            f"({OPTIONS[part]}), or leave out time (--time)"
        )
