"""The grammar of probes, and the protocols that are made of them."""

from __future__ import annotations

import pytest

from longtail.engine import Recipe
from longtail.learners.probe_protocols import (
    ASPECTS,
    OURS,
    PROTOCOLS,
    check_rows,
    chosen_probes,
    differences,
    protocol_table,
    shown_probes,
)
from longtail.learners.probes import PROBES, Probe, probe

NAMES = {
    "linear": Probe(),
    "svm": Probe("svm"),
    "sgd@live": Probe("sgd", views="live"),
    "adam@once": Probe("adam", views="once"),
    "knn-1": Probe("knn", 1),
    "knn-20-raw": Probe("knn", 20, raw=True),
    "few-shot": Probe(few=True),
    "few-shot-50": Probe(few=True, shots=50),
    "few-shot-svm@once": Probe("svm", few=True, views="once"),
    "few-shot-50x5-adam": Probe("adam", few=True, shots=50, draws=5),
    "full-linear": Probe(full=True),
    "full-few-shot": Probe(full=True, few=True),
    "full-few-shot-100x5-adam": Probe("adam", few=True, shots=100, draws=5, full=True),
    "full-knn-5-raw@once": Probe("knn", 5, raw=True, full=True, views="once"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_everything(name: str) -> None:
    assert probe(name) == NAMES[name]
    assert probe(name).name == name


def test_of_few_shots_linear_goes_without_saying() -> None:
    assert probe("few-shot-linear").name == "few-shot"
    assert probe("full-few-shot-7-linear@once").name == "full-few-shot-7@once"


@pytest.mark.parametrize(
    "name",
    ["", "full-", "full", "lda", "knn", "knn-0", "knn-x", "knn-3raw", "linear-", "few-shot-", "few-shot-0",
     "few-shotsvm", "few-shot-5x1", "few-shotx5", "linear@twice", "linear@", "full-full-linear", " linear", "Linear",
     3, None],
)  # fmt: skip
def test_any_other_name_is_refused_in_one_line(name: object) -> None:
    with pytest.raises(ValueError, match=r"^probe \(--probe\) must be \[full-\]\[few-shot.*, got .*; linear is usual$"):
        probe(name)  # type: ignore[arg-type]


def test_live_features_need_epochs_and_a_verdict_one_classifier() -> None:
    with pytest.raises(ValueError, match=r"must be sgd or adam for features extracted anew.*'svm@live'; write @once"):
        probe("svm@live")
    with pytest.raises(ValueError, match=r"must be one classifier to rank by, got 'few-shot-5x3', .*; leave out x3"):
        Recipe(probe="few-shot-5x3")


def test_the_words_say_which_rows_and_which_features() -> None:
    assert "10 nearest, features of length 1, of all training rows" in probe("knn-10").protocol
    assert "features as they are" in probe("knn-5-raw").protocol
    words = probe("full-few-shot-50x5-adam@once").protocol
    for part in ("50 rows before the long-tailed cut of each class", "fewer", "seed 0 to 4 and the results averaged",
                 "500 epochs", "extracted once"):  # fmt: skip
        assert part in words
    assert "100 epochs" in probe("few-shot-sgd@live").protocol
    assert "30 epochs" in probe("sgd@live").protocol


class TestProtocols:
    def test_are_made_of_probes_and_say_the_same_things(self) -> None:
        for one in PROTOCOLS.values():
            assert [probe(name).name for name in one.probes] == list(one.probes)
            assert len(one.says) == len(ASPECTS)
            assert probe(one.probes[0]).draws == 1
        assert PROTOCOLS[OURS].probes == tuple(PROBES)
        head, *lines = protocol_table()
        assert head[1:] == ["ours", *(f"{n} ({p.paper})" for n, p in PROTOCOLS.items() if n != OURS)]
        assert [line[0] for line in lines] == [*ASPECTS, "probes"]

    def test_state_how_they_differ_and_what_is_not_as_in_the_paper(self) -> None:
        assert differences(OURS) == []
        for name in PROTOCOLS:
            if name == OURS:
                continue
            first, *lines = differences(name)
            assert first.startswith(f"Protocol {name}, as in {PROTOCOLS[name].paper}")
            assert all(other in first for other in PROTOCOLS)
            end = lines.index(f"Not as in {PROTOCOLS[name].paper}:")
            assert lines[:end]
            assert all(line.startswith("- ") and "; ours: " in line for line in lines[:end])
            assert lines[end + 1 :] == [f"- {sentence}" for sentence in PROTOCOLS[name].otherwise]
        assert any("not of the best one on validation rows" in line for line in differences("sdclr"))
        assert any("5 splits" in line for line in differences("sdclr"))
        assert any("seed 0, not 42" in line for line in differences("ts"))

    def test_choose_the_verdicts_probe_unless_it_is_named(self) -> None:
        assert [one.name for one in chosen_probes(None, None)] == list(PROBES)
        assert chosen_probes(None, "gh")[0].name == "full-adam@once"
        assert [one.name for one in shown_probes("svm", OURS)] == ["svm", *PROBES]
        assert [one.name for one in shown_probes("knn-1@once", "ts")] == list(PROTOCOLS["ts"].probes)
        with pytest.raises(
            ValueError, match=r"^protocol \(--protocol\) must be one of ours, sdclr, bcl, gh, ts, got 'x'"
        ):
            Recipe(protocol="x")

    def test_full_rows_are_refused_where_nothing_was_cut(self) -> None:
        check_rows(shown_probes("linear", OURS), cut=False)
        check_rows(shown_probes("full-adam", "bcl"), cut=True)
        with pytest.raises(
            ValueError, match=r"^probe full-adam needs the training rows .* not cut; choose adam, or cut"
        ):
            check_rows(shown_probes("full-adam", "bcl"), cut=False)
