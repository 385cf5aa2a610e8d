"""Names of classes, columns and files made safe to print: they are data, and data may contain anything.

A terminal obeys control characters, a right-to-left override reverses a line, and a name of a thousand letters leaves
no room for anything else. What is printed is one line of visible characters; JSON has the name unchanged.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from longtail.facts.messages import visible

LONGEST = 40
"""Characters of a name that are printed."""


def shown(name: str, *, longest: int = LONGEST, ascii_only: bool = False) -> str:
    r"""The name on one line: `\n`, `\u200b`, `\x1b` for invisible characters, cut with "..." beyond `longest`."""
    # cut before anything else is done, since a name may be a whole file
    text = visible(name[: longest + 1])
    if ascii_only:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    if len(name) <= longest and len(text) <= longest:
        return text
    more = _more(ascii_only)
    return text[: longest - len(more)] + more


def fitted(text: str, width: int, *, ascii_only: bool = False) -> str:
    """One line in exactly `width` columns of a terminal: padded with blanks, or cut with "..."."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    more = _more(ascii_only)
    return set_cell_size(text, width - len(more)) + more


def shortened(name: str, columns: int, *, ascii_only: bool = False) -> str:
    """The name in at most so many columns of a terminal, where a letter may take two."""
    text = shown(name, longest=columns, ascii_only=ascii_only)
    return text if cell_len(text) <= columns else fitted(text, columns, ascii_only=ascii_only)


def listed(names: list[str], most: int = 5, notes: list[str] | None = None) -> str:
    """The first names, quoted and each with its note, and how many more there are."""
    pairs = zip(names[:most], (notes or [""] * len(names))[:most], strict=True)
    text = ", ".join(f"'{shown(name)}'{note}" for name, note in pairs)
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def _more(ascii_only: bool) -> str:
    return "..." if ascii_only else "…"
