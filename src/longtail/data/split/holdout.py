"""Split a pool: declared parts or a hold-out, by class and by whole groups."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.cleaning import Corrections
from longtail.data.label_kinds import CANDIDATES, check_classes
from longtail.data.pool import Pool
from longtail.data.simulate import Simulation
from longtail.data.simulate.parts import noisy_before_cut
from longtail.data.simulate.removed_labels import Cut
from longtail.data.split.assemble import assemble
from longtail.data.split.by_time import later
from longtail.data.split.grouping import groups_in_several
from longtail.data.split.limits import check_share
from longtail.data.split.simulated import check_clean, simulated
from longtail.data.split.thinning import thinned
from longtail.data.splits import DATA_SEED, Splits, held_out

__all__ = ["TEST_SHARE", "split"]

TEST_SHARE = 0.25
MOST = 0.5
"""Of the rows with one candidate, the share that may be held out."""


def split(
    pool: Pool,
    *,
    test: float | None = TEST_SHARE,
    val: float | None = None,
    ratio: float | None = None,
    profile: str = "exp",
    seed: int = DATA_SEED,
    simulation: Simulation | None = None,
    largest: int | None = None,
    keep_cut: bool = False,
    corrections: Corrections | None = None,
) -> Splits:
    """Return the training, test and, where declared or asked for, validation part of a pool, checked.

    A split that the data declare wins. Where rows have times the latest are held out (`by_time.later`), for testing and
    then for validation. Else parts are held out by class (`held_out`), rows of one group together; a
    single example, and a class whose rows all lie in one group, is for training. The preparation of a table's columns
    is fitted on the training rows with labels and applied to every part. Of partial labels only rows with one candidate
    are held out, shares are of these, and at most half of them may be taken. Rows without labels are for training;
    those of a group that is held out are left out.

    Args:
        pool: all rows.
        test: share held out for testing where the data declare no test part; None trains on every row, those that are
            declared for testing included, and on those declared for validation where `val` is None.
        val: share of the training rows withheld for validation where the data declare none; None withholds nothing.
        ratio: thin the training rows to this imbalance ratio, before validation rows are withheld; None leaves them.
        profile: "exp" or "step", for `ratio`.
        seed: decides which rows are held out.
        simulation: what to hide of the labels of the training rows, after they are thinned and before validation rows
            are withheld, which are therefore rows with a label.
        largest: rows of the largest class of the thinned training part; None takes as many as the class sizes allow.
        keep_cut: keep the training rows that `ratio` cuts off as `Splits.cut_rows`.
        corrections: training rows to drop or relabel, before validation rows are withheld.

    Raises:
        ValueError: fewer than two classes, a share outside of (0, 1), nothing that could be held out, an empty part, a
            declared test row with several candidates, a simulation of data whose labels are not all known.
    """
    pool, rows, facts, notes = divided(
        pool, test, val, ratio, profile, seed, simulation, largest, keep_cut, corrections
    )
    return assemble(pool, rows, facts, notes).checked()


Divided = tuple[Pool, dict[str, Tensor], dict[str, Any], list[str]]
"""A pool with its labels hidden where asked for, its rows by part, and facts and notes on how they were divided."""


def divided(
    pool: Pool,
    test: float | None,
    val: float | None,
    ratio: float | None,
    profile: str,
    seed: int,
    simulation: Simulation | None,
    largest: int | None = None,
    keep_cut: bool = False,
    corrections: Corrections | None = None,
) -> Divided:
    """Return which rows are for what; arguments and errors as in `split`."""
    check_classes(pool.classes)
    for name, share in (("test", test), ("val (--val)", val)):
        if share is not None:
            check_share(name, share)
    check_clean(pool, simulation)
    facts: dict[str, Any] = {}
    notes: list[str] = []
    rows = _declared(pool, notes) if test is not None else _all(pool, withhold=val is not None)
    if pool.kind == CANDIDATES:
        check_shares(None if "test" in rows else test, None if "val" in rows else val)
    if test is None:
        facts["test"] = 0
    elif "test" not in rows:
        rows["train"], rows["test"] = _test_rows(pool, rows["train"], test, seed, notes)
        facts["test"] = test
    before = rows["train"]
    noisy = noisy_before_cut(pool, simulation, before, rows.get("val"), ratio)
    if ratio is not None:
        if pool.kind == CANDIDATES:
            raise ValueError("ratio (--ratio) needs one label a row to make data long-tailed, got candidates; drop it")
        labels = (pool.targets if noisy is None else noisy)[before]
        rows["train"] = before[thinned(labels, pool.classes, ratio, profile, largest)]
        facts |= {"ratio": float(ratio), "profile": profile} | ({} if largest is None else {"largest": int(largest)})
        if keep_cut and len(rows["train"]) < len(before):
            rows["cut"] = before[~torch.isin(before, rows["train"])]
    if simulation is not None:
        pool, rows = simulated(pool, rows, before, Cut(ratio, profile), simulation, noisy)
        facts |= simulation.facts
        if pool.kind == CANDIDATES:
            check_shares(None, val)
    if corrections is not None:
        pool, rows["train"] = corrections.of_pool(pool, rows["train"])
        facts |= corrections.facts
    if val is not None and "val" not in rows:
        rows["train"], rows["val"] = hold_out(pool, rows["train"], val, seed, notes)
        facts["val"] = val
    return pool, rows, facts, notes


def check_shares(test: float | None, val: float | None) -> None:
    """Raise ValueError where more than half of the rows with one candidate would be held out."""
    remaining = (1 - (test or 0)) * (1 - (val or 0))
    if remaining < MOST - 1e-9:
        raise ValueError(
            "test and val (--val) may hold out at most half of the rows with one candidate, got "
            f"{1 - remaining:.3g} of them; lower these shares, or declare a split"
        )


def hold_out(
    pool: Pool, rows: Tensor, share: float, seed: int = DATA_SEED, notes: list[str] | None = None
) -> tuple[Tensor, Tensor]:
    """Return these rows of a pool without a share of every class, and that share; groups stay together.

    Where rows have times the latest are held out, whatever their class (see `by_time.later`, which adds to `notes`).

    Only rows whose class is known are held out; the rest of their groups is in neither part.
    """
    if pool.times is not None:
        return later(pool, rows, share, "validation", [] if notes is None else notes)
    known = pool.known[rows]
    eligible = torch.nonzero(known >= 0).flatten()
    groups = None if pool.groups is None else pool.groups[rows[eligible].numpy()]
    if pool.kind == CANDIDATES:
        share = min(share, math.nextafter(MOST, 0))  # half of an odd number is rounded down
    out = eligible[held_out(known[eligible], share, seed, groups)[1]] if len(eligible) else eligible
    remaining = torch.ones(len(rows), dtype=torch.bool)
    remaining[out] = False
    if pool.groups is not None:
        codes = pool.groups[rows.numpy()]
        remaining &= torch.from_numpy(~np.isin(codes, codes[out.numpy()]))
    return rows[remaining], rows[out]


def _all(pool: Pool, *, withhold: bool) -> dict[str, Tensor]:
    """Return all rows for training, but for those declared for validation where some are to be withheld."""
    rows = _declared(replace(pool, groups=None), [])
    val = {"val": rows["val"]} if withhold and "val" in rows else {}
    trained = torch.cat([part for name, part in rows.items() if name not in val])
    return {"train": trained.sort().values, **val}


def _declared(pool: Pool, notes: list[str]) -> dict[str, Tensor]:
    """Return the rows of every declared part; all rows are for training where nothing is declared."""
    if pool.parts is None:
        return {"train": torch.arange(len(pool))}
    if pool.groups is not None and (count := groups_in_several(pool.groups, pool.parts)):
        many = "1 group has" if count == 1 else f"{count} groups have"
        notes.append(f"{many} rows in more than one of the declared parts, so the test part is not independent")
    if "test" not in pool.parts:
        notes.append(f"{declares_no_test(pool.parts)}, so rows for testing were drawn from those for training")
    rows = {
        name: torch.from_numpy(np.flatnonzero(pool.parts == name))
        for name in ("train", "val", "test")
        if (pool.parts == name).any()
    }
    for name in ("val", "test"):
        if name in rows and (several := pool.known[rows[name]] < 0).any():
            raise ValueError(
                f"declared {name} rows must have one candidate each, got several in {int(several.sum())} of "
                f"{len(several)}; declare these rows to be training rows"
            )
    return rows


def declares_no_test(parts: np.ndarray) -> str:
    """Return a note on a declared split without test rows."""
    return f"the declared split has no test rows ({', '.join(sorted({str(p) for p in parts}))} only)"


def untestable(pool: Pool) -> tuple[str, str]:
    """Return why no row of a pool can be tested, and the way out."""
    if pool.kind == CANDIDATES:
        return (
            "partial labels are tested on rows with one candidate, and no class has two of them"
            + ("" if pool.groups is None else " in groups that could be separated"),
            "declare test rows with one candidate each (--split)",
        )
    if pool.groups is None:
        return "no class has two examples", "add examples, or cut labels that are measurements into classes"
    count = len(np.unique(pool.groups))
    return (
        f"no class has two groups that could be separated ({count} group{'s' * (count > 1)} in all)",
        "add groups to the classes, name another column with --group, or leave it out if rows need not stay together",
    )


def _test_rows(pool: Pool, rows: Tensor, share: float, seed: int, notes: list[str]) -> tuple[Tensor, Tensor]:
    if pool.times is not None:
        return later(pool, rows, share, "test", notes)
    train, test = hold_out(pool, rows, share, seed)
    if len(test) == 0:
        reason, way_out = untestable(pool)
        raise ValueError(f"{reason}, so nothing can be held out for testing; {way_out}")
    if pool.kind == CANDIDATES:
        single = int((pool.known[rows] >= 0).sum())
        notes.append(
            f"{len(test)} of {single} rows with one candidate were held out for testing, {share:.0%} of every class"
        )
    elif pool.groups is None:
        notes.append(f"{share:.0%} of every class was held out for testing (at least one, never the last one)")
    else:
        notes.append(
            f"about {share:.0%} of every class was held out for testing ({len(test) / len(rows):.1%} of all rows), "
            f"whole groups of the {len(np.unique(pool.groups[rows.numpy()]))} at a time"
        )
    return train, test
