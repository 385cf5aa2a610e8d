"""The guide says what is true: the Python blocks of every page run, in order, in one namespace per page.

A page is a module of its own, run in an empty folder from the same seed. Warnings are errors, as everywhere. A block
```output right after a Python block is what that block prints. Blocks have no way to opt out of being run; what is
not to be run (shell commands, tables) is not marked as python.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
import torch

PAGES = sorted((Path(__file__).parents[1] / "docs" / "guide").rglob("*.md"))
OPTIONAL = {"lightning", "transformers", "accelerate", "skorch", "pandas", "matplotlib", "jinja2", "imblearn"}
THEIRS = (
    "ignore:.*isinstance\\(treespec, LeafSpec\\).*:FutureWarning",  # lightning under torch 2.13
    "ignore:.*torch.jit.script_method.*:DeprecationWarning",  # torch's own inductor
)
"""Warnings that other packages owe, each as narrow as it can be."""


@dataclass(frozen=True)
class Block:
    """A Python block: the line of its first statement in the page, and what it is said to print (None: anything)."""

    line: int
    code: str
    output: str | None = None


def blocks(text: str) -> list[Block]:
    """The Python blocks of a page; fences may be indented, as in a list.

    Raises:
        ValueError: a fence that is never closed, a misspelt python fence, or output that follows no Python block.
    """
    found: list[Block] = []
    last = ""  # kind of the block just above, "" where prose stands between
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        opening = re.fullmatch(r"(\s*)(`{3,}|~{3,})\s*(.*?)\s*", line)
        if opening is None:
            last = last if not line.strip() else ""
            continue
        indent, fence, kind = opening.groups()
        body = "\n".join(_body(lines, len(indent), fence, number))
        if kind == "python":
            found.append(Block(number + 1, body))
        elif kind.lower().startswith("py"):
            raise ValueError(f"line {number}: write ```python, got {kind!r}")
        elif kind == "output":
            if last != "python":
                raise ValueError(f"line {number}: output must follow its Python block")
            found[-1] = Block(found[-1].line, found[-1].code, body)
        last = kind
    return found


def _body(lines: Iterator[tuple[int, str]], indent: int, fence: str, opened: int) -> Iterator[str]:
    for _, line in lines:
        if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            return
        yield line[indent:] if not line[:indent].strip() else line.lstrip()
    raise ValueError(f"line {opened}: a fence is never closed")


def run(block: Block, page: Path, namespace: dict[str, object]) -> str:
    """Execute a block; a traceback names the page and its line. Returns what it printed."""
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec", dont_inherit=True)
    printed = StringIO()
    with redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module that a page is: its classes can be pickled, its folder is empty, its seed is 0."""
    made = ModuleType("guide_page")
    monkeypatch.setitem(sys.modules, "guide_page", made)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    torch.manual_seed(0)
    return made


@pytest.mark.parametrize(
    "page",
    # one page trains inside of every framework
    [
        pytest.param(p, id=p.stem, marks=pytest.mark.slow if p.stem in ("in-your-loop", "hidden-labels") else ())
        for p in PAGES
    ],
)
@pytest.mark.filterwarnings(*THEIRS)
def test_every_block_of_a_page_runs_and_prints_what_it_says(page: Path, module: ModuleType) -> None:
    found = blocks(page.read_text())
    assert found, f"{page.name} shows no Python"
    for block in found:
        try:
            printed = run(block, page, vars(module))
        except ModuleNotFoundError as error:
            if str(error.name).split(".")[0] not in OPTIONAL:
                raise
            pytest.skip(f"{page.name} line {block.line}: {error}")
        if block.output is not None:
            assert printed.rstrip() == block.output.rstrip(), f"{page.name} line {block.line}"


def test_there_is_a_guide() -> None:
    assert "in-your-loop" in {page.stem for page in PAGES}


PAGE = """\
# A page
```python
x = 1
print(x)
```

```output
1
```
```bash
exit 1
```
1. indented
   ```python
   if x:
       y = "\\n```\\n"
   ```
"""


def test_blocks_are_found_with_their_lines_and_outputs() -> None:
    assert blocks(PAGE) == [
        Block(3, "x = 1\nprint(x)", "1"),
        Block(15, 'if x:\n    y = "\\n```\\n"'),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\nx = 1\n", "line 1: a fence is never closed"),
        ("\n```Python\n```", "line 2: write ```python"),
        ("```python no-run\n```", "line 1: write ```python"),
        ("```python\n```\nprose\n```output\n```", "line 4: output must follow"),
    ],
)
def test_what_would_hide_a_block_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        blocks(text)


def test_a_failing_block_names_its_page_and_line() -> None:
    with pytest.raises(ZeroDivisionError) as failure:
        run(Block(17, "y = 2\n1 / 0"), Path("page.md"), {})
    last = failure.traceback[-1]
    assert (str(last.path), last.lineno + 1) == ("page.md", 18)


def test_a_warning_in_a_block_is_an_error() -> None:
    with pytest.raises(UserWarning, match="look out"):
        run(Block(1, "import warnings; warnings.warn('look out')"), Path("page.md"), {})
