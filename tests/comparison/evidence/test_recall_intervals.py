"""What a comparison says of classes with few test examples and of methods that no seed changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import longtail as lt


def test_logistic_regression_has_no_deviation_and_rare_classes_a_mark(tmp_path: Path, drawn: None) -> None:
    draw = np.random.default_rng(0)
    y = np.repeat(["common", "rare", "rarest"], [120, 40, 8])
    X = draw.normal(size=(168, 4)).astype("float32") + 0.8 * (y == "rare")[:, None] - 0.8 * (y == "rarest")[:, None]
    found = lt.compare(X, y, methods="logistic", seeds=2, epochs=2, jobs=1, out=tmp_path)
    data, rows = found.summary["data"], {row["method"]: row for row in found.rows}
    assert data["test_rows"] == [30, 10, 2]
    assert [rows[name]["varies"] for name in ("ce", "logistic")] == [True, False]
    assert [len(rows["ce"][key]) for key in ("recall", "recall_interval")] == [3, 3]
    told = found.to_markdown()
    assert "few ‡" in told
    assert "medium ‡" not in told
    assert "'rarest' 2." in told
    line = next(line for line in told.splitlines() if line.startswith("| logistic"))
    assert "±" not in line
    assert "No ±: every seed gives the same (logistic)." in told
    assert "pale: fewer than 10 test examples" in (tmp_path / "recall.svg").read_text()


def test_with_weights_rows_are_counted(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(80, 3)).astype("float32"), np.arange(80) % 2
    found = lt.compare(X, y, methods="logistic", seeds=1, epochs=1, jobs=1, folds=2, sample_weight=np.full(80, 0.1))
    assert found.summary["data"]["test_rows"] == [40, 40]
    assert "‡" not in found.to_markdown()
