"""What `longtail explain` says of every method: its equation, when it works and breaks, and paper against code."""

from __future__ import annotations

import json

import pytest
from tests.catalogue.test_resolve import Point

from longtail.catalogue.describe import LABELS, paragraphs
from longtail.catalogue.method import Method
from longtail.catalogue.resolve import docstring
from longtail.cli import run
from longtail.methods import explained, method
from longtail.methods import registry as catalog

DOCUMENTED = {key: paragraphs(docstring(builder)) for key, builder in catalog.CATALOG.items()}


@pytest.mark.parametrize("key", DOCUMENTED)
class TestEveryMethod:
    def test_has_an_equation(self, key: str) -> None:
        assert DOCUMENTED[key]["equation"]

    def test_says_when_it_works_when_it_breaks_and_how_paper_and_code_differ(self, key: str) -> None:
        for label, field in LABELS.items():
            words = DOCUMENTED[key][field]
            assert len(words.split()) >= 3, f'{key} has no paragraph "{label}: ..."; write it in the docstring'
            assert words.endswith("."), f'"{label}" of {key} must end with a full stop; a blank line ends a paragraph'

    def test_says_nothing_twice(self, key: str) -> None:
        text = " ".join(DOCUMENTED[key].values())
        sentences = [" ".join(sentence.split()) for sentence in text.split(". ")]
        assert len(set(sentences)) == len(sentences)


def bare() -> Method:
    """A method of another package."""
    return method("ce")


def prose() -> Method:
    """A method of another package.

    It has words and no equation.

    Works: always,
    it says.
    """
    return method("ce")


class TestOfAnotherPackage:
    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [Point("bare", bare), Point("prose", prose)]
        monkeypatch.setattr(catalog, "entry_points", lambda group: points)

    def test_what_its_docstring_does_not_have_is_empty(self) -> None:
        fields = ("summary", "equation", "works", "breaks", "differences", "body")
        assert [explained("bare")[field] for field in fields] == ["A method of another package.", *[""] * 5]
        assert [explained("prose")[field] for field in fields[1:]] == [
            "", "always, it says.", "", "", "It has words and no equation.",
        ]  # fmt: skip

    def test_what_is_empty_has_no_heading(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["explain", "bare"]) == 0
        assert capsys.readouterr().out.startswith("bare: A method of another package.\n\nCall: bare without knobs\n")
        assert run(["explain", "prose"]) == 0
        expected = "It has words and no equation.\n\nWhen it works\n  always, it says.\n\nCall: prose"
        assert expected in capsys.readouterr().out


def test_explain_prints_the_paragraphs_under_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "ldam-drw"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.split("\nCall:")[0].splitlines())) <= 120
    order = ["ldam-drw: ", "\nloss = ", "\nWhen it works\n  ", "\nWhen it breaks\n  ", "\nPaper and released code\n  ",
             "\nCall: "]  # fmt: skip
    assert sorted(order, key=out.index) == order
    assert run(["explain", "ldam-drw", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {field: printed[field] for field in DOCUMENTED["ldam-drw"]} == DOCUMENTED["ldam-drw"]


def test_paragraphs_of_one_label_are_joined() -> None:
    text = "What it is.\n\nWorks: here\nand\n\nloss = x\n\nPaper and code: none.\n\nMore: words.\n\nWorks: there."
    assert paragraphs(text) == {
        "summary": "What it is.",
        "equation": "loss = x",
        "works": "here and there.",
        "breaks": "",
        "differences": "none.",
        "body": "More: words.",
    }
