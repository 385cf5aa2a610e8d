"""What lies in the working directory or beside the data is data: no command, worker or reader imports it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtail.facts import subprocesses

NAMES = (
    "numpy", "random", "joblib", "json", "torch", "datasets", "pandas", "sitecustomize", "usercustomize",
    "multiprocessing", "pickle", "sklearn", "typer", "rich", "safetensors", "_longtail_plugin",
)  # fmt: skip
MARK = "open({!r} + '/' + __name__ + '.ran', 'w').close()\n"
QUICKLY = ("--epochs", "1", "--seeds", "2", "--methods", "ce,ldam")
SCRIPT = [str(Path(sys.executable).with_name("longtail"))]
MODULE = [sys.executable, "-m", "longtail"]


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with data, and a module of every name that something may look for."""
    folder = tmp_path / "trap"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(MARK.format(str(tmp_path)))
    y = np.repeat([0, 1, 2], [40, 16, 8])
    X = np.random.default_rng(0).normal(size=(64, 3)) + y[:, None]
    np.savez(folder / "good.npz", X=X, y=y)
    rows = "".join(f"{'ab'[i % 2]},{i % 7}\n" for i in range(60))
    (folder / "t.csv").write_text(f"label,size\n{rows}")
    return folder


def ran(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.glob("*.ran"))


def started(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | environment
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [SCRIPT, MODULE], ids=["longtail", "python -m longtail"])
def test_no_command_imports_what_lies_in_the_working_directory(entry: list[str], trap: Path) -> None:
    train = ("train", "t.csv", "--label", "label", "--method", "ce", "--epochs", "1", "--out", "../model")
    commands = [
        ("compare", "good.npz", "--jobs", "2", "--out", "../out", *QUICKLY), train, ("predict", "../model", "t.csv"),
        ("inspect", "t.csv"), ("methods",), ("explain", "ce"),
    ]  # fmt: skip
    if entry is SCRIPT:
        (trap / "longtail.py").write_text(MARK.format(str(trap.parent)))  # which -m itself would take
        commands = commands[:2]  # a script has the folder on no path: it starts the others as it starts these
    for arguments in commands:
        done = started([*entry, *arguments], trap)
        assert done.returncode == 0, done.stderr
        assert ran(trap) == [], f"{arguments[0]} ran them"


@pytest.mark.slow
def test_a_plug_in_that_the_user_named_is_found_by_the_workers_too(trap: Path, tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    (plugins / "mine-1.dist-info").mkdir(parents=True)
    (plugins / "mine-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (plugins / "mine-1.dist-info" / "entry_points.txt").write_text("[longtail.methods]\nmine = mine_methods:mine\n")
    (plugins / "mine_methods.py").write_text(
        "from longtail.methods.plain import focal\ndef mine(*, gamma: float = 2.0):\n    'Mine.'\n    return focal()\n"
    )
    few = ["--epochs", "1", "--seeds", "1", "--methods", "ce,mine"]
    line = ["compare", "good.npz", "--jobs", "2", "--out", "../out", *few]
    done = started([*MODULE, *line], trap, PYTHONPATH=str(plugins))
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout
    assert ran(trap) == []


@pytest.mark.slow
def test_a_library_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in (None, "yes"):
        monkeypatch.delenv(subprocesses.SAFE, raising=False)
        if before is not None:
            monkeypatch.setenv(subprocesses.SAFE, before)
        with subprocesses.safe_path():
            process: Any = subprocess.run(
                [sys.executable, "-c", "import sys; print(sys.flags.safe_path)"], capture_output=True, text=True
            )
        assert process.stdout.strip() == "True"
        assert os.environ.get(subprocesses.SAFE) == before
