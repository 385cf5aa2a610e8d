"""`lt.labels.suspects`: planted wrong labels, what is said of classes, the file, and refusals."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longtail as lt
from longtail.labels import Evidence, Suspects, judged

NAMES = ("cat", "dog", "lynx")


def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels with wrong ones, and the true labels: 90, 40 and 8 rows."""
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1, 2], [90, 40, 8])
    X = (rng.normal(size=(len(true), 4)) + 4 * np.eye(4)[true]).astype(np.float32)
    y = true.copy()
    y[[0, 1, 2]], y[[100, 101]] = 2, 0
    return X, y, true


def certain(labels: np.ndarray, classes: int, wrong: dict[int, int]) -> np.ndarray:
    """Probabilities of 0.99 for the label, for these rows for another class."""
    guess = labels.copy()
    for row, k in wrong.items():
        guess[row] = k
    rest = 0.01 / (classes - 1)
    return np.where(np.eye(classes)[guess] > 0, 0.99, rest)


@pytest.fixture(scope="module")
def found() -> Suspects:
    X, y, _ = planted()
    return lt.labels.suspects(X, np.array(NAMES)[y], method="logistic", folds=3)


class TestOfData:
    def test_planted_labels_are_found_with_their_class(self, found: Suspects) -> None:
        _, y, true = planted()
        pool = {one.row: one for one in found.rows}
        held = set(range(len(y))) - set(found.index.tolist())  # the test part is neither judged nor named
        assert held
        assert not held & set(pool)
        wrong = set(np.flatnonzero(y != true).tolist()) - held
        assert wrong <= set(pool)
        assert len(set(pool) - wrong) <= 3
        for row in wrong:
            assert (pool[row].given, pool[row].likely) == (NAMES[y[row]], NAMES[true[row]])
            assert pool[row].why.startswith("out-of-sample probability of its label 0.")

    def test_ranks_are_within_the_given_label(self, found: Suspects) -> None:
        assert [one.score for one in found.rows] == sorted((one.score for one in found.rows), reverse=True)
        for name in NAMES:
            own = [one for one in found.rows if one.given == name]
            assert [one.rank for one in own] == list(range(1, len(own) + 1))
            assert all(one.of == next(c.rows for c in found.classes if c.name == name) for one in own)

    def test_margins_are_part_of_the_reasons_of_a_network(self) -> None:
        X, y, _ = planted()
        result = lt.labels.suspects(X, y, method="ce", folds=2, epochs=3)
        assert "epochs, on average in" in result.rows[0].why
        assert result.evidence is not None
        assert (result.evidence.measured == 3).all()

    def test_noise_is_measured_against_the_clean_labels(self) -> None:
        X, _, true = planted()
        result = lt.labels.suspects(X, true, folds=3, noise="symmetric:0.2")
        every = next(one for one in result.groups if one["group"] == "all")
        assert result.truth is not None
        assert every["wrong"] == int((result.truth != result.labels).sum()) > 10
        hits = sum(
            result.truth[i] != result.labels[i]
            for i in np.flatnonzero(np.isin(result.index, [r.row for r in result.rows]))
        )
        assert every["precision"] == hits / len(result)
        assert "precision" in repr(result)

    def test_the_same_folder_gives_the_same_result_and_refuses_other_data(self, tmp_path: Path) -> None:
        X, y, _ = planted()
        first = lt.labels.suspects(X, y, folds=2, work=tmp_path)
        assert lt.labels.suspects(X, y, folds=2, work=tmp_path).to_csv() == first.to_csv()
        with pytest.raises(ValueError, match="another"):
            lt.labels.suspects(X + 1, y, folds=2, work=tmp_path)


class TestOfProbabilities:
    def test_nothing_is_trained(self) -> None:
        labels = np.repeat([0, 1, 2], [30, 12, 5])
        result = lt.labels.suspects(probabilities=certain(labels, 3, {4: 1}), labels=labels, classes=NAMES)
        assert [(one.row, one.given, one.likely) for one in result.rows] == [(4, "cat", "dog")]
        assert result.rows[0].why == "out-of-sample probability of its label 0.01, of dog 0.99"

    def test_labels_may_be_names(self) -> None:
        labels = np.repeat([0, 1, 2], [30, 12, 5])
        p = certain(labels, 3, {4: 1})
        by_name = lt.labels.suspects(probabilities=p, labels=np.array(NAMES)[labels], classes=NAMES)
        assert by_name.to_csv() == lt.labels.suspects(probabilities=p, labels=labels, classes=NAMES).to_csv()

    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            ({"data": "digits"}, "probabilities go with labels and without data"),
            ({"labels": None}, "probabilities go with labels and without data"),
            ({"probabilities": np.ones((47, 3))}, "row"),
            ({"probabilities": np.full((46, 3), 1 / 3)}, r"labels must have shape \(46,\)"),
            ({"classes": ("cat", "dog")}, "classes must name the 3 columns of probabilities, got 2 names"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, arguments: dict[str, Any], line: str) -> None:
        labels = np.repeat([0, 1, 2], [30, 12, 5])
        given = {"probabilities": certain(labels, 3, {}), "labels": labels} | arguments
        with pytest.raises(ValueError, match=line):
            lt.labels.suspects(**given)


