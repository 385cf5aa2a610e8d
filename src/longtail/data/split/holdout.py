"""Split a pool: declared parts or a hold-out, whole groups, and a preparation fitted on training rows alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.label_kinds import check_classes
from longtail.data.mapped import MappedExamples
from longtail.data.pool import Pool
from longtail.data.rows import Examples
from longtail.data.split.limits import check_share
from longtail.data.splits import DATA_SEED, Part, Splits, held_out
from longtail.facts import profiles

__all__ = ["TEST_SHARE", "assemble", "split"]

TEST_SHARE = 0.25


def split(
    pool: Pool,
    *,
    test: float = TEST_SHARE,
    val: float | None = None,
    ratio: float | None = None,
    profile: str = "exp",
    seed: int = DATA_SEED,
) -> Splits:
    """Return the training, test and, where declared or asked for, validation part of a pool, checked.

    A split that the data declare wins. Else parts are held out by class (`held_out`), rows of one group together; a
    single example, and a class whose rows all lie in one group, is for training. The preparation of a table's columns
    is fitted on the training rows and applied to every part.

    Args:
        pool: all rows.
        test: share held out for testing where the data declare no test part.
        val: share of the training rows withheld for validation where the data declare none; None withholds nothing.
        ratio: thin the training rows to this imbalance ratio, before validation rows are withheld; None leaves them.
        profile: "exp" or "step", for `ratio`.
        seed: decides which rows are held out.

    Raises:
        ValueError: fewer than two classes, a share outside of (0, 1), nothing that could be held out, an empty part.
    """
    check_classes(pool.classes)
    check_share("test", test)
    if val is not None:
        check_share("val (--val)", val)
    facts: dict[str, Any] = {}
    notes: list[str] = []
    rows = _declared(pool, notes)
    if "test" not in rows:
        rows["train"], rows["test"] = _test_rows(pool, rows["train"], test, seed, notes)
        facts["test"] = test
    if ratio is not None:
        rows["train"] = rows["train"][_thinned(pool.targets[rows["train"]], len(pool.classes), ratio, profile)]
        facts |= {"ratio": float(ratio), "profile": profile}
    if val is not None and "val" not in rows:
        rows["train"], rows["val"] = hold_out(pool, rows["train"], val, seed)
        facts["val"] = val
    return assemble(pool, rows, facts, notes).checked()


def assemble(pool: Pool, rows: dict[str, Tensor], facts: dict[str, Any], notes: list[str]) -> Splits:
    """Return the splits with these rows of the pool; what has to be fitted is fitted on the training rows alone."""
    parts: dict[str, Part]
    if isinstance(pool.rows, Examples | MappedExamples):
        preparation = pool.preparation
        parts = {name: _with_weights(pool.rows.take(index), pool, index) for name, index in rows.items()}
    else:
        from longtail.data.prepare.table import TablePreparation

        preparation = TablePreparation.fit(pool.rows.take(rows["train"]).frame)
        parts = {
            name: _with_weights(
                Examples(
                    preparation(pool.rows.take(index).frame),
                    pool.targets[index],
                    pool.classes,
                    policy=preparation.policy,
                ),
                pool,
                index,
            )
            for name, index in rows.items()
        }
        notes = [*notes, *getattr(preparation, "notes", ())]
    notes = [*pool.notes, *notes, *weight_notes(pool)]
    return Splits(
        pool.name, parts["train"], parts["test"], parts.get("val"), {**pool.facts, **facts}, tuple(notes), preparation,
        pool.origin, pool.source(rows["test"]),
    )  # fmt: skip


def weight_notes(pool: Pool) -> list[str]:
    """Return a note on counts where rows have weights."""
    if pool.sample_weight is None:
        return []
    total = float(pool.sample_weight.double().sum())
    return [f"counts are sums of sample weights: {len(pool)} rows weigh {total:.6g} in all"]


def hold_out(pool: Pool, rows: Tensor, share: float, seed: int = DATA_SEED) -> tuple[Tensor, Tensor]:
    """Return these rows of a pool without a share of every class, and that share; groups stay together."""
    groups = None if pool.groups is None else pool.groups[rows.numpy()]
    remaining, out = held_out(pool.targets[rows], share, seed, groups)
    return rows[remaining], rows[out]


def _with_weights(part: Part, pool: Pool, rows: Tensor) -> Part:
    return part if pool.sample_weight is None else replace(part, sample_weight=pool.sample_weight[rows])


def _declared(pool: Pool, notes: list[str]) -> dict[str, Tensor]:
    """Return the rows of every declared part; all rows are for training where nothing is declared."""
    if pool.parts is None:
        return {"train": torch.arange(len(pool))}
    if pool.groups is not None and (count := _groups_in_several(pool.groups, pool.parts)):
        many = "1 group has" if count == 1 else f"{count} groups have"
        notes.append(f"{many} rows in more than one of the declared parts, so the test part is not independent")
    if "test" not in pool.parts:
        notes.append(f"{declares_no_test(pool.parts)}, so rows for testing were drawn from those for training")
    return {
        name: torch.from_numpy(np.flatnonzero(pool.parts == name))
        for name in ("train", "val", "test")
        if (pool.parts == name).any()
    }


def declares_no_test(parts: np.ndarray) -> str:
    """Return a note on a declared split without test rows."""
    return f"the declared split has no test rows ({', '.join(sorted({str(p) for p in parts}))} only)"


def _groups_in_several(groups: np.ndarray, parts: np.ndarray) -> int:
    """Return how many groups have rows in several parts."""
    codes, names = (np.unique(a, return_inverse=True)[1].ravel() for a in (groups, parts))
    pairs = np.unique(np.stack([codes, names]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())


def untestable(pool: Pool) -> tuple[str, str]:
    """Return why no row of a pool can be tested, and the way out."""
    if pool.groups is None:
        return "no class has two examples", "add examples, or cut labels that are measurements into classes"
    count = len(np.unique(pool.groups))
    return (
        f"no class has two groups that could be separated ({count} group{'s' * (count > 1)} in all)",
        "add groups to the classes, name another column with --group, or leave it out if rows need not stay together",
    )


def _test_rows(pool: Pool, rows: Tensor, share: float, seed: int, notes: list[str]) -> tuple[Tensor, Tensor]:
    train, test = hold_out(pool, rows, share, seed)
    if len(test) == 0:
        reason, way_out = untestable(pool)
        raise ValueError(f"{reason}, so nothing can be held out for testing; {way_out}")
    if pool.groups is None:
        notes.append(f"{share:.0%} of every class was held out for testing (at least one, never the last one)")
    else:
        notes.append(
            f"about {share:.0%} of every class was held out for testing ({len(test) / len(rows):.1%} of all rows), "
            f"whole groups of the {len(np.unique(pool.groups[rows.numpy()]))} at a time"
        )
    return train, test


def _thinned(targets: Tensor, num_classes: int, ratio: float, profile: str) -> Tensor:
    """Return the rows of a long-tailed subset, ascending: as large as the class sizes allow."""
    available = torch.bincount(targets, minlength=num_classes).double()
    share = float(ratio) ** (torch.arange(num_classes) / max(num_classes - 1, 1)).double()
    if profile == "step":
        share = torch.tensor([1.0 if j < num_classes // 2 else float(ratio) for j in range(num_classes)])
    n_max = int((available * share).min()) if ratio >= 1 else 1
    counts = profiles.profile(profile, max(n_max, 1), num_classes, ratio)
    return torch.from_numpy(np.sort(profiles.subset(targets, counts, DATA_SEED)))
