"""Problems with class names: twins that differ by a typing error only, invisible characters, several classes in one."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

INVISIBLE = ("Cc", "Cf", "Zl", "Zp")
JOINERS = "\u200c\u200d"
"""Zero-width joiners: Persian and Indic words and many emoji are written with them."""
SEPARATORS = "|;/,+&"
"""What may separate the names of several classes in one label."""


def single_spaced(name: str) -> str:
    """Remove white space at the ends, and leave single spaces inside."""
    return " ".join(name.split())


def composed(name: str) -> str:
    """Apply Unicode normalisation (NFKC): composed accents, full-width letters, ligatures."""
    return unicodedata.normalize("NFKC", name)


def visible(name: str) -> str:
    """Remove invisible characters; tabs and line ends are white space, which `single_spaced` removes."""
    return "".join(c for c in name if unicodedata.category(c) not in INVISIBLE or c.isspace())


WAYS: dict[str, Callable[[str], str]] = {
    "white space": single_spaced,
    "case": str.casefold,
    "Unicode normalisation": composed,
    "invisible characters": visible,
}
"""How two names of one class may differ, the simplest first."""


def twins(classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return names that are equal but for white space, case, Unicode normalisation or invisible characters.

    `differ_in` has the fewest ways that make them equal, the simplest first, as in "white space and case".
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[_form(name, WAYS)].append(name)
    return [{"names": names, "differ_in": _ways(names)} for names in alike.values() if len(names) > 1]


def _form(name: str, ways: Iterable[str]) -> str:
    """Return the name without the differences of these ways."""
    asked = set(ways)
    # normalise before and after: letters may compose anew once an invisible character between them is removed
    for way in ("Unicode normalisation", "invisible characters", "case", "Unicode normalisation", "white space"):
        name = WAYS[way](name) if way in asked else name
    return name


def _ways(names: list[str]) -> str:
    """Name the fewest ways that make the names equal, as in "white space and case"."""
    sets = (chosen for size in range(1, len(WAYS) + 1) for chosen in combinations(WAYS, size))
    fewest = next(chosen for chosen in sets if len({_form(name, chosen) for name in names}) == 1)
    return " and ".join(filter(None, [", ".join(fewest[:-1]), fewest[-1]]))


def with_invisible_characters(classes: Sequence[str]) -> list[str]:
    """Return names with white space at an end or an invisible character (joiners inside are allowed)."""
    return [name for name in classes if name != name.strip() or _has_invisible(name)]


def _has_invisible(name: str) -> bool:
    return any(unicodedata.category(c) in INVISIBLE and c not in JOINERS for c in name)


def of_several_classes(classes: Sequence[str]) -> dict[str, Any] | None:
    """Return the `names` that join those of other classes, as "cat|dog" does, and their `separator`; None without."""
    known = set(classes)
    for separator in SEPARATORS:
        parts = {name: {part.strip() for part in name.split(separator)} for name in classes if separator in name}
        if names := [name for name, joined in parts.items() if len(joined) > 1 and joined <= known]:
            return {"separator": separator, "names": names}
    return None
