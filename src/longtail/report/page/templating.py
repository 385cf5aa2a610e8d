"""HTML from the templates beside this file: every value is escaped, and what cannot be seen is made visible."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from longtail.facts.messages import visible

TEMPLATES = Path(__file__).parent / "templates"
NO_CHARACTERS = {ord("\ufffe"): r"\ufffe", ord("\uffff"): r"\uffff"}
"""Neither HTML nor XML allows them, and `visible` leaves them."""


def written(value: Any) -> Any:
    """A value as a template shows it: HTML of ours as it is, all else as text of visible characters."""
    return value if isinstance(value, Markup) else visible(str(value)).translate(NO_CHARACTERS)


@cache
def environment() -> Environment:
    """The templates; a name that a template does not get is an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=written,
    )


def fill(template: str, **values: Any) -> Markup:
    """Return the HTML of a template of `templates/`, such as "table.html"."""
    return Markup(environment().get_template(template).render(**values))


def style() -> Markup:
    """The style sheet of the page, which is ours."""
    return Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))
