"""A split by time: no training row is as late as a validation row, none of these as late as a test row."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases import cases

import longtail as lt
from longtail.data import pool as read_pool
from longtail.data.every_row import load_every_row
from longtail.data.pool import Pool
from longtail.data.read.times import Times
from longtail.data.rows import Examples
from longtail.data.split.by_time import later
from longtail.data.split.folds import Folds
from longtail.data.split.holdout import split
from longtail.data.split.search import search_splits, training_pool

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def rows(times: Any, labels: Any, groups: Any = None) -> Pool:
    n, names = len(labels), ("a", "b")
    targets = torch.tensor(labels)
    inputs = torch.arange(n, dtype=torch.float32)[:, None]
    return Pool(
        "data", Examples(inputs, targets, names), targets, names,
        groups=None if groups is None else np.array(groups), times=Times(np.array(times, dtype=np.float64), False),
    )  # fmt: skip


def frame(n: int = 40) -> Any:
    order = np.random.default_rng(1).permutation(n)
    day = pd.date_range("2024-01-01", periods=n, freq="D").strftime("%Y-%m-%d").to_numpy()
    data = {"x": np.arange(n) * 1.0, "when": day, "y": np.where(np.arange(n) % 3 == 0, "rare", "often")}
    return pd.DataFrame(data).iloc[order].reset_index(drop=True)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=3, max_size=40),
    st.floats(0.01, 0.99),
    st.booleans(),
)
def test_is_by_brute_force(drawn: list[tuple[int, int]], share: float, grouped: bool) -> None:
    """Of all cuts between moments the one whose later share is nearest, the later of two; nothing else."""
    times, codes = [t for t, _ in drawn], [g for _, g in drawn]
    pool = rows(times, [0] * len(times), codes if grouped else None)
    moments = sorted(set(times))
    if len(moments) < 2:
        with pytest.raises(ValueError, match="so none is later"):
            later(pool, torch.arange(len(times)), share, "test", [])
        return
    far = {cut: abs(sum(t >= cut for t in times) / len(times) - share) for cut in moments[1:]}
    cut = max(c for c, distance in far.items() if distance <= min(far.values()) + 1e-12)
    if sum(t >= cut for t in times) / len(times) > share + 0.25:
        with pytest.raises(ValueError, match=r"times must have a moment that cuts off about .* finer column"):
            later(pool, torch.arange(len(times)), share, "test", [])
        return
    past = [k for k, t in enumerate(times) if t < cut]
    future = [k for k, t in enumerate(times) if t >= cut]
    if grouped:
        future = [k for k in future if codes[k] not in {codes[p] for p in past}]
    if not future:
        with pytest.raises(ValueError, match="has earlier ones, too, so there is none"):
            later(pool, torch.arange(len(times)), share, "test", [])
        return
    before, after = later(pool, torch.arange(len(times)), share, "test", [])
    assert (before.tolist(), after.tolist()) == (past, future)


class TestSplits:
    def test_train_on_the_past_validate_on_its_latest_and_test_on_the_future(self) -> None:
        splits = lt.data.load(frame(), "y", time="when", val=0.2)
        assert splits.val is not None
        assert splits.preparation is not None
        x = [part.inputs[:, 0] for part in (splits.train, splits.val, splits.test)]
        assert x[0].max() < x[1].min()
        assert x[1].max() < x[2].min()
        assert [len(part) for part in x] == [24, 6, 10]
        assert splits.preparation.names == ("x",)
        assert splits.facts["time"] == "when"
        assert (
            "test: 25 % of the rows (10), those from 2024-01-31 on by column 'when', which is no feature; the 30 "
            "before are of 2024-01-01 to 2024-01-30"
        ) in splits.notes
        assert any(
            note.startswith("validation: 20 % of the rows (6), those from 2024-01-25 on;") for note in splits.notes
        )
        assert splits.hash != lt.data.load(frame(), "y", drop_columns="when", val=0.2).hash

    def test_rows_of_the_moment_of_the_cut_are_all_later_and_said(self) -> None:
        notes: list[str] = []
        _, after = later(rows([1, 1, 2, 2, 2, 3], [0] * 6), torch.arange(6), 0.5, "test", notes)
        assert after.tolist() == [2, 3, 4, 5]
        assert "3 rows are of 2 itself, all of them on the later side" in notes

    def test_later_rows_of_a_group_with_earlier_ones_are_in_neither_part(self) -> None:
        pool = rows([1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 0, 1], [0, 1, 2, 2, 0, 3])
        splits = split(pool, test=0.5)
        assert splits.test_rows is not None
        assert splits.test_rows.tolist() == [5]
        assert splits.train_rows is not None
        assert splits.train_rows.tolist() == [0, 1, 2]
        assert any(note.startswith("2 rows from then on are of groups with earlier rows") for note in splits.notes)

    def test_a_class_of_the_future_is_named_and_one_of_the_past_noted(self) -> None:
        with pytest.raises(ValueError, match=r"class 'b' has rows only from 4 on, where the test part begins"):
            split(rows([1, 2, 3, 4], [0, 0, 0, 1]), test=0.25)
        with pytest.raises(ValueError, match=r"class 'b' has rows only from 3 on, where the validation part"):
            split(rows([1, 2, 3, 4], [0, 0, 1, 1]), test=0.25, val=0.34)
        splits = split(rows([1, 2, 3, 4], [1, 0, 0, 0]), test=0.25)
        assert any("1 of 2 classes cannot be measured: b" in note for note in splits.notes)

    def test_a_search_and_every_row(self) -> None:
        pool = read_pool(frame(), "y", time="when")
        search = search_splits(pool, val=0.2)
        assert search.train.inputs.max() < search.test.inputs.min()
        inner = training_pool(pool)
        assert len(inner) == 30
        assert inner.times is not None
        whole = load_every_row(frame(), "y", time="when", val=0.25)
        assert whole.val is not None
        assert len(whole.train) == 30
        assert whole.train.inputs.max() < whole.val.inputs.min()

    def test_rows_without_labels_of_the_future_are_left_out(self) -> None:
        rest = pd.DataFrame({"x": [0.5, 99.0], "when": ["2024-01-02", "2024-03-01"]})
        splits = lt.data.load(frame(), "y", time="when", unlabeled=rest)
        assert splits.unlabeled is not None
        assert len(splits.unlabeled) == 1
        assert "1 rows without labels are from 2024-01-31 on, and were left out" in splits.notes
        with pytest.raises(ValueError, match="rows without labels must be older than those held out, got all 1"):
            lt.data.load(frame(), "y", time="when", unlabeled=rest.iloc[1:])

    @pytest.mark.parametrize("ratio", [None, 2.0])
    def test_a_long_tailed_cut_is_of_the_past_alone(self, ratio: float | None) -> None:
        splits = lt.data.load(frame(), "y", time="when", ratio=ratio)
        assert len(splits.test) == 10
        assert len(splits.train) == (30 if ratio is None else int(splits.class_counts.sum()))


@cases(
    ("options", "line"),
    [
        ({"time": "when", "split": "part"}, r"time \(--time\) divides the rows, and these data declare their parts"),
        ({"time": "y"}, "another column than the label"),
        ({"time": "none"}, r"time \(--time\) must be a column, got 'none'"),
        ({"time": "part"}, "must hold numbers, or dates"),
        ({"time": "when", "group": "when"}, "must be different columns"),
        ({"time": "when", "drop_columns": ["when"]}, "column 'when' cannot be both time and drop_columns"),
        ({"time": "when", "candidates": "|"}, "needs one label a row, got candidates"),
    ],
)
def test_what_does_not_go_with_time_is_refused(options: dict[str, Any], line: str) -> None:
    data = frame().assign(part=["train", "test"] * 20)
    if "candidates" in options:
        data["y"] = ["rare|often", "other", "often", "rare"] * 10
    with pytest.raises(ValueError, match=line):
        read_pool(data, "y", **options)


def test_folds_are_refused_but_where_labels_are_judged() -> None:
    from longtail.comparison.input_data import load_folds, load_search

    pool = read_pool(frame(), "y", time="when")
    with pytest.raises(ValueError, match=r"folds \(--folds, --inner-folds\) test the past by the future"):
        Folds(pool, 2)
    with pytest.raises(ValueError, match="test the past by the future"):
        load_folds(frame(), "y", 3, {"time": "when"})
    with pytest.raises(ValueError, match="test the past by the future"):
        load_search(frame(), "y", 3, {"time": "when"})
    judged = load_search(frame(), "y", 3, {"time": "when"}, any_time=True)
    assert isinstance(judged, Folds)
    assert len(judged.pool) == 30
