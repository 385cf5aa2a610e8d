"""Problems with the names of classes: twins that a typing error parted, and characters that nobody sees."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
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

    `differ_in` is the plainest single way that makes them equal, "several ways" where it takes more than one.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        # letters may compose anew once case is folded and what stood between them is gone
        alike[spaced(composed(visible(composed(name)).casefold()))].append(name)
    return [{"names": names, "differ_in": _way(names)} for names in alike.values() if len(names) > 1]


def _way(names: list[str]) -> str:
    return next((way for way, form in WAYS.items() if len({form(n) for n in names}) == 1), "several ways")


def unseen(classes: Sequence[str]) -> list[str]:
    """Names with white space at an end, or with a character that cannot be seen (joiners inside do no harm)."""
    return [name for name in classes if name != name.strip() or _hides(name)]


def _hides(name: str) -> bool:
    return any(unicodedata.category(c) in UNSEEN and c not in JOINERS for c in name)
