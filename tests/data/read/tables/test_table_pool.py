"""One call reads a table with its label, split, groups and weights; the four real tables among them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from longtail.data.prepare.table import TablePreparation  # noqa: E402
from longtail.data.read.tables.table_pool import table_pool  # noqa: E402

REAL = Path(__file__).parents[5] / "shared" / "data" / "tabular"


def frame(n: int = 12) -> Any:
    return pd.DataFrame(
        {
            "a": np.arange(n) * 1.5,
            "kind": ["x", "y", "z"] * (n // 3),
            "part": (["train"] * 2 + ["Valid", "test"]) * (n // 4),
            "patient": [f"p{k // 2}" for k in range(n)],
            "times": np.arange(n) % 3,
        }
    )


ROLES = {"label": "kind", "split": "part", "group": "patient", "weight": "times"}


class TestRoles:
    @pytest.mark.parametrize("as_file", [False, True])
    def test_are_read_and_never_features(self, tmp_path: Path, as_file: bool) -> None:
        frame().to_csv(tmp_path / "visits.csv", index=False)
        pool = table_pool(tmp_path / "visits.csv" if as_file else frame(), **ROLES)
        assert list(pool.rows.frame.columns) == ["a"]
        assert pool.classes == ("x", "y", "z")
        assert pool.targets.tolist() == [0, 1, 2] * 4
        assert pool.parts is not None
        assert pool.parts.tolist() == ["train", "train", "val", "test"] * 3
        assert pool.groups is not None
        assert pool.groups.tolist() == [k // 2 for k in range(12)]
        assert pool.sample_weight is not None
        assert pool.sample_weight.tolist() == [k % 3 for k in range(12)]
        assert pool.name == ("visits" if as_file else "data")
        assert pool.facts == {"source": pool.name, **ROLES}

    def test_by_position_without_a_header(self, tmp_path: Path) -> None:
        frame().to_csv(tmp_path / "t.csv", index=False, header=False)
        pool = table_pool(tmp_path / "t.csv", label="2", split="3", group="4", weight="5")
        assert list(pool.rows.frame.columns) == ["column1"]
        assert pool.classes == ("x", "y", "z")

    def test_a_label_that_the_first_line_holds_makes_it_a_header(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("2019,kind\n5,x\n6,y\n")
        assert table_pool(tmp_path / "t.csv", label="kind").classes == ("x", "y")
        with pytest.raises(ValueError, match="'species'; its first line was taken as data: pass header=True"):
            table_pool(tmp_path / "t.csv", label="species")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                {"part": ["train", "holdout"] * 6},
                r"split column 'part' must hold train, val or test .* got 'holdout' in row 1",
            ),
            ({"part": ["train", None] * 6}, r"split column 'part' must hold train, val or test .* got '' in row 1"),
            (
                {"patient": ["p", None] * 6},
                r"group column 'patient' must be filled in every row, got '' in row 1 \(6 such rows\)",
            ),
            ({"times": ["1", "often"] * 6}, r"weight column 'times' must hold finite numbers >= 0, got 'often'"),
            ({"times": [1.0, np.nan] * 6}, r"weight column 'times' must hold finite numbers >= 0, got '' in row 1"),
            ({"times": ["1", ""] * 6}, r"weight column 'times' must hold finite numbers >= 0, got ''"),
            ({"times": [1, -1] * 6}, r"finite numbers >= 0, got '-1' in row 1 \(6 such rows\)"),
            ({"times": [1, np.inf] * 6}, r"finite numbers >= 0, got 'inf'"),
            ({"times": [0] * 12}, "must not be zero everywhere"),
        ],
    )
    def test_cells_that_do_not_fit_a_role_are_refused(self, change: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            table_pool(frame().assign(**change), **ROLES)

    def test_roles_that_do_not_exist_or_meet_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"group \(--group\) must be a column, got 'none'; columns are"):
            table_pool(frame(), label="kind", group="none")
        with pytest.raises(ValueError, match="another column than the label"):
            table_pool(frame(), label="kind", group="kind")
        with pytest.raises(ValueError, match="must be different columns, got part, part"):
            table_pool(frame(), label="kind", group="part", split="part")
        frame().to_csv(tmp_path / "train.csv", index=False)
        frame().to_csv(tmp_path / "test.csv", index=False)
        assert table_pool(tmp_path, label="kind").parts is not None
        with pytest.raises(ValueError, match="declared once"):
            table_pool(tmp_path, label="kind", split="part")


class TestSources:
    def test_of_another_kind_are_refused(self) -> None:
        with pytest.raises(TypeError, match="a path or a pandas frame, got ndarray"):
            table_pool(np.zeros((3, 2)), label="y")
        with pytest.raises(ValueError, match="not for a frame"):
            table_pool(frame(), label="kind", delimiter=";")
        with pytest.raises(ValueError, match="every column once, got 'a' 2 times"):
            table_pool(pd.DataFrame([[1, 2, "x"]], columns=["a", "a", "y"]), label="y")
        with pytest.raises(ValueError, match="must have rows"):
            table_pool(frame().iloc[:0], label="kind")
        with pytest.raises(ValueError, match="must have features beside the label 'kind'"):
            table_pool(frame()[["kind"]], label="kind")

    def test_columns_of_a_frame_may_be_numbers(self) -> None:
        pool = table_pool(pd.DataFrame([[0.5, "x"], [1.5, "y"]]), label=1)
        assert (list(pool.rows.frame.columns), pool.classes) == (["0"], ("x", "y"))

    def test_names_that_spreadsheets_and_pages_would_run_are_names(self, tmp_path: Path) -> None:
        odd = ["=1+1", "<script>", "nan", "NA", "None", "@x"]
        pd.DataFrame({"=a": range(6), "<b>": [1.5] * 5 + [2], "y": odd}).to_csv(tmp_path / "t.csv", index=False)
        pool = table_pool(tmp_path / "t.csv")
        assert sorted(pool.classes) == sorted(odd)
        assert TablePreparation.fit(pool.rows).names == ("=a", "<b>")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real tables are not here")
class TestRealTables:
    @pytest.mark.parametrize(
        ("file", "rows", "features", "counts"),
        [
            ("mammography.csv", 11183, (6, ()), {"-1": 10923, "1": 260}),
            ("abalone.csv", 4177, (7, (4,)), {"1": 1, "9": 689, "29": 1}),
            ("winequality-white.csv", 4898, (11, ()), {"3": 20, "6": 2198, "9": 5}),
            ("ecoli.csv", 336, (7, ()), {"cp": 143, "imL": 2, "imS": 2}),
        ],
    )
    def test_one_call_reads_each(self, file: str, rows: int, features: Any, counts: dict[str, int]) -> None:
        pool = table_pool(REAL / file)
        assert len(pool) == rows == len((REAL / file).read_text().split())
        found = dict(zip(pool.classes, pool.class_counts.tolist(), strict=True))
        assert found | counts == found
        assert sum(found.values()) == rows
        prepared = TablePreparation.fit(pool.rows)
        inputs = prepared(pool.rows)
        assert (prepared.numeric, prepared.categories) == features
        plain = pd.read_csv(REAL / file, header=None).iloc[:, :-1].select_dtypes("number").to_numpy()
        own = inputs[:, : prepared.numeric].numpy().astype(np.float64)
        scaled = (plain - plain.mean(0)) / plain.std(0)
        kept = [k for k in range(plain.shape[1]) if plain[:, k].std() > 0]
        np.testing.assert_allclose(own, scaled[:, kept], atol=1e-5)
        assert any("last column" in note for note in pool.notes)
