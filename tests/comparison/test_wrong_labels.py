"""Wrong labels of a comparison: shares by group, over seeds, by hand, and in its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import longtail as lt
from longtail.comparison.wrong_labels import memorised, realised
from longtail.data.load import load

MEMBERS: dict[str, Any] = {"many": [0], "medium": [1], "few": [2, 3]}
ONE = {"rows": [4, 3, 2, 1], "wrong": [2, 2, 1, 1], "fitted": [1, 1, 1, 0], "recovered": [1, 0, 0, 1]}
TWO = {**ONE, "fitted": [2, 2, 1, 1], "recovered": [0, 0, 0, 0]}


def test_shares_are_means_over_seeds() -> None:
    found = memorised([ONE, TWO], MEMBERS)["wrong_labels"]
    assert found["mean"]["fitted"] == pytest.approx((3 / 6 + 6 / 6) / 2)
    assert found["mean"]["fitted_many"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["mean"]["fitted_few"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["mean"]["recovered"] == pytest.approx((2 / 6 + 0) / 2)
    assert found["std"]["fitted"] == pytest.approx((0.5 / 2) * 2**0.5)


def test_a_group_without_wrong_labels_has_no_share() -> None:
    found = memorised([{**ONE, "wrong": [2, 0, 1, 1], "fitted": [1, 0, 1, 0]}], MEMBERS)["wrong_labels"]
    assert found["mean"]["fitted_medium"] is None
    assert found["std"]["fitted"] is None
    assert memorised([ONE, None], MEMBERS) == {}
    assert memorised([ONE], dict.fromkeys(MEMBERS))["wrong_labels"]["mean"]["fitted_many"] is None


def test_the_realised_shares_of_both_kinds() -> None:
    splits = load(torch.randn(40, 2), torch.arange(40) % 4, test=0.5)
    truth = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    given = torch.tensor([0, 1, 2, 0, 1, 0, 0, 2, 0, 3])
    splits = replace(splits, train=replace(splits.train, inputs=torch.randn(10, 2), targets=given), truth=truth)
    found = realised(splits, MEMBERS)
    assert found == {
        "rows": 10,
        "wrong": 5,
        "by_true_class": {"all": 0.5, "many": 0.5, "medium": 2 / 3, "few": 1 / 3},
        "by_given_label": {"all": 0.5, "many": 3 / 5, "medium": 1 / 2, "few": 1 / 3},
    }
    assert realised(replace(splits, truth=given), MEMBERS) is None
    assert realised(replace(splits, truth=None), MEMBERS) is None


def test_a_comparison_on_wrong_labels_has_them_all(tmp_path: Path) -> None:
    splits = load("digits", ratio=20)
    targets = splits.train.targets.clone()
    targets[::5] = (targets[::5] + 3) % 10
    noisy = replace(splits, train=replace(splits.train, targets=targets), truth=splits.train.targets)
    result = lt.compare(noisy, methods="ce,absgd(lam=-1)", seeds=1, epochs=4, out=tmp_path)
    stored = json.loads((tmp_path / "comparison.json").read_text())
    assert stored["data"]["wrong_labels"]["wrong"] == len(targets[::5])
    rows = {one["method"]: one for one in stored["rows"]}
    assert rows["oracle"]["role"] == "context"
    assert all("wrong_labels" in one and "memorisation" not in one for one in rows.values())
    assert "wrong labels fitted" in str(result)
