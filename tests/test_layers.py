"""The layers: each file imports only downward, and siblings among the parts do not see each other."""

import ast
from pathlib import Path

from tests.cases import cases

TESTS = Path(__file__).parent
SRC = TESTS.parent / "src" / "longtail"

FACTS = {"aliases", "facts", "version"}
PARTS = {"classical", "data", "instance_weights", "losses", "models", "posthoc", "sampling", "targets", "updates"}
LAYERS = [
    FACTS,
    {"functional", "metrics"},
    PARTS,
    {"learners", "optim"},
    {"engine"},
    {"catalogue"},
    {"methods"},
    {"runs", "report"},
    {"inspection"},
    {"comparison"},
    {"labels", "classifier"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    """The first name below longtail: a package or a module."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms of longtail that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [node.module or ""]
            if node.module == "longtail":
                names = [f"longtail.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("longtail.")}
    return found


def allowed(here: str, there: str) -> bool:
    if here == there:
        return True
    if here in PARTS and there in PARTS:
        return False
    if RANK[here] == 0:
        return RANK[there] == 0
    return RANK[there] < RANK[here]


def test_every_room_has_a_layer() -> None:
    rooms = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert rooms <= set(RANK), f"rooms without a layer: {rooms - set(RANK)}"


@cases("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_downward(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    wrong = {there for there in imported(path) if there in RANK and not allowed(here, there)}
    assert not wrong, f"{path.relative_to(SRC)} ({here}) must not import {wrong}"


def test_the_test_sees_an_upward_arrow() -> None:
    assert not allowed("losses", "engine")
    assert not allowed("losses", "data")
    assert not allowed("report", "comparison")
    assert not allowed("facts", "losses")
    assert allowed("methods", "losses")


def test_report_imports_no_torch() -> None:
    for path in (SRC / "report").rglob("*.py"):
        assert "torch" not in path.read_text().replace("never imports torch", ""), path


def test_files_are_pages() -> None:
    long = {str(p.relative_to(SRC)): n for p in FILES if (n := len(p.read_text().splitlines())) > 250}
    assert not long, f"files that have outgrown a page: {long}"


def test_rooms_are_named_for_what_they_hold() -> None:
    unnamed = {"utils", "util", "common", "helpers", "misc", "base", "manager"}
    assert not {part for p in FILES for part in (*p.relative_to(SRC).parts[:-1], p.stem)} & unnamed


def test_tests_have_the_folders_of_the_source() -> None:
    of_many = {"families", "integrations", "refusals"}  # tests of several packages together
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("*.py")}
    assert not {str(f) for f in folders if not (SRC / f).is_dir() and str(f) not in of_many}
