"""Pages as a browser renders them: axe, both widths, both colour schemes, the console, print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from page_browser import DESK, PHONE, judged, missing, printed
from page_folders import trainings, write_trainings
from page_summaries import full, hostile, write_run

from longtail.report import page
from longtail.report.page.single_run import summary_of_run

pytestmark = [
    pytest.mark.slow,  # a browser is started
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 22, 29)"}
BROKEN = (
    '<!DOCTYPE html><html><head><title>x</title></head><body style="background:#fff;color:#ddd"><img src="data:,">'
    '<p>pale text</p><div style="width:2000px">wide</div><script>nowhere()</script></body></html>'
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shapes that a page has."""
    folder = tmp_path_factory.mktemp("trainings")
    return {
        "full": page.render(write_trainings(folder, full(), trainings()), folder),
        "hostile": page.render(hostile()),
        "run": page.render(summary_of_run(write_run(tmp_path_factory.mktemp("page") / "run"))),
        "nothing finished": page.render(full() | {"rows": [], "verdict": None, "gain": None}),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_and_the_console_have_no_complaint_and_nothing_scrolls_sideways(
    scheme: str, pages: dict[str, str], tmp_path: Path
) -> None:
    """One start of the browser, in which the same look at a broken page finds what is wrong with it."""
    found, console = judged({**pages, "broken": BROKEN}, tmp_path, scheme)
    look_at_ours(found, pages, scheme)
    assert [line for line in console if "nowhere" not in line] == []
    for one in (one for one in found if one["page"] == "broken"):
        rules = {violation.split(":")[0] for violation in one["violations"]}
        assert {"image-alt", "color-contrast", "html-has-lang"} <= rules
        assert one["scrolls"] > 0
    assert any("nowhere" in line for line in console)


def look_at_ours(found: list[dict[str, Any]], pages: dict[str, str], scheme: str) -> None:
    """Every page was judged at both widths in the scheme, by the rules that matter, and broke none."""
    ours = [one for one in found if one["page"] != "broken"]
    assert [(one["page"], one["width"]) for one in ours] == [(name, width) for name in pages for width in (PHONE, DESK)]
    for one in ours:
        assert (one["violations"], one["dark"], one["back"]) == ([], scheme == "dark", BACKGROUNDS[scheme]), one
        assert {"color-contrast", "landmark-one-main", "heading-order", "region"} <= set(one["passed"])
        assert one["scrolls"] == 0, one


def test_prints_as_pages_and_as_it_is_on_disk_without_a_complaint(tmp_path: Path) -> None:
    """The file itself, with its policy that forbids scripts and fetching."""
    file = tmp_path / "report.html"
    file.write_text(page.render(full()))
    pdf, console = printed(file, tmp_path)
    assert console == []
    assert pdf.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 8
