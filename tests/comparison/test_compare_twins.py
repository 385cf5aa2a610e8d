"""Comparisons on small features and tables: both parts of a difference in every form, and another baseline."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.resealing import resealed

import longtail as lt
from longtail.comparison import compare, prepare
from longtail.comparison.estimate import estimate
from longtail.comparison.plan import corrects_plain, plan, twin_of
from longtail.engine import Recipe
from longtail.methods import method
from longtail.methods.entries import CATALOG

COUNTS = (120, 40, 16)
RNG = np.random.default_rng(0)
Y = np.repeat(np.arange(3), COUNTS)
X = RNG.normal(size=(len(Y), 3)) + Y[:, None]
SMALL: dict[str, Any] = {"epochs": 2, "jobs": 1, "model": "linear", "seeds": 2}
TREES = "trees(max_iter=5)"
ASKED = ["ce", TREES, "trees-cw(max_iter=5)", "logistic", "logistic-posthoc", "ldam-drw"]
PARTS = {"trees-cw(max_iter=5)": TREES, "logistic-posthoc": "logistic", "ldam-drw": "ce"}


def run(out: Path | None = None, **changes: Any) -> Any:
    return compare(X, Y, out=out, **{"methods": ASKED, **SMALL, **changes})


def planned(methods: Any, **changes: Any) -> Any:
    x = changes.pop("x", X)
    return plan(prepare(x, Y, methods=methods, **{"seeds": 1, "epochs": 2, "model": "linear", **changes}))


def specs(methods: Any, **changes: Any) -> list[str]:
    return [m.spec for m in planned(methods, **changes).methods]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("twins") / "out"
    return run(out), out


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("ce", False),
        ("ldam", False),
        ("ce-threshold", True),
        ("logit-adjusted-posthoc", True),
        ("trees-posthoc", True),
        ("logit-adjusted", False),
        ("logit-adjusted-threshold", False),  # the network that it corrects is no plain training
    ],
)
def test_what_only_corrects_plain_training(spec: str, expected: bool) -> None:
    assert corrects_plain(method(spec), "supervised") == expected


@pytest.mark.slow
class TestTwins:
    def test_every_row_has_its_twins_difference_by_hand(self, done: tuple[Any, Path]) -> None:
        result, out = done
        rows = {row["method"]: row for row in result.rows}
        assert {m: row["twin"]["method"] for m, row in rows.items() if row["twin"]} == PARTS
        for name, twin in PARTS.items():
            pair = [[json.loads((out / r["folder"] / "run.json").read_text()) for r in rows[m]["runs"]]
                    for m in (name, twin)]  # fmt: skip
            scores = [[run["scores"]["balanced_accuracy"] for run in runs] for runs in pair]
            each = [a - b for a, b in zip(*scores, strict=True)]
            found = rows[name]["twin"]
            assert found["mean"] == pytest.approx(sum(each) / 2, abs=1e-12)
            assert found["low"] <= found["mean"] <= found["high"]
        same = {key: rows["ldam-drw"]["twin"][key] for key in ("mean", "low", "high")}
        assert same == rows["ldam-drw"]["difference"]
        assert result.summary["verdict"]["statistics"]["contrasts"] == 5 + 2

    def test_both_parts_add_up_to_the_whole(self, done: tuple[Any, Path]) -> None:
        rows = {row["method"]: row for row in done[0].rows}
        for name, twin in PARTS.items():
            below = rows[twin]["difference"] or {"mean": 0.0}
            assert rows[name]["difference"]["mean"] == pytest.approx(below["mean"] + rows[name]["twin"]["mean"])

    def test_table_sentences_and_notebook_say_both_parts(self, done: tuple[Any, Path]) -> None:
        result, out = done
        twin = {row["method"]: row["twin"] for row in result.rows}["logistic-posthoc"]
        cell = f"{100 * twin['mean']:+.1f} [{100 * twin['low']:+.1f}, {100 * twin['high']:+.1f}]"
        for shown in (repr(result), result.to_markdown(), result._repr_html_(), (out / "comparison.md").read_text()):
            assert f"{cell} logistic" in shown
            assert "vs twin" in shown
            assert result.summary["twins"]["sentence"] in shown
            assert "Of 2 methods whose plain twin is not ce, " in shown
        assert f"<td>{cell} logistic</td>" in result._repr_html_()
        first = result.summary["verdict"]["sentence"]
        leader = result.summary["gain"]["method"]
        assert ("in parts" in first) == (PARTS.get(leader, "ce") != "ce")

    def test_the_csv_has_the_twin_in_columns_of_its_own(self, done: tuple[Any, Path]) -> None:
        result, out = done
        with open(out / "comparison.csv", newline="") as file:
            lines = {line["method"]: line for line in csv.DictReader(file)}
        for row in result.rows:
            line, twin = lines[row["method"]], row["twin"] or {}
            assert line["twin"] == twin.get("method", "")
            assert [line[f"vs_twin_{end}"] for end in ("mean", "low", "high")] == [
                str(twin[end]) if twin else "" for end in ("mean", "low", "high")
            ]

    def test_where_every_twin_is_the_reference_nothing_is_added(self) -> None:
        result = run(methods="ce,ldam-drw", seeds=1)
        assert "twin" not in repr(result)
        assert result.summary["twins"] is None
        assert result.summary["verdict"]["statistics"]["contrasts"] == 1


class TestWhoseTwin:
    @pytest.mark.parametrize(
        ("spec", "twin"),
        [
            ("trees", "trees"), ("trees-cw(max_iter=5)", TREES), ("trees-posthoc(tau=2.0, max_iter=5)", TREES),
            ("logistic-cw(C=2)", "logistic(C=2.0)"), ("logistic-posthoc", "logistic"), ("ldam-drw(scale=20)", "ce"),
            ("ce", "ce"), ("ce-threshold", "ce"), ("absgd", "ce"),
            ('absgd(base="ldam-drw(scale=20)")', "ldam-drw(scale=20.0)"),
        ],
    )  # fmt: skip
    def test_the_plain_method_of_the_same_model(self, spec: str, twin: str) -> None:
        assert twin_of(method(spec), "supervised") == twin

    @pytest.mark.parametrize("key", CATALOG)
    def test_a_post_hoc_method_shares_the_training_of_its_twin(self, key: str) -> None:
        one = method(key)
        twin = method(twin_of(one, one.task))
        assert twin_of(twin, one.task) == twin.spec or twin.retrains
        if not one.retrains:
            texts = [[stage.spec for stage in m.stages(Recipe())] for m in (one, twin)]
            assert twin.retrains
            assert texts[0] == texts[1]
            assert lt.methods.explained(key)["reads"] == twin.key

    def test_a_twin_of_nothing_is_refused_when_the_spec_is_resolved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(CATALOG, "odd", lambda: replace(CATALOG["ce"](), twin="nobody"))
        with pytest.raises(ValueError, match="the twin of method 'odd' must be a method, got 'nobody'; correct"):
            method("odd")


class TestWhoIsAdded:
    def test_on_features_missing_twins_come_before_their_methods(self) -> None:
        assert specs(["trees-cw(max_iter=5)"]) == ["ce", TREES, "trees-cw(max_iter=5)"]
        assert specs("logistic-posthoc,logistic") == ["ce", "logistic-posthoc", "logistic"]
        corrected = "absgd(base='ldam-drw', lam=2.0)"
        assert specs([corrected]) == ["ce", "ldam-drw", corrected]
        # ce as the twin of its own corrections, where another method is the baseline
        assert specs("focal", baseline="trees-cw") == ["trees", "trees-cw", "ce", "focal"]

    def test_images_get_no_further_training(self) -> None:
        images = RNG.integers(0, 255, (len(Y), 4, 4)).astype(np.uint8)
        assert specs("trees-cw", x=images, model="mlp") == ["ce", "trees-cw"]
        assert planned("trees-cw", x=images, model="mlp").twins == {}
        assert planned("trees,trees-cw", x=images, model="mlp").twins == {"trees-cw": "trees"}

    @pytest.mark.slow
    def test_the_estimate_counts_them(self, tmp_path: Path) -> None:
        options = {"methods": "trees-cw", "seeds": 1, "epochs": 2, "model": "linear", "out": tmp_path / "out"}
        assert estimate(prepare(X, Y, **options), 1)["methods"] == ["ce", "trees", "trees-cw"]


class TestBaseline:
    @pytest.mark.slow
    def test_the_verdict_is_about_it_and_a_folder_keeps_it(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        first = run(out, methods=["trees-cw(max_iter=5)"], baseline=TREES)
        assert {row["method"] for row in first.rows} == {TREES, "trees-cw(max_iter=5)"}
        assert (first.summary["reference"], first.summary["twins"]) == (TREES, None)
        assert re.search(r"(leads|beat) trees\(max_iter=5\)", first.verdict)
        assert f"vs {TREES}" in repr(first)
        config = json.loads((out / "config.json").read_text())
        assert (config["baseline"], config["methods"][0]) == (TREES, TREES)
        before = {path: path.stat().st_mtime_ns for path in out.glob("*/seed-*/run.json")}
        extended = run(out, methods=["ldam-drw"])
        assert extended.summary["reference"] == TREES
        twins = {row["method"]: row["twin"] and row["twin"]["method"] for row in extended.rows}
        assert twins == {TREES: None, "trees-cw(max_iter=5)": TREES, "ldam-drw": "ce", "ce": None}
        assert {path: path.stat().st_mtime_ns for path in before} == before
        # another one is only another reading of the same runs
        other = run(out, methods=["ldam-drw"], baseline="ce")
        assert other.summary["reference"] == "ce"
        assert {path: path.stat().st_mtime_ns for path in before} == before
        assert run(out, methods=["ldam-drw"]).summary["reference"] == "ce"

    def test_folders_from_before_have_the_tasks_reference(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        run(out, methods="ce,focal", seeds=1)
        resealed(out / "config.json", lambda config: config.pop("baseline"))
        assert run(out, methods="ce,focal", seeds=1).summary["reference"] == "ce"

    def test_a_corrected_training_may_be_the_baseline(self) -> None:
        result = run(methods="ce,focal", baseline="logit-adjusted-posthoc", seeds=1)
        assert result.summary["reference"] == "logit-adjusted-posthoc"
        roles = {row["method"]: row["role"] for row in result.rows}
        assert roles == {"logit-adjusted-posthoc": "reference", "ce": "method", "focal": "method"}
        assert result.summary["retraining"]["sentence"].count("logit-adjusted-posthoc") == 1

    @pytest.mark.parametrize(
        ("baseline", "line"),
        [
            ("zzzz", "baseline: unknown method 'zzzz'; see longtail methods"),
            ("quick", "baseline: method must be one method, got 'quick', a preset of several"),
            ("ldam-drw(scale=-1)", "baseline: scale must be > 0, got -1"),
            ("ce-threshold", "method 'ce-threshold' needs a validation part, got none; add"),
            (3, 'baseline: method must be a spec string or a Method, got 3; as in "ldam-drw'),
        ],
    )
    def test_what_is_no_method_of_the_task_is_refused_in_one_line(self, baseline: Any, line: str) -> None:
        with pytest.raises((ValueError, TypeError), match=re.escape(line)) as error:
            run(baseline=baseline)
        assert "\n" not in str(error.value)
