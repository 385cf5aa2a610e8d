"""Tables with empty label cells, with further rows without labels, and with cells that name several classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import Examples, load, pool
from longtail.data.split.folds import Folds

pandas = pytest.importorskip("pandas")
NAMES = np.repeat(["no", "maybe", "yes"], [12, 8, 4])


def frame(**columns: Any) -> Any:
    draw = np.random.default_rng(0)
    return pandas.DataFrame({"a": draw.normal(size=24), "kind": draw.choice(["x", "y"], 24), "fraud": NAMES, **columns})


def blanks(every: int = 4) -> Any:
    return frame(fraud=np.where(np.arange(24) % every == 1, "", NAMES))


class TestSame:
    @pytest.mark.parametrize("kind", ["csv", "parquet", "frame", "nan", "categorical"])
    def test_empty_label_cells_are_rows_without_a_label(self, kind: str, tmp_path: Path) -> None:
        data = blanks()
        if kind == "csv":
            data.to_csv(tmp_path / "t.csv", index=False)
        if kind == "parquet":
            data.to_parquet(tmp_path / "t.parquet")
        if kind in ("nan", "categorical"):
            data["fraud"] = data["fraud"].replace("", None)
        if kind == "categorical":
            data["fraud"] = data["fraud"].astype("category")
        source = tmp_path / f"t.{kind}" if kind in ("csv", "parquet") else data
        found = pool(source, label="fraud", unlabeled="same")
        assert found.unlabeled is not None
        assert found.unlabeled.source(torch.arange(6)).tolist() == [1, 5, 9, 13, 17, 21]
        assert sorted(found.classes) == ["maybe", "no", "yes"]
        assert [found.classes[j] for j in found.targets] == [n for k, n in enumerate(NAMES) if k % 4 != 1]
        splits = load(source, label="fraud", unlabeled="same")
        assert isinstance(splits.unlabeled, Examples)
        assert splits.unlabeled.inputs.shape == (6, splits.train.inputs.shape[1])

    def test_without_the_option_the_line_names_it(self) -> None:
        with pytest.raises(ValueError, match=r"empty in 6 of 24 rows, first in row 1; .*\(--unlabeled same\)"):
            pool(blanks(), "fraud")

    def test_no_empty_cell_is_refused(self) -> None:
        with pytest.raises(ValueError, match="needs rows without a label, got none in label column 'fraud'"):
            pool(frame(), "fraud", unlabeled="same")
        with pytest.raises(ValueError, match="must not be missing in every row"):
            pool(frame(fraud=""), "fraud", unlabeled="same")

    def test_a_declared_test_row_has_a_label(self) -> None:
        data = blanks().assign(part=np.where(np.arange(24) % 2, "test", "train"))
        with pytest.raises(
            ValueError, match="rows without a label must be training rows, got 6 that are declared test"
        ):
            pool(data, "fraud", split="part", unlabeled="same")


class TestFurtherRows:
    def test_of_a_file(self, tmp_path: Path) -> None:
        frame().to_csv(tmp_path / "t.csv", index=False)
        more = frame().drop(columns="fraud")[["kind", "a"]].iloc[:5]
        more.to_csv(tmp_path / "more.csv", index=False)
        found = pool(tmp_path / "t.csv", label="fraud", unlabeled=tmp_path / "more.csv")
        assert found.origin is not None
        assert found.unlabeled is not None
        rows = found.unlabeled.source(torch.tensor([0, 4])).tolist()
        assert found.origin.places(rows) == [("more.csv", 0), ("more.csv", 4)]
        splits = load(tmp_path / "t.csv", label="fraud", unlabeled=tmp_path / "more.csv")
        plain = load(tmp_path / "t.csv", label="fraud")
        assert torch.equal(splits.train.inputs, plain.train.inputs)
        assert splits.preparation is not None
        assert torch.equal(splits.unlabeled.inputs, splits.preparation(more))

    def test_the_preparation_is_fitted_on_labelled_training_rows_alone(self) -> None:
        more = frame().drop(columns="fraud").assign(a=1000.0, kind="z")
        splits = load(frame(), "fraud", unlabeled=more)
        assert splits.train.inputs[:, 0].mean().abs() < 1e-6
        assert (splits.unlabeled.inputs[:, 1] == 0).all()  # a category that no labelled training row has

    def test_of_other_types_leave_the_labelled_rows_as_they_are(self) -> None:
        data = frame(n=np.arange(24), d=pandas.Categorical(np.resize(["7", "07"], 24)))
        more = data.drop(columns="fraud").astype({"n": float, "d": str}).assign(n=0.5)
        splits, plain = load(data, "fraud", unlabeled=more), load(data, "fraud")
        assert torch.equal(splits.train.inputs, plain.train.inputs)
        assert torch.equal(splits.unlabeled.inputs[:, -1], plain.preparation(data)[:, -1])

    def test_of_files_without_a_header(self, tmp_path: Path) -> None:
        frame().to_csv(tmp_path / "t.csv", index=False, header=False)
        frame().drop(columns="fraud").iloc[:3].to_csv(tmp_path / "more.csv", index=False, header=False)
        found = pool(tmp_path / "t.csv", label="last", unlabeled=tmp_path / "more.csv")
        assert found.unlabeled is not None
        assert len(found.unlabeled) == 3

    def test_a_split_column_is_not_needed_and_groups_are(self) -> None:
        data = frame(part=np.where(np.arange(24) % 2, "test", "train"), who=np.arange(24) % 6)
        more = data.drop(columns=["fraud", "part"])
        splits = load(data, "fraud", split="part", group="who", unlabeled=more)
        assert splits.unlabeled is not None
        assert len(splits.unlabeled) == 12  # those of groups 0, 2 and 4, which have no test row
        assert any("in groups that are held out" in note for note in splits.notes)
        with pytest.raises(ValueError, match="must share no group with rows held out, got all 4 in such groups"):
            load(data, "fraud", split="part", group="who", unlabeled=more[more["who"] == 1])
        with pytest.raises(ValueError, match="got no column 'who'"):
            pool(data, "fraud", group="who", unlabeled=data.drop(columns=["fraud", "who"]))

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            (lambda more: more.drop(columns="a"), "must have the columns of the labelled ones, got no column 'a'"),
            (lambda more: more.assign(b=1), "got column 'b' beside them"),
            (lambda more: more.assign(fraud=""), "must be a table without the label column 'fraud'"),
            (lambda more: more.assign(a="text"), "column 'a'"),
            (lambda more: 5, "a table must be a path or a pandas frame"),
        ],
    )
    def test_others_are_refused(self, change: Any, line: str) -> None:
        with pytest.raises((ValueError, TypeError), match=line):
            load(frame(), "fraud", unlabeled=change(frame().drop(columns="fraud")))


class TestCandidates:
    CELLS = np.where(np.arange(24) % 3 == 0, [f" {n} | {'no' if n == 'yes' else 'yes'}" for n in NAMES], NAMES)

    def test_cells_name_several_classes(self) -> None:
        found = pool(frame(fraud=self.CELLS), "fraud", candidates="|")
        assert found.classes == ("maybe", "no", "yes")
        for row, cell in zip(found.targets, self.CELLS, strict=True):
            assert {found.classes[j] for j in row.nonzero().flatten()} == {name.strip() for name in cell.split("|")}
        assert found.facts["candidates"] == "|"

    def test_numbers_are_in_the_order_of_their_values(self) -> None:
        cells = np.where(np.arange(24) % 2 == 0, "10;9", np.where(np.arange(24) % 3 == 0, "2", "9"))
        assert pool(frame(fraud=cells), "fraud", candidates=";").classes == ("2", "9", "10")

    @pytest.mark.parametrize(
        ("cell", "line"),
        [
            ("", "must name at least one candidate in every row, got an empty one in row 5"),
            ("no||yes", "got an empty name in 'no||yes' in row 5"),
            ("no|maybe|yes", "got all 3 classes in row 5"),
        ],
    )
    def test_an_empty_or_full_set_is_refused(self, cell: str, line: str) -> None:
        cells = self.CELLS.astype(object)
        cells[5] = cell
        with pytest.raises(ValueError) as caught:
            pool(frame(fraud=cells), "fraud", candidates="|")
        assert line in str(caught.value)

    def test_other_arguments_are_refused(self) -> None:
        data = frame(fraud=self.CELLS)
        with pytest.raises(ValueError, match="got no cell with ';'"):
            pool(data, "fraud", candidates=";")
        with pytest.raises(ValueError, match="candidates must be among the classes, got 'yes'"):
            pool(data, "fraud", candidates="|", classes=["no", "maybe"])
        with pytest.raises(ValueError, match="cannot go with candidates"):
            pool(data, "fraud", candidates="|", unlabeled="same")
        with pytest.raises(ValueError, match="must not be empty"):
            pool(data, "fraud", candidates="")
        with pytest.raises(TypeError, match="must be the text that separates class names"):
            pool(data, "fraud", candidates=np.ones((24, 3), bool))

    def test_folds_test_rows_with_one(self) -> None:
        folds = Folds(pool(frame(fraud=self.CELLS), "fraud", candidates="|"), 3)
        assert folds.tested.tolist() == [k for k in range(24) if k % 3]


class TestMessages:
    """They name the argument, whatever part of reading they come from."""

    def test_of_further_rows(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"^unlabeled \(--unlabeled\): data file '.*gone.csv' does not exist"):
            pool(frame(), "fraud", unlabeled=tmp_path / "gone.csv")
        more = frame(a="text").drop(columns="fraud")
        with pytest.raises(ValueError, match=r"^unlabeled \(--unlabeled\): column 'a' had numbers in the training"):
            load(frame(), "fraud", unlabeled=more)

    def test_of_an_array_of_sets_beside_a_frame(self) -> None:
        with pytest.raises(TypeError, match=r"^candidates \(--candidates\) must be the text .* beside arrays only"):
            pool(frame().drop(columns="fraud"), candidates=np.ones((24, 3), dtype=bool))
