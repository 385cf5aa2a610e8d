"""What `make` installs, where, and for which interpreter."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAID = re.compile(r"longtail\[(\w+)\]")


def make(*arguments: str, code: int = 0) -> str:
    if shutil.which("make") is None:
        pytest.skip("no make")
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "VENV"))}  # of `make test`
    command = ["make", "-n", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_each_interpreter_has_an_environment_of_its_own(tmp_path: Path) -> None:
    other = tmp_path / "python3.99"
    other.write_text("#!/bin/sh\ncase $2 in *platform*) echo 3.99.1t;; esac\n")
    other.chmod(0o755)
    ours = f".venv-{platform.python_version()}{sys.abiflags}/bin"
    assert make("bin", f"PYTHON={sys.executable}").strip() == f"echo {ours}"
    assert make("bin", f"PYTHON={other}").strip() == "echo .venv-3.99.1t/bin"
    assert f"{other} -m venv .venv-3.99.1t" in make("test", f"PYTHON={other}")


def test_what_is_no_interpreter_is_refused() -> None:
    assert "PYTHON must be a Python interpreter, no-such-python does not answer" in make(
        "demo", "PYTHON=no-such-python", code=2
    )


def test_the_demo_installs_whatever_a_message_could_ask_for() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {name for path in (ROOT / "src").rglob("*.py") for name in SAID.findall(path.read_text())}
    (everything,) = extras["all"]
    assert asked >= {"data", "report"}
    assert asked <= set(everything.removeprefix("longtail[").removesuffix("]").split(",")) | {
        "all",
        "track",
    }  # trackers bring 40 packages
    assert '-e ".[all]"' in make("-B", "demo")
