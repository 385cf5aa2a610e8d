"""Column types are inferred once, from all rows: one message for a bad cell in whichever part, and no leakage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from longtail.data import Examples, load, pool, split  # noqa: E402
from longtail.data.read.tables.column_types import Types, column_types  # noqa: E402
from longtail.data.read.tables.table_pool import table_pool  # noqa: E402
from longtail.data.split.folds import Folds  # noqa: E402

N = 60
LABEL = np.where(np.arange(N) % 3 == 0, "rare", "common")


def frame(**columns: Any) -> Any:
    return pd.DataFrame({"n": np.random.default_rng(0).normal(size=N), **columns, "label": LABEL})


class TestOneMessage:
    @pytest.mark.parametrize("row", range(0, N, 7))
    def test_a_stray_text_is_refused_alike_in_every_row(self, tmp_path: Path, row: int) -> None:
        cells = [f"{k}.5" for k in range(N)]
        cells[row] = "abc"
        frame(a=cells).to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(
            ValueError, match=rf"column 'a' holds 59 numbers and 1 text in row {row} \('abc'\); correct"
        ):
            pool(tmp_path / "t.csv", label="label")

    def test_an_infinite_cell_of_a_test_row_is_counted_among_all(self) -> None:
        parts = ["train"] * 40 + ["test"] * 20
        with pytest.raises(ValueError, match=r"column 'a' must hold finite numbers, got inf \(2 cells are infinite\)"):
            pool(frame(a=[1.0] * 38 + [2, 3] + [1.0] * 18 + [np.inf] * 2, s=parts), label="label", split="s")


class TestEveryFoldReadsAlike:
    @pytest.mark.parametrize(
        "cells",
        [
            ["A1"] * 4 + [str(k % 9) for k in range(N - 4)],
            ["maybe"] + ["true", "false"] * 29 + ["true"],
            ["soon"] * 4 + ["2020-01-01", "2020-01-02"] * 28,
            ["007"] + ["12", "14"] * 29 + ["12"],
            ["x", "y", "z", "?"] + ["1,5", "2,5"] * 28,
            [1, 2, "a", None] * 15,
        ],
        ids=["numbers", "truth", "dates", "codes", "decimal commas", "objects"],
    )
    def test_though_the_odd_cells_are_in_one_part_alone(self, cells: list[Any]) -> None:
        """A fold whose training rows are all numbers once failed on its test rows, in the middle of a comparison."""
        rows = pool(frame(a=pd.Series(cells, dtype=object)), label="label")
        typed = [
            k for k, cell in enumerate(cells) if cell not in ("A1", "maybe", "soon", "007", "x", "y", "z", "?", "a")
        ]
        parts = np.where(np.isin(np.arange(N), typed), "train", "test")
        apart = split(pool(frame(a=pd.Series(cells, dtype=object), s=parts), label="label", split="s"))
        assert apart.preparation is not None
        assert apart.preparation.names == ("n", "a")  # a category, coded last
        assert apart.preparation.categories[0] > 1
        assert isinstance(apart.test, Examples)
        assert not apart.test.inputs[:, 1].any()  # unknown to training
        for fold in range(5):
            made = Folds(rows, 5).splits(0, fold).preparation
            assert made is not None
            assert made.categories[0] > 1

    def test_and_says_so_once(self) -> None:
        rows = pool(frame(a=["A1", "17", "18"] * 20, b=["007", "12"] * 30), label="label")
        assert rows.notes[-2:] == (
            "column 'a' mixes numbers (17) and text ('A1'), read as categories",
            "column 'b' holds codes (007), read as categories",
        )
        assert len(set(split(rows).notes)) == len(split(rows).notes)

    def test_columns_of_one_kind_stay_as_they_are(self) -> None:
        plain = frame(a=["x", "y"] * 30, f=[True, False] * 30, d=pd.to_datetime(["2020-01-01", "2021-01-01"] * 30))
        assert column_types(plain) == Types([], [], [])


class TestNoLeak:
    """What is learnt from values is learnt from training rows, also of a file read by name."""

    def test_values_of_other_rows_do_not_reach_the_training_part(self, tmp_path: Path) -> None:
        parts = np.where(np.arange(N) % 4 == 0, "test", "train")
        draw = np.random.default_rng(1)
        clean = frame(k=draw.choice(["a", "b", "A7", "7"], N), s=parts)
        dirty = clean.copy()
        dirty.loc[parts == "test", "n"] = 1e9
        dirty.loc[(parts == "test") & (np.arange(N) % 8 == 0), "n"] = np.nan
        dirty.loc[parts == "test", "k"] = [f"planted {k}" for k in range(15)]
        loaded = []
        for name, table in (("clean", clean), ("dirty", dirty)):
            table.to_csv(tmp_path / f"{name}.csv", index=False)
            loaded.append(load(tmp_path / f"{name}.csv", label="label", split="s"))
        one, other = loaded
        assert one.train.inputs.equal(other.train.inputs)
        assert one.preparation.blobs() == other.preparation.blobs()
        assert one.preparation.to_json() == other.preparation.to_json()
        assert not one.test.inputs.equal(other.test.inputs)


class TestWeightsAndGroups:
    def test_a_row_of_weight_2_counts_as_two_rows_in_every_part(self) -> None:
        parts = np.where(np.arange(N) % 4 == 0, "test", np.where(np.arange(N) % 4 == 1, "val", "train"))
        times = np.arange(N) % 3 + 1
        rows = frame(s=parts, w=times)
        copies = rows.loc[np.repeat(rows.index, times)].reset_index(drop=True)
        weighed = split(table_pool(rows, label="label", split="s", weight="w"))
        copied = split(table_pool(copies.drop(columns="w"), label="label", split="s"))
        assert weighed.val is not None
        assert copied.val is not None
        for a, b in ((weighed.train, copied.train), (weighed.val, copied.val), (weighed.test, copied.test)):
            assert a.class_counts.tolist() == b.class_counts.tolist()
            assert len(a) < len(b)
        one = Folds(table_pool(rows.drop(columns="s"), label="label", weight="w"), 3)
        other = Folds(table_pool(copies.drop(columns=["s", "w"]), label="label"), 3)
        assert one.class_counts.tolist() == other.class_counts.tolist()
        assert one.test_counts.tolist() == other.test_counts.tolist()

    def test_groups_of_a_file_never_straddle_drawn_parts_and_folds(self, tmp_path: Path) -> None:
        table = frame(g=[f"patient {k}" for k in np.random.default_rng(3).integers(0, 20, N)])
        table["n"] = np.arange(N)  # tells the row
        table.to_csv(tmp_path / "t.csv", index=False)
        rows = pool(tmp_path / "t.csv", label="label", group="g")

        def patients(splits: Any, part: Examples) -> set[str]:
            # scaled back by the two training rows at the ends of the scale
            at = splits.preparation(table[["n"]])[:, 0]
            return {table["g"][int(torch.nonzero(at == value)[0])] for value in part.inputs[:, 0]}

        drawn = split(rows, val=0.2)
        folds = [Folds(rows, 3).splits(seed, fold) for seed in (0, 1) for fold in range(3)]
        for splits in (drawn, *folds):
            in_parts = [patients(splits, part) for part in (splits.train, splits.val, splits.test) if part is not None]
            assert all(in_parts)
            assert sum(map(len, in_parts)) == len(set.union(*in_parts))
