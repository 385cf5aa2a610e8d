"""Wrong labels by class: counted by hand, in a table that can be read, and absent where the truth is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from longtail.data import load
from longtail.inspection import inspection
from longtail.inspection.label_noise import label_noise
from longtail.report.label_noise import sentences, table
from longtail.report.rows import UNKNOWN


def test_every_class_is_counted() -> None:
    splits = load("digits", noise="proportional:0.3", val=0.2)
    found = label_noise(splits)
    assert found is not None
    given, truth = splits.train.targets.tolist(), splits.truth.tolist()
    pairs = list(zip(given, truth, strict=True))
    for j, one in enumerate(found["classes"]):
        wrong = [b for a, b in pairs if a == j != b]
        assert one["class"] == str(j)
        assert (one["true"], one["given"]) == (truth.count(j), given.count(j))
        assert (one["wrong"], one["lost"]) == (len(wrong), sum(b == j != a for a, b in pairs))
        assert one["share_wrong"] == (len(wrong) / given.count(j) if j in given else None)
        assert one["from"] == {str(b): wrong.count(b) for b in set(wrong)}
        assert list(one["from"].values()) == sorted(one["from"].values(), reverse=True)
    assert found["wrong"] == sum(a != b for a, b in pairs)
    assert found["rate"] == found["wrong"] / len(pairs)
    assert found["expected_rate"] == pytest.approx(int(0.3 * len(pairs)) / len(pairs))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_it_is_in_the_document_where_noise_was_asked_for() -> None:
    noisy = inspection(load("digits", noise="uniform:0.4"))
    assert noisy["label_noise"]["noise"] == "uniform:0.4"
    assert noisy["class_counts"] == [100, 64, 41, 27, 17, 11, 7, 4, 3, 2]
    for options in ({}, {"labeled": 0.2}, {"ambiguity": 0.3}):
        assert inspection(load("digits", **options))["label_noise"] is None
    assert label_noise(replace(load("digits", noise="uniform:0.4"), truth=None)) is None


def test_of_few_labels_only_given_ones_count() -> None:
    splits = load("digits", noise="symmetric:0.5", labeled=0.5)
    found = label_noise(splits)
    assert found is not None
    assert found["rows"] == len(splits.train)
    assert found["wrong"] == int(0.5 * len(splits.train))


def test_the_table_has_a_line_a_class() -> None:
    splits = load("digits", noise="asymmetric:0.5,0=1,2=1")
    found = label_noise(splits)
    assert found is not None
    lines = table(found)
    assert " ".join(lines[0].split()) == "class true rows given rows wrong in % lost wrong ones are truly"
    assert len(lines) == 11
    assert lines[2].split() == ["1", "64", "134", "70", "52.2", "0", "0:", "50,", "2:", "20"]
    (line,) = sentences(found)
    assert line.startswith("70 of 276 training labels are wrong, 25.4 % (25.4 % expected over all draws); ")


def test_an_empty_class_has_no_share() -> None:
    splits = load("digits", noise="symmetric:0.1")
    targets = torch.where(splits.train.targets == 9, 0, splits.train.targets)
    found = label_noise(replace(splits, train=replace(splits.train, targets=targets)))
    assert found is not None
    assert found["classes"][9]["share_wrong"] is None
    assert table(found)[10].split()[4] == UNKNOWN


def test_wrong_labels_that_nobody_planted_are_counted_where_the_clean_ones_are_known() -> None:
    """As of CIFAR-N, whose labels people gave."""
    splits = load("digits")
    targets = splits.train.targets.clone()
    targets[:3] = (targets[:3] + 1) % 10
    people = replace(splits, train=replace(splits.train, targets=targets), truth=splits.train.targets)
    found = label_noise(people)
    assert found is not None
    assert (found["noise"], found["expected_rate"], found["wrong"]) == (None, None, 3)
    assert sum(one["wrong"] for one in found["classes"]) == 3
    assert sentences(found)[0].startswith("3 of 276 training labels are wrong, 1.1 %; wrong: ")
    assert label_noise(replace(people, train=splits.train)) is None
