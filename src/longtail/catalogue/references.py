"""The papers of the methods: the entries of `references.bib`, by key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_ENTRY = re.compile(r"@(\w+)\{([^,\s]+),\n(.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.MULTILINE)


@dataclass(frozen=True)
class Reference:
    """A paper: enough to find it and to cite it."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    journal: bool = False

    @property
    def short(self) -> str:
        """As in "Cao et al. 2019"."""
        names = self.authors.split(" and ")
        last = [name.split()[-1] for name in names]
        who = last[0] if len(last) == 1 else f"{last[0]} and {last[1]}" if len(last) == 2 else f"{last[0]} et al."
        return f"{who} {self.year}"

    @property
    def bibtex(self) -> str:
        """A BibTeX entry."""
        kind, where = ("article", "journal") if self.journal else ("inproceedings", "booktitle")
        return (
            f"@{kind}{{{self.key},\n  author = {{{self.authors}}},\n  title = {{{self.title}}},\n"
            f"  {where} = {{{self.venue}}},\n  year = {{{self.year}}}\n}}"
        )


def cited(key: str) -> Reference:
    """Return the paper with that key.

    Raises:
        ValueError: no such key.
    """
    if key not in references():
        raise ValueError(f"reference must be a key of references.bib, got {key!r}; add the paper there")
    return references()[key]


@cache
def references() -> dict[str, Reference]:
    """Return every paper of references.bib by its key; one field per line, as `Reference.bibtex` writes them."""
    text = files("longtail.catalogue").joinpath("references.bib").read_text(encoding="utf-8")
    papers = {}
    for kind, key, body in _ENTRY.findall(text):
        field = dict(_FIELD.findall(body))
        journal = kind == "article"
        venue = field["journal" if journal else "booktitle"]
        papers[key] = Reference(key, field["author"], field["title"], venue, int(field["year"]), journal)
    return papers
