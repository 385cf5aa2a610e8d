"""The preparation of a table: learnt from training rows, the same from a frame and from its file, saved as data."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from longtail.data.prepare.columns import CATEGORIES  # noqa: E402
from longtail.data.prepare.table import TablePreparation  # noqa: E402
from longtail.data.read.tables.read import read_table  # noqa: E402
from longtail.data.read.tables.table import Table  # noqa: E402


def mixed(n: int = 60, seed: int = 0) -> Any:
    """Numbers of several types, with gaps, truth values, dates, categories, codes, a constant, a name."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "color": random.choice(["red", "grün", "<b>", "NA?"], n),
            "width": random.normal(size=n),
            "narrow": random.normal(size=n).astype(np.float32),
            "count": random.integers(-5, 5, n),
            "gap": pd.array(random.integers(0, 9, n), dtype="Int64"),
            "flag": random.random(n) < 0.5,
            "maybe": pd.array(random.random(n) < 0.5, dtype="boolean"),
            "day": pd.to_datetime(random.integers(0, 2 * 10**9, n), unit="s"),
            "code": [f"{k:03d}" for k in random.integers(0, 12, n)],
            "same": 7,
            "id": [f"row {k}" for k in range(n)],
        }
    )
    for name in ("width", "gap", "maybe", "day", "code"):
        frame.loc[random.random(n) < 0.2, name] = None
    return frame


class TestTensor:
    def test_is_what_numpy_computes(self) -> None:
        frame = pd.DataFrame(
            {
                "b": ["y", "x", None, "y", "z"],
                "a": [1.0, np.nan, 4.0, 10.0, np.nan],
                "f": [True, False, True, True, False],
            }
        )
        found = TablePreparation.fit(frame)
        a = np.array([1.0, 4.0, 4.0, 10.0, 4.0])  # the median of 1, 4, 10 is 4
        f = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
        expected = np.stack(
            [(a - a.mean()) / a.std(), (f - f.mean()) / f.std(), [0, 1, 0, 0, 1], [2, 1, 0, 2, 3]], axis=1
        )
        assert found.names == ("a", "f", "a is missing", "b")
        assert (found.numeric, found.categories) == (3, (4,))
        inputs = found(frame)
        assert inputs.dtype == torch.float32
        np.testing.assert_allclose(inputs.numpy(), expected, rtol=1e-6)

    def test_numbers_alone_and_categories_alone(self) -> None:
        numbers = TablePreparation.fit(pd.DataFrame({"a": [1.0, 3.0]}))
        assert (numbers.numeric, numbers.categories, numbers(pd.DataFrame({"a": [2.0]})).tolist()) == (1, (), [[0.0]])
        words = TablePreparation.fit(pd.DataFrame({"b": ["u", "v"]}))
        assert (words.numeric, words.categories, words(pd.DataFrame({"b": ["v"]})).tolist()) == (0, (3,), [[2.0]])

    def test_unknown_and_missing_categories_are_code_0_and_said(self, caplog: pytest.LogCaptureFixture) -> None:
        found = TablePreparation.fit(pd.DataFrame({"b": ["u", "v"]}))
        with caplog.at_level(logging.INFO, logger="longtail"):
            assert found(pd.DataFrame({"b": ["w", None, "", "NA", "u"]})).flatten().tolist() == [0, 0, 0, 0, 1]
        assert "2 of 5 rows have a category that training did not" in caplog.text  # w, and NA, which is a name

    def test_a_gap_that_training_did_not_have_is_the_median(self) -> None:
        found = TablePreparation.fit(pd.DataFrame({"a": [1.0, 2.0, 9.0]}))
        assert found(pd.DataFrame({"a": [np.nan]})).equal(found(pd.DataFrame({"a": [2.0]})))

    def test_rare_categories_beyond_a_thousand_are_code_0(self) -> None:
        cells = [f"c{k}" for k in range(CATEGORIES) for _ in range(2)] + ["rare"]
        found = TablePreparation.fit(pd.DataFrame({"b": cells}))
        assert found.categories == (CATEGORIES + 1,)
        assert found(pd.DataFrame({"b": ["rare"]})).tolist() == [[0.0]]
        assert any("most frequent" in note for note in found.notes)

    @pytest.mark.slow
    def test_rows_are_prepared_one_by_one_as_together(self) -> None:
        frame = mixed()
        found = TablePreparation.fit(frame)
        alone = torch.cat([found(frame.iloc[[k]].reset_index(drop=True)) for k in range(len(frame))])
        assert alone.equal(found(frame))
        assert found(frame.iloc[:0]).shape == (0, len(found.names))

    def test_it_is_a_preparation(self) -> None:
        found = TablePreparation.fit(mixed())
        assert found.kind == "table"
        assert {note.split("'")[1] for note in found.notes} == {"same", "id", "code"}


