"""What README and docs say is what the code says."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
from tests.documents import GENERATED, ROOT, block

import longtail as lt
from longtail import aliases
from longtail.cli import app
from longtail.methods import PRESETS, catalogue, method
from longtail.methods.entries import QUICK
from longtail.methods.tuning.space import space

README = (ROOT / "README.md").read_text()


WITH_EVERY_CHECK = ("docs/losses-support.md", "support")  # made by running the whole contract of the losses


@pytest.mark.parametrize(
    ("file", "name"),
    [pytest.param(*found, marks=pytest.mark.slow if found == WITH_EVERY_CHECK else ()) for found in GENERATED],
)
def test_generated_blocks_are_up_to_date(file: str, name: str) -> None:
    expected = GENERATED[file, name]()
    assert block((ROOT / file).read_text(), name).strip() == expected.strip(), "run: make docs"


def test_the_readme_table_has_every_method() -> None:
    for key in catalogue():
        assert f"| `{key}` |" in block(README, "methods")


def test_the_demo_block_has_a_row_for_every_quick_method_and_the_verdict() -> None:
    shown = block(README, "demo")
    for key in QUICK["supervised"]:
        assert re.search(rf"^{re.escape(key)}( \*)? ", shown, re.MULTILINE), key
    assert "leads ce by" in shown
    assert "What you gain" in shown
    assert "Nothing is shown to beat ce" in block(README, "mild")


def test_commands_in_the_readme_name_real_verbs_and_methods() -> None:
    verbs = {command.callback.__name__ for command in app.registered_commands if command.callback}
    for line in re.findall(r"^longtail (.*)$", README, re.MULTILINE):
        assert line.split()[0] in verbs, line
    for spec in re.findall(r'--methods? "?([^"\s]+(?:\([^)]*\))?[^"\s]*)"?', README):
        for one in re.split(r",(?![^(]*\))", spec):
            if "[" in one:
                space(one)
            elif one not in PRESETS.keys:
                method(one)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
PRESENT = [page for page in PAGES if page.parent.name != "decisions"]
"""The pages that describe the code as it is; decision records name modules as they were."""


def resolves(name: str) -> bool:
    """Whether a dotted name below longtail is a module or an attribute of one; former names of submodules are not."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        module = ".".join(parts[:end])
        if end > 2 and ".".join(parts[1:end]) in aliases.MOVED:
            return False
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        for attribute in parts[end:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def exists(path: str, page: Path) -> bool:
    return any((folder / path).exists() for folder in (ROOT, ROOT / "src" / "longtail", page.parent))


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: page.name)
def test_files_and_names_that_a_page_mentions_exist(page: Path) -> None:
    text = re.sub(r"\[[^\]]*\](?=\()", "", page.read_text())  # of a link the target alone
    files = re.findall(r"(?<![\w/.*])(?:\.\./)*[\w/]+\.py\b", text)
    folders = re.findall(r"`((?:tests|docs|benchmarks|src|facts|data|comparison|report)/(?:\w+/)*)`", text)
    assert not [path for path in (*files, *folders) if not exists(path, page)]
    names = re.findall(r"(?<![\w\[./])(longtail(?:\.[A-Za-z_]\w*)+)", text)
    names += [f"longtail{name}" for name in re.findall(r"\blt((?:\.[A-Za-z_]\w*)+)", text)]
    assert not [name for name in names if name != "longtail.methods" and not resolves(name)]


def test_a_file_or_name_that_does_not_exist_is_noticed() -> None:
    assert exists("comparison/plan.py", ROOT / "README.md")
    assert not exists("comparison/plans.py", ROOT / "README.md")
    assert resolves("longtail.losses.LDAMLoss")
    assert resolves("longtail.schedules.switch")
    assert not resolves("longtail.losses.LDAM")
    assert not resolves("longtail.comparison.inspection")


def test_relative_links_lead_somewhere() -> None:
    for path in PAGES:
        prose = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:\s]+)\)", prose):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_version_is_said_once_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == lt.__version__
    assert f"version: {lt.__version__}" in (ROOT / "CITATION.cff").read_text()


def test_constraints_hold_torch_and_every_dependency() -> None:
    lines = Path(ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    wanted = {re.split(r"[>=\[]", d)[0] for d in named} - {"longtail"}
    assert wanted <= pinned
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()
