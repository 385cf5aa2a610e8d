"""Inspection of rows without labels and of candidate sets: what is known of them, and what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.task_data import splits

from longtail.cli import run
from longtail.comparison import prepare
from longtail.data import load
from longtail.inspection import inspection, rules


def unknown(task: str) -> Any:
    """The data of a task whose true labels nobody has."""
    return replace(splits(task), truth=None)


class TestRowsWithoutLabels:
    def test_are_counted_and_their_classes_unknown(self) -> None:
        data = unknown("semi-supervised")
        document = inspection(data)
        assert document["unlabeled"] == {"rows": len(data.unlabeled), "true_counts": None, "tested": 0}
        assert (document["counts_known"], document["candidates"], document["label_kind"]) == (True, None, "given")
        assert f"and {len(data.unlabeled)} without labels" in document["headline"]
        assert document["class_counts"] == data.train.class_counts.tolist()
        (line,) = document["unknown"]
        assert line.startswith(f"the classes of the {len(data.unlabeled)} rows without labels")
        assert json.loads(json.dumps(document, allow_nan=False)) == document

    def test_have_true_counts_where_labels_were_only_hidden(self) -> None:
        data = splits("semi-supervised")
        document = inspection(data)
        hidden = data.truth[len(data.train) :]
        assert document["unlabeled"]["true_counts"] == [int((hidden == j).sum()) for j in range(3)]
        assert document["unknown"] == []

    def test_that_are_tested_are_found(self) -> None:
        data = unknown("semi-supervised")
        inputs = data.unlabeled.inputs.clone()
        inputs[:2] = data.test.inputs[:2]
        document = inspection(replace(data, unlabeled=replace(data.unlabeled, inputs=inputs)))
        assert document["unlabeled"]["tested"] == 2
        assert any("2 test rows are among the rows without labels too" in line for line in document["findings"])
        assert not any("among the rows without labels" in line for line in inspection(data)["findings"])

    def test_get_the_comparison_of_their_task(self) -> None:
        steps = {step["about"]: step for step in inspection(unknown("semi-supervised"), data="a.npz")["advice"]}
        assert steps["compare"]["command"] == "longtail compare a.npz --methods quick,logit-adjusted"


class TestCandidateSets:
    def test_have_sizes_and_hide_those_of_the_classes(self) -> None:
        data = unknown("partial")
        document = inspection(data)
        sizes = data.train.targets.sum(1).tolist()
        found = document["candidates"]
        assert found["sizes"] == {str(k): sizes.count(k) for k in (1, 2, 3) if k in sizes}
        assert found["mean"] == pytest.approx(float(np.mean(sizes)))
        assert (found["known"], found["full"], found["true_counts"]) == (sizes.count(1), sizes.count(3), None)
        assert document["counts_known"] is False
        listed = ", ".join(f"{k}: {sizes.count(k)}" for k in (1, 2, 3) if k in sizes)
        assert any(line.endswith(f"(rows by size: {listed})") for line in document["findings"])
        assert document["imbalance_ratio"] is document["gini"] is None
        assert document["class_counts"] == pytest.approx(data.train.class_counts.tolist())
        assert document["headline"].endswith("expected), imbalance ratio unknown")
        assert document["rows"] == len(data.train) + len(data.test)
        # what is counted row by row is of the rows whose class is known
        single = [row.tolist().index(True) for row in data.train.targets if row.sum() == 1]
        known = [single.count(j) + int((data.test.targets == j).sum()) for j in range(3)]
        assert document["all_counts"] == known
        assert document["singletons"] == []
        assert document["unknown"][0].startswith("the class sizes and the imbalance ratio")
        assert json.loads(json.dumps(document, allow_nan=False)) == document

    def test_classes_that_are_candidates_only_beside_another_are_named(self) -> None:
        data = unknown("partial")
        assert inspection(data)["candidates"]["always_with"] == []
        sets = data.train.targets.clone()
        sets[:, 1] |= sets[:, 2]
        sets[sets[:, 0] & sets[:, 2]] = torch.tensor([False, True, True])
        document = inspection(replace(data, train=replace(data.train, targets=sets)))
        names, rows = data.classes, int(sets[:, 2].sum())
        assert document["candidates"]["always_with"] == [{"class": names[2], "other": names[1], "rows": rows}]
        (line,) = [line for line in document["findings"] if "only beside" in line]
        assert line == (
            f"1 class is a candidate only beside a certain other one, for instance all {rows} sets with '{names[2]}' "
            f"also name '{names[1]}'; no method can tell such a class from the other"
        )

    def test_have_true_counts_where_sets_were_simulated(self) -> None:
        data = splits("partial")
        document = inspection(data)
        counts = [int((data.truth == j).sum()) for j in range(3)]
        assert document["class_counts"] == document["candidates"]["true_counts"] == counts
        assert document["imbalance_ratio"] == counts[0] / counts[-1]
        assert document["unknown"] == []

    def test_conflict_only_where_the_class_is_known(self) -> None:
        data = unknown("partial")
        inputs = data.train.inputs.clone()
        several = (data.train.targets.sum(1) > 1).nonzero().flatten()[:2]
        inputs[several] = 0.0
        document = inspection(replace(data, train=replace(data.train, inputs=inputs)))
        assert (document["duplicates"]["rows"], document["conflicts"]["rows"]) == (1, 0)

    @pytest.mark.parametrize("rule", ["ratio>10", "gini>0.5", "min-count<5", "singletons"])
    def test_rules_of_class_sizes_are_refused(self, rule: str) -> None:
        with pytest.raises(ValueError, match=r"^--fail-on [a-z-]+ needs class sizes, which candidate sets hide; "):
            rules.broken_rules(rules.parse_rules(rule), inspection(unknown("partial")))
        assert rules.broken_rules(rules.parse_rules("leaks"), inspection(unknown("partial"))) == []
        assert rules.broken_rules(rules.parse_rules(rule), inspection(splits("partial"))) is not None

    def test_get_the_comparison_of_their_task(self) -> None:
        steps = {step["about"]: step for step in inspection(unknown("partial"), data="a.npz")["advice"]}
        assert steps["compare"]["command"] == "longtail compare a.npz --methods quick"


class TestOnTheCommandLine:
    def test_the_options_are_those_of_load(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["inspect", "digits", "--labeled", "0.2", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        data = load("digits", labeled=0.2)
        assert (document["hash"], document["unlabeled"]["rows"]) == (data.hash, len(data.unlabeled))
        assert document["advice"][-1]["command"].startswith("longtail compare digits --labeled 0.2 --methods quick")

    def test_what_cannot_be_known_is_said_so(
        self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        draw = np.random.default_rng(0)
        candidates = np.eye(3, dtype=bool)[np.arange(60) % 3]
        candidates[30:] |= np.eye(3, dtype=bool)[draw.integers(0, 3, 30)]
        np.savez("sets.npz", X=draw.normal(size=(60, 4)), candidates=candidates)
        assert run(["inspect", "sets.npz"]) == 0
        text = capsys.readouterr().out
        assert "imbalance ratio unknown" in text
        assert "Gini coefficient unknown" in text
        assert "Cannot be known" in text


class TestNamesThatJoinClasses:
    @pytest.mark.parametrize("separator", ["|", ";", ", ", "/"])
    def test_may_be_candidate_sets(self, separator: str, caplog: pytest.LogCaptureFixture) -> None:
        names = ["cat", "dog", f"cat{separator}dog", f"dog{separator}emu", "emu", "a/b"]
        rows = np.random.default_rng(0).normal(size=(72, 3))
        data = load(rows, np.repeat(names, 12))
        document = inspection(data)
        joined = sorted(names[2:4])
        assert document["labels"]["joined"] == {"separator": separator.strip(), "names": joined}
        (line,) = [line for line in document["findings"] if "join names of other classes" in line]
        assert line.endswith(f'where one of them is true, pass --candidates "{separator.strip()}" '
                             f'(candidates="{separator.strip()}")')  # fmt: skip
        prepare(data, methods="ce")
        assert line in caplog.text

    def test_of_other_names_nothing_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        data = load(np.random.default_rng(0).normal(size=(48, 3)), np.repeat(["a|b", "a", "c|d", "c"], 12))
        assert inspection(data)["labels"]["joined"] is None
        prepare(data, methods="ce")
        assert "join names" not in caplog.text