class TestFiles:
    @pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
    def test_a_file_of_the_frame_gives_the_same_bytes(self, tmp_path: Path, suffix: str) -> None:
        train, new = mixed(seed=0), mixed(seed=1)
        path = tmp_path / f"t.{suffix}"
        if suffix == "parquet":
            new.to_parquet(path)
        else:
            new.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
        found = TablePreparation.fit(train)
        assert found(read_table(path).frame).numpy().tobytes() == found(new).numpy().tobytes()

    def test_fitted_on_the_file_or_on_the_frame_is_the_same(self, tmp_path: Path) -> None:
        train, new = mixed(seed=0), mixed(seed=1)
        train.to_csv(tmp_path / "t.csv", index=False)
        from_file, from_frame = TablePreparation.fit(read_table(tmp_path / "t.csv").frame), TablePreparation.fit(train)
        assert from_file.to_json() == from_frame.to_json()
        assert from_file(new).numpy().tobytes() == from_frame(new).numpy().tobytes()

    def test_more_columns_and_another_order_change_nothing(self) -> None:
        train = mixed()
        found = TablePreparation.fit(train)
        other = train[list(train.columns)[::-1]].assign(label="a", more=np.inf)
        assert found(other).equal(found(train))
        assert found(train.drop(columns=["same", "id"])).equal(found(train))


class TestLeaks:
    def test_rows_outside_of_training_move_nothing(self) -> None:
        """A planted column: in the other rows it is huge, has gaps and holds categories that tell the class."""
        train = pd.DataFrame({"n": [1.0, 2.0, 3.0, np.nan], "c": ["a", "b", "a", "b"], "k": [5, 5, 5, 5]})
        planted = pd.DataFrame({"n": [1e9, np.nan, -1e9, 1e9], "c": ["leak", "b", "leak", None], "k": [1, 2, 3, 4]})
        pool = Table(pd.concat([train, planted], ignore_index=True))
        rows = torch.arange(4)
        found, alone = TablePreparation.fit(pool.take(rows)), TablePreparation.fit(train)
        everything = TablePreparation.fit(pool)
        assert found.to_json() == alone.to_json() != everything.to_json()
        assert found(pool.take(rows)).equal(alone(train))
        filled = np.array([1.0, 2.0, 3.0, 2.0])
        inputs = found(pool)
        np.testing.assert_allclose(inputs[:4, 0].numpy(), (filled - 2) / filled.std(), rtol=1e-6)
        np.testing.assert_allclose(float(inputs[4, 0]), (1e9 - 2) / filled.std(), rtol=1e-6)
        assert float(inputs[5, 0]) == 0.0  # the training rows' median, which is their mean here
        assert inputs[4:, 2].tolist() == [0.0, 2.0, 0.0, 0.0]