class TestClasses:
    def test_a_class_is_never_emptied(self) -> None:
        labels = np.repeat([0, 1, 2], [60, 40, 4])
        p = certain(labels, 3, dict.fromkeys(range(100, 104), 0))
        p[102] = [0.98, 0.005, 0.015]
        result = judged(labels, Evidence(p, np.zeros(104, dtype=np.int64)), ("many", "more", "few"))
        assert [one.suspects for one in result.classes] == [0, 0, 3]
        assert 102 not in {one.row for one in result.rows}  # the best of them is left
        assert any(note.startswith("few: nothing is learnt of it yet") for note in result.notes)

    def test_trainings_that_have_learnt_nothing_name_nothing(self) -> None:
        labels = np.repeat([0, 1, 2], [60, 40, 12])
        rng = np.random.default_rng(0)
        collapsed, random = np.tile([0.998, 0.001, 0.001], (112, 1)), rng.dirichlet(np.ones(3) / 3, 112)
        for p in (collapsed, random):
            result = judged(labels, Evidence(p, np.zeros(112, dtype=np.int64)), NAMES)
            assert result.rows == ()
            assert np.isnan(result.scores).all()
            assert result.notes[0].startswith("nothing can be said of these labels")

    def test_a_row_that_was_never_out_of_sample_is_no_suspect(self) -> None:
        labels = np.array([0] * 20 + [1] * 10 + [2])
        p = certain(labels, 3, {3: 1})
        p[30] = np.nan
        result = judged(labels, Evidence(p, np.zeros(31, dtype=np.int64)), NAMES)
        assert np.isnan(result.scores[30])
        assert [one.row for one in result.rows] == [3]
        assert result.classes[2].wrong is None
        assert any("nothing can be said of its only row" in note for note in result.notes)
        assert any(note.startswith("1 row was in every training") for note in result.notes)


class TestFile:
    def test_it_has_a_line_for_every_suspect(self, found: Suspects, tmp_path: Path) -> None:
        text = found.to_csv(tmp_path / "suspects.csv")
        assert (tmp_path / "suspects.csv").read_text() == text
        lines = list(csv.DictReader(io.StringIO(text)))
        assert list(lines[0]) == ["row", "file", "given", "likely", "score", "rank", "of", "why", "data"]
        assert [int(line["row"]) for line in lines] == [one.row for one in found.rows]
        assert len(list(csv.DictReader(io.StringIO(found.to_csv(top=2))))) == 2

    def test_it_shows_itself(self, found: Suspects) -> None:
        assert repr(found).startswith(f"{len(found)} of {len(found.scores)} training labels")
        assert "<table>" in found._repr_html_()
        document = found.to_json()
        assert document["examined"] == len(found.scores)
        assert {one["name"] for one in document["classes"]} == set(NAMES)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, r"data must be given, or probabilities and labels"),
        ({"labels": [0, 1]}, "labels go with probabilities"),
        ({"data": "digits", "folds": 1}, "folds"),
        ({"data": "digits", "method": "fixmatch"}, "method must learn from one label a row"),
        ({"data": "digits", "method": "nothing"}, "nothing"),
        ({"data": "digits", "val": 0.2}, "val is not read by labels"),
        ({"data": "digits", "labeled": 0.5}, "labeled is not read by labels"),
    ],
)
def test_refusals(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        lt.labels.suspects(**arguments)


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(TypeError, match="unknown option 'epoch'"):
        lt.labels.suspects("digits", epoch=3)


def test_the_printed_tables_fit_eighty_columns() -> None:
    labels = np.repeat([0, 1, 2], [40, 20, 5])
    p = certain(labels, 3, {0: 1, 41: 2, 60: 0})
    names = ["a class with a long name", "cat", "another one with a long name"]
    evidence = Evidence(p, np.zeros(65, dtype=np.int64), np.ones((65, 5)), np.full(65, 3), np.full(65, 320))
    files = [f"a/folder/with/a/long/name/image-{i}.png" for i in range(65)]
    result = judged(labels, evidence, names, files=files, index=np.arange(65) + 1000)
    lines = repr(result).splitlines()
    assert result.rows
    assert max(map(len, lines)) <= 80
    assert any(f"…{files[0][-12:]}" in line for line in lines)  # the end of a path tells images apart
    assert sum(line.split()[-2:] == ["0.01/0.99", "3/320"] for line in lines) == len(result.rows)
    assert "negative: epochs in which another class had a larger logit, of all epochs." in lines


@pytest.mark.parametrize(("wrong", "line"), [
    ({"probabilities": np.full((4, 2), 0.7)}, r"^probabilities must be >= 0 with rows that sum to 1, got .* softmax"),
    ({"probabilities": np.full((4, 2), np.nan)}, "^probabilities must be finite, got nan in row 0"),
    ({"method": "ce"}, "^method is not read where probabilities are given"),
    ({"epochs": 3}, "^epochs is not read where probabilities are given"),
    ({"folds": 3}, "^folds is not read where probabilities are given"),
    ({"seed": 1}, "^seed is not read where probabilities are given"),
])  # fmt: skip
def test_refusals_of_probabilities_name_that_argument(wrong: dict[str, Any], line: str) -> None:
    usual = {"probabilities": np.full((4, 2), 0.5), "labels": [0, 1, 0, 1]}
    with pytest.raises(ValueError, match=line):
        lt.labels.suspects(**{**usual, **wrong})
