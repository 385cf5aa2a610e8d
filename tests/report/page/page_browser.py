"""Pages in a real browser, judged by axe: Chromium loads each in two frames, as wide as a phone and as a desk.

One start of the browser judges all pages in one colour scheme. The result is written into the document, which Chromium
prints: no driver is needed. axe.min.js is that of the package axe-playwright-python, which is not imported.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
         "--enable-logging=stderr")  # fmt: skip
PHONE, DESK = 375, 1280
SCHEMES = {"light": 1, "dark": 0}

HARNESS = """<!doctype html><html lang="en"><head><title>frames</title></head><body>
<script type="text/plain" id="axe">%(axe)s</script>
%(frames)s
<script>
const axe = document.getElementById("axe").textContent;
async function judge(frame) {
  const inner = frame.contentDocument, root = inner.documentElement;
  inner.querySelectorAll("details").forEach(one => one.open = true);
  const script = inner.createElement("script");
  script.textContent = axe;
  inner.head.append(script);
  const found = await frame.contentWindow.axe.run(inner);
  return {
    page: frame.dataset.page, width: frame.contentWindow.innerWidth,
    dark: frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches,
    back: frame.contentWindow.getComputedStyle(inner.body).backgroundColor,
    scrolls: root.scrollWidth - root.clientWidth, passed: found.passes.map(rule => rule.id),
    violations: found.violations.map(
      rule => rule.id + ": " + rule.nodes.slice(0, 3).map(node => node.html).join(" | ")),
  };
}
addEventListener("load", async () => {
  const results = [];
  for (const frame of document.querySelectorAll("iframe")) {
    try {
      results.push(await judge(frame));
    } catch (error) {
      results.push({page: frame.dataset.page, error: String(error)});
    }
  }
  const output = document.createElement("pre");
  output.id = "results";
  output.textContent = JSON.stringify(results);
  document.body.append(output);
});
</script></body></html>"""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
"""axe is a script, which the page's own policy refuses: left out for it alone."""


def browser() -> str | None:
    """The command of a Chromium, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def axe() -> Path | None:
    """axe.min.js, or None."""
    spec = find_spec("axe_playwright_python")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    files = [Path(place) / "axe.min.js" for place in places]
    return next((file for file in files if file.exists()), None)


def missing() -> str | None:
    """Why pages cannot be judged here, or None."""
    if browser() is None:
        return "no Chromium (Debian: apt-get install chromium)"
    return None if axe() else "no axe (pip install --no-deps axe-playwright-python)"


def command(scratch: Path, scheme: str = "light") -> list[str]:
    """Chromium with a fresh profile, in a colour scheme."""
    chosen = f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"
    return [str(browser()), *FLAGS, chosen, f"--user-data-dir={scratch / 'profile'}"]


def judged(pages: dict[str, str], scratch: Path, scheme: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What axe and the browser say of each page at both widths, and the lines of the console."""
    file = axe()
    assert file is not None
    frames = "".join(
        f'<iframe title="{name} {width}" data-page="{name}" width="{width}" height="900" style="border:0" '
        f'srcdoc="{html.escape(POLICY.sub("", text))}"></iframe>'
        for name, text in pages.items() for width in (PHONE, DESK)
    )  # fmt: skip
    harness = scratch / f"harness-{scheme}.html"
    text = file.read_text(encoding="utf-8").replace("</script", "<\\/script")
    harness.write_text(HARNESS % {"axe": text, "frames": frames}, encoding="utf-8")
    words = [*command(scratch, scheme), "--virtual-time-budget=120000", "--dump-dom", harness.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="results">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1])), console(done.stderr)


def console(log: str) -> list[str]:
    """The lines of the console in Chromium's log."""
    return [line for line in log.splitlines() if ":CONSOLE" in line]


def printed(page: Path, scratch: Path) -> tuple[bytes, list[str]]:
    """The page as PDF, and the lines of the console."""
    target = scratch / "page.pdf"
    words = [*command(scratch), "--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return target.read_bytes(), console(done.stderr)
