"""`make test-fast` stays fast: what compiles or starts a Python of its own is marked slow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
COSTLY = {"torch.compile", "sys.executable", "torch.multiprocessing.spawn", "toys.kill", "toys.finish"}
"""A compiler's run, or a new Python that imports torch: a second or more each."""
LAST = {name.rpartition(".")[2] for name in COSTLY}
SLOW = "pytest.mark.slow"
Function = ast.FunctionDef | ast.ClassDef


def unmarked(source: str) -> list[str]:
    """The tests that do something costly, by themselves or in a function of their file, and are not marked slow."""
    if not any(name in source for name in COSTLY):
        return []
    tree = ast.parse(source)
    if any(isinstance(node, ast.Assign) and _says(node, "pytestmark", SLOW) for node in tree.body):
        return []
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    costly = {name for name, node in functions.items() if _costly(node)}
    while more := {n for n, node in functions.items() if n not in costly and _names(node) & costly}:
        costly |= more
    return [test.name for test, slow in _tests(tree) if not slow and (_costly(test) or _names(test) & costly)]


def _tests(tree: ast.Module | ast.ClassDef, slow: bool = False) -> Iterator[tuple[ast.FunctionDef, bool]]:
    for node in tree.body:
        if isinstance(node, Function):
            marked = slow or any(_says(decorator, SLOW) for decorator in node.decorator_list)
            if isinstance(node, ast.ClassDef):
                yield from _tests(node, marked)
            elif node.name.startswith("test_"):
                yield node, marked


def _says(node: ast.AST, *words: str) -> bool:
    return all(word in ast.unparse(node) for word in words)


def _costly(node: ast.AST) -> bool:
    found = (n for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr in LAST)
    return any(ast.unparse(n) in COSTLY for n in found)


def _names(node: ast.FunctionDef) -> set[str]:
    """What it calls or, as a fixture, is given."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {a.arg for a in node.args.args}


def test_what_compiles_or_starts_a_python_is_slow() -> None:
    texts = {path.relative_to(TESTS).as_posix(): path.read_text() for path in TESTS.rglob("test_*.py")}
    found = {name: tests for name, text in texts.items() if (tests := unmarked(text))}
    assert not found, f"mark these with pytest.mark.slow: {found}"


def test_it_is_found_in_helpers_fixtures_and_classes() -> None:
    source = """
def helper(): return run([sys.executable])
def between(): helper()
@pytest.fixture
def made(): between()
def test_a(made): ...
@pytest.mark.slow
def test_b(): torch.compile(1)
class TestC:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.slow), 2])
    def test_c(self): between()
    def test_d(self): ...
    def test_e(self): torch.compile(1)
"""
    assert unmarked(source) == ["test_a", "test_e"]
    assert unmarked(f"pytestmark = [pytest.mark.slow]\n{source}") == []
