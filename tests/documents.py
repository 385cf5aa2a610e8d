"""The parts of README and docs that are made from the code: `python -m tests.documents` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path

from tests.losses.contract import support_tables

from longtail.methods.menu import table

ROOT = Path(__file__).parents[1]
GENERATED = {("README.md", "methods"): table, ("docs/losses-support.md", "support"): support_tables}


def block(text: str, name: str) -> str:
    """What stands between <!-- name --> and <!-- /name -->."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found is not None, f"no block {name}"
    return found[1]


def written(text: str, name: str, content: str) -> str:
    """The text with a block's content replaced."""
    block(text, name)
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda m: f"{m[1]}{content.rstrip()}\n{m[2]}", text, flags=re.DOTALL)


def main() -> None:
    for (file, name), make in GENERATED.items():
        path = ROOT / file
        path.write_text(written(path.read_text(), name, make()))


if __name__ == "__main__":
    main()
