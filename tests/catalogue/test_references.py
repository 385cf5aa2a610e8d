"""The papers: one BibTeX file, read whole, and written back as it is."""

from __future__ import annotations

from importlib.resources import files

import pytest

from longtail.catalogue.references import cited, references
from longtail.methods import catalogue, method

TEXT = files("longtail.catalogue").joinpath("references.bib").read_text(encoding="utf-8")


def test_the_file_is_what_its_entries_write() -> None:
    assert "\n\n".join(reference.bibtex for reference in references().values()) + "\n" == TEXT
    assert len(references()) == TEXT.count("@") >= 15


def test_every_method_cites_a_paper_of_the_file() -> None:
    for key in catalogue():
        reference = method(key).reference
        assert cited(reference.key) is reference, key


def test_authors_and_years_as_they_are_cited() -> None:
    assert cited("cao2019learning").short == "Cao et al. 2019"
    assert cited("good1952rational").short == "Good 1952"
    assert cited("good1952rational").journal
    assert not [
        reference.key for reference in references().values() if "," in reference.authors
    ]  # "First Last and ..."
    assert cited("shi2024longtail").short == "Shi et al. 2024"


def test_a_key_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a key of references.bib, got 'nobody'; add the paper there"):
        cited("nobody")
