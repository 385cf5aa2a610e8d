"""Problems with the names of classes: twins that a typing error parted, and characters that nobody sees."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

UNSEEN = ("Cc", "Cf", "Zl", "Zp")
JOINERS = "\u200c\u200d"
"""Zero-width joiners: Persian and Indic words and many emoji are written with them."""


def spaced(name: str) -> str:
    """Without white space at the ends, single spaces inside."""
    return " ".join(name.split())


def composed(name: str) -> str:
    """In the one form that Unicode gives to look-alikes (NFKC): composed accents, full-width letters, ligatures."""
    return unicodedata.normalize("NFKC", name)


def visible(name: str) -> str:
    """Without invisible characters; tabs and line ends are white space, which `spaced` sees."""
    return "".join(c for c in name if unicodedata.category(c) not in UNSEEN or c.isspace())


WAYS: dict[str, Callable[[str], str]] = {
    "white space": spaced,
    "case": str.casefold,
    "Unicode normalisation": composed,
    "invisible characters": visible,
}
"""How two names of one class may differ, from the plainest way on."""


def twins(classes: Sequence[str]) -> list[dict[str, Any]]:
    """Names that are one name but for white space, case, Unicode normalisation or invisible characters.

    `differ_in` has the fewest ways that make them equal, the plainest first, as in "white space and case".
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[_form(name, WAYS)].append(name)
    return [{"names": names, "differ_in": _ways(names)} for names in alike.values() if len(names) > 1]


def _form(name: str, ways: Iterable[str]) -> str:
    """The name without what these ways tell apart."""
    asked = set(ways)
    # the last way comes first, and composing again: letters may compose anew once what stood between them is gone
    for way in ("Unicode normalisation", "invisible characters", "case", "Unicode normalisation", "white space"):
        name = WAYS[way](name) if way in asked else name
    return name


def _ways(names: list[str]) -> str:
    """As in "case", "white space and case"."""
    sets = (chosen for size in range(1, len(WAYS) + 1) for chosen in combinations(WAYS, size))
    found = next(chosen for chosen in sets if len({_form(name, chosen) for name in names}) == 1)
    return " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))


def unseen(classes: Sequence[str]) -> list[str]:
    """Names with white space at an end, or with a character that cannot be seen (joiners inside do no harm)."""
    return [name for name in classes if name != name.strip() or _hides(name)]


def _hides(name: str) -> bool:
    return any(unicodedata.category(c) in UNSEEN and c not in JOINERS for c in name)