class TestRefusals:
    def test_missing_columns_are_named(self) -> None:
        found = TablePreparation.fit(mixed())
        with pytest.raises(
            ValueError, match=r"got none called 'color', 'width'; it has 'narrow'|none called 'color', 'width'"
        ):
            found(mixed().drop(columns=["color", "width"]))

    def test_text_where_numbers_were_and_numbers_where_text_was(self) -> None:
        found = TablePreparation.fit(mixed())
        with pytest.raises(ValueError, match="column 'width' had numbers in the training rows"):
            found(mixed().assign(width="wide"))
        with pytest.raises(
            ValueError, match="column 'color' had categories such as '<b>' in the training rows, got int64"
        ):
            found(mixed().assign(color=3))

    def test_no_feature_left(self) -> None:
        with pytest.raises(
            ValueError, match=r"must have a feature column to learn from, got none \(column 'a' was left out"
        ):
            TablePreparation.fit(pd.DataFrame({"a": [1, 1]}))

    def test_numbers_too_far_from_training(self) -> None:
        found = TablePreparation.fit(pd.DataFrame({"a": [0.0, 1e-5, 2e-5]}))
        with pytest.raises(ValueError, match="column 'a' holds numbers too far"):
            found(pd.DataFrame({"a": [1e50]}))

    def test_what_is_no_frame(self) -> None:
        with pytest.raises(TypeError, match="must be a pandas frame, got ndarray"):
            TablePreparation.fit(np.zeros((3, 2)))


class TestSaved:
    def test_comes_back_to_the_byte(self) -> None:
        pytest.importorskip("longtail.facts.trusted")
        train, new = mixed(seed=0), mixed(seed=1)
        found = TablePreparation.fit(train)
        description, files = json.loads(json.dumps(found.to_json())), found.blobs()
        again = TablePreparation.from_json(description, files)
        assert (again.names, again.numeric, again.categories) == (found.names, found.numeric, found.categories)
        assert again(new).numpy().tobytes() == found(new).numpy().tobytes()

    def test_a_changed_description_or_file_is_refused(self) -> None:
        pytest.importorskip("longtail.facts.trusted")
        found = TablePreparation.fit(mixed())
        description, files = found.to_json(), found.blobs()
        with pytest.raises(ValueError, match="damaged"):
            TablePreparation.from_json({"kind": "table"}, files)
        with pytest.raises(ValueError, match="damaged"):
            TablePreparation.from_json(description, {})
        with pytest.raises(ValueError, match="does not fit"):
            TablePreparation.from_json(description | {"columns": description["columns"][1:]}, files)
        fewer = [c | {"categories": c["categories"][1:]} for c in description["columns"]]
        with pytest.raises(ValueError, match="does not fit"):
            TablePreparation.from_json(description | {"columns": fewer}, files)
        (name, data), *_ = files.items()
        with pytest.raises(ValueError, match="table preparation"):
            TablePreparation.from_json(description, {name: data[: len(data) // 2]})


class TestTable:
    def test_takes_rows_in_order_and_its_hash_sees_every_cell(self) -> None:
        import hashlib

        def digest(frame: Any) -> str:
            running = hashlib.sha256()
            Table(frame).update_hash(running)
            return running.hexdigest()

        frame = mixed()
        taken = Table(frame).take(torch.tensor([3, 1]))
        assert (len(taken), taken.frame["id"].tolist(), taken.frame.index.tolist()) == (2, ["row 3", "row 1"], [0, 1])
        assert digest(frame) == digest(mixed())
        seen = {digest(frame)}
        for name in frame.columns:
            changed = frame.copy()
            others = [v for v in frame[name].dropna().unique() if frame[name].isna()[5] or v != frame.loc[5, name]]
            changed.loc[5, name] = others[0] if others else 8  # one column holds 7 everywhere
            seen.add(digest(changed))
        seen.add(digest(frame.rename(columns={"id": "name"})))
        seen.add(digest(frame.iloc[::-1]))
        assert len(seen) == len(frame.columns) + 3
        two, one = pd.DataFrame({"a": ["ab", "c"]}), pd.DataFrame({"a": ["a", "bc"]})
        assert digest(two) != digest(one)
