"""Whatever the test rows hold, a search ends with the same bytes: they are not read before the choice."""

import numpy as np
import pytest
import torch

from longtail.comparison.tune.tune import tune
from longtail.data.read.dispatch import pool
from longtail.data.split.holdout import TEST_SHARE, divided

pd = pytest.importorskip("pandas")
N = 240


def _table(draw):
    y = np.repeat(["a", "b", "c"], [160, 50, 30])
    return pd.DataFrame({
        "x": np.round(draw.normal(size=N) + (y == "b") - (y == "c"), 3), "u": np.round(draw.normal(size=N), 3),
        "code": draw.choice(["p", "q", "7"], N), "label": y,
    })  # fmt: skip


def _test_rows(frame):
    _, rows, *_ = divided(pool(frame, "label"), TEST_SHARE, None, None, "exp", 0, None)
    return rows["test"].numpy()


def _damaged(frame, rows, *, labels):
    """The label as a number in a column, text among numbers, numbers that would ruin a scaler, other categories."""
    made = frame.astype({"x": object, "u": object})
    made.loc[rows, "x"] = 1e9 * (1 + (frame["label"][rows] == "b"))
    made.loc[rows, "u"] = [f"text {i}" for i in range(len(rows))]  # by itself, it would make the column categories
    made.loc[rows, "code"] = "planted"
    if labels:
        made.loc[rows, "label"] = np.roll(frame["label"][rows], 7)
    return made


@pytest.mark.parametrize(("asked", "declared"), [({"val": 0.25}, False), ({"inner_folds": 2}, True)])
def test_damage_of_the_test_rows_changes_nothing(tmp_path, asked, declared):
    frame = _table(np.random.default_rng(0))
    rows = _test_rows(frame)
    written = []
    for name, table in (("clean", frame), ("damaged", _damaged(frame, rows, labels=declared))):
        (tmp_path / name).mkdir()
        part = {"split": np.where(np.isin(np.arange(N), rows), "test", "train")} if declared else {}
        table.assign(**part).to_csv(tmp_path / name / "t.csv", index=False)
        options = {"split": "split"} if declared else {}
        out = tmp_path / name / "out"
        tune(
            tmp_path / name / "t.csv", label="label", method="ce", vary="lr=[1e-5, 0.1]", epochs=3, out=out,
            run={"jobs": 1}, **options, **asked,
        )  # fmt: skip
        files = sorted(p.relative_to(out) for p in [*out.glob("tune.*"), *out.rglob("predictions.safetensors")])
        assert len(files) == 5 if "val" in asked else 9
        written.append({file: (out / file).read_bytes() for file in files})
    assert written[0] == written[1]


class Rows(torch.utils.data.Dataset):
    """Images of two classes, of which some must not be read."""

    def __init__(self):
        self.targets = torch.arange(80) % 2
        self.forbidden = set()

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, row):
        assert int(row) not in self.forbidden, f"row {row} was read"
        y = int(self.targets[row])
        return torch.full((1, 4, 4), float(y)) + 0.01 * int(row), y


@pytest.mark.parametrize("asked", [{"val": 0.25}, {"inner_folds": 2}])
def test_test_rows_of_a_data_set_are_not_accessed(asked):
    data = Rows()
    read = pool(data)  # reads a few rows, to check that they do not change
    _, rows, *_ = divided(read, TEST_SHARE, None, None, "exp", 0, None)
    data.forbidden = {*rows["test"].tolist()}
    result = tune(read, method="ce", vary="lr=[1e-6, 0.1]", epochs=2, model="linear", run={"jobs": 1}, **asked)
    assert result.recipe == {"lr": 0.1}
