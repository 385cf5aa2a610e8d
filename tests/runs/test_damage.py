"""Whatever happens to the files of a run: the same table and predictions again, or one line; never another result.

A seeded adversary damages, removes, swaps and truncates files of finished and half-finished folders, one a trial. The
commands run in this process on a table of 70 rows.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damaged_json import SHAPES
from longtail.cli import run as command_line
from longtail.report import weight_plot
from longtail.runs.journal import Journal
from longtail.runs.run import Run

TRIALS, PARTS = 200, 2
SHARED = ["--epochs", "3", "--model", "linear"]
COMPARED = ["--methods", "absgd-decoupled,absgd,logit-adjusted-posthoc", "--seeds", "2", "--jobs", "1"]
COMMANDS = {
    "train": ["train", "data.npz", "--method", "absgd-decoupled", *SHARED],
    "compare": ["compare", "data.npz", *COMPARED, *SHARED],
    "folds": ["compare", "data.npz", "--methods", "logit-adjusted-posthoc", "--seeds", "1", "--folds", "2", "--jobs",
              "1", *SHARED],
}  # fmt: skip
INTERRUPTED = {"train": 4, "compare": 20, "folds": 5}
"""After how many epochs the half-finished folders were left: in the second stage, in the second seed, in fold 1."""
SECONDS = ("seconds", "evaluation_seconds")
WHOLE = ("predictions.safetensors", "model.safetensors", "meta.json")


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


PROGRESS = ("longtail: comparing: ", "longtail: training ")
"""How a line begins that says how far the work is."""


def said(arguments: list[str]) -> Said:
    """How a command ended and what it said, but for its progress."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command_line(arguments)
    lines = err.getvalue().splitlines(keepends=True)
    return Said(code, out.getvalue(), "".join(line for line in lines if not line.startswith(PROGRESS)))


def timeless(value: Any) -> Any:
    """JSON without what differs from one time to the next, and without the commands, which name the folder."""
    if isinstance(value, dict):
        unlike = (*SECONDS, "command", "earlier_commands")
        return {key: timeless(inner) for key, inner in value.items() if key not in unlike}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def result(folder: Path) -> dict[str, Any]:
    """Everything that a folder says: every run's bytes, its records and its scores, and the table."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name in WHOLE:
            found[name] = path.read_bytes()
        elif path.name == "metrics.jsonl":
            found[name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name == "run.json":
            found[name] = json.loads(path.read_text())["scores"]
        elif path.name in ("comparison.json", "weights.svg", "weight-net.svg"):
            found[name] = timeless(json.loads(path.read_text())) if path.suffix == ".json" else path.read_text()
    return found


@dataclass(frozen=True)
class Place:
    """A folder as it was left, the command that left it, and what is in the folder once the command is done."""

    command: list[str]
    left: Path
    whole: dict[str, Any]
    files: dict[str, list[str]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, undrawn: Any) -> Iterator[dict[str, Place]]:
    root, before = tmp_path_factory.mktemp("damage"), Path.cwd()
    generator = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 20, 10])
    np.savez(root / "data.npz", X=(generator.normal(size=(70, 4)) + y[:, None]).astype(np.float32), y=y)
    os.chdir(root)
    found: dict[str, Place] = {}
    fast = pytest.MonkeyPatch()
    fast.setattr("longtail.methods.registry.entry_points", lambda **group: ())
    fast.setattr(weight_plot, "svg", drawn_once(weight_plot.svg))
    for kind, command in COMMANDS.items():
        assert said([*command, "--out", f"{kind}-finished"]).code == 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Journal, "add", interrupting(INTERRUPTED[kind]))
            assert said([*command, "--out", f"{kind}-half"]).code == 130
        for state in ("finished", "half"):
            left, files = root / f"{kind}-{state}", defaultdict(list)
            for path in sorted(left.rglob("*")):
                if path.is_file():
                    files[path.name].append(str(path.relative_to(left)))
            found[f"{kind}-{state}"] = Place(command, left, result(root / f"{kind}-finished"), dict(files))
    yield found
    fast.undo()
    os.chdir(before)


def drawn_once(draw: Callable[..., str | None]) -> Callable[..., str | None]:
    """The picture of weights, drawn once for everything that it may show: drawing takes longer than training."""
    pictures: dict[str, str | None] = {}

    def svg(records: Any, *shown: Any) -> str | None:
        key = json.dumps([timeless(records), *shown])
        if key not in pictures:
            pictures[key] = draw(records, *shown)
        return pictures[key]

    return svg


def interrupting(after: int) -> Callable[..., None]:
    """Journal.add, stopped by the user after so many epochs."""
    add, done = Journal.add, []

    def stopped(self: Journal, *arguments: Any) -> None:
        add(self, *arguments)
        done.append(1)
        if len(done) == after:
            raise KeyboardInterrupt

    return stopped


Draw = random.Random


def flipped(data: bytes, draw: Draw) -> bytes:
    changed = bytearray(data or b"x")
    for _ in range(draw.choice([1, 1, 1, 8])):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def another_digit(data: bytes, draw: Draw) -> bytes:
    digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
    if not digits:
        return flipped(data, draw)
    i = draw.choice(digits)
    return data[:i] + bytes([48 + (data[i] - 48 + draw.randrange(1, 10)) % 10]) + data[i + 1 :]


def another_value(data: bytes, draw: Draw) -> bytes:
    """One value of a JSON document of another type, or gone, anywhere in it."""
    lines = data.decode().splitlines() if data.count(b"\n{") else [data.decode()]
    i = draw.randrange(len(lines))
    document = json.loads(lines[i])
    node, key = document, draw.choice(list(document))
    while isinstance(node[key], dict | list) and node[key] and draw.random() < 0.8:
        node = node[key]
        key = draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
    if draw.random() < 0.3 and isinstance(node, dict):
        del node[key]
    else:
        node[key] = draw.choice([None, [], {}, "x", -1, 1e300, True, [[1]], 7])
    lines[i] = json.dumps(document)
    return ("\n".join(lines) + "\n").encode()


CHANGES: dict[str, Callable[[bytes, Draw], bytes]] = {
    "flipped": flipped,
    "truncated": lambda data, draw: data[: draw.randrange(max(len(data), 1))],
    "emptied": lambda data, draw: b"",
    "longer": lambda data, draw: data + draw.randbytes(draw.choice([1, 40])),
    "blanked": lambda data, draw: data[:8] + bytes(len(data[8:-8])) + data[-8:],
    "digit": another_digit,
}
OF_JSON: dict[str, Callable[[bytes, Draw], bytes]] = {
    "digit": another_digit,
    "value": another_value,
    "shape": lambda data, draw: draw.choice(SHAPES),
    "line lost": lambda data, draw: b"".join(draw.sample(lines := data.splitlines(True), len(lines) - 1)),
}


def damage(folder: Path, files: dict[str, list[str]], draw: Draw) -> str:
    """Do something to one file, of a kind drawn first; says what."""
    kind = draw.choice(sorted(files))
    name = draw.choice(files[kind])
    path = folder / name
    others = [other for other in files[kind] if other != name] or [n for names in files.values() for n in names]
    what = draw.choice(
        [
            "removed",
            "swapped",
            "copied",
            "folder",
            *CHANGES,
            *(OF_JSON if ".json" in kind else ()),
            *(OF_JSON if ".json" in kind else ()),
        ]
    )
    if what == "removed":
        path.unlink()
    elif what == "folder":
        path.unlink()
        path.mkdir()
    elif what in ("swapped", "copied"):
        other = folder / draw.choice(others)
        mine, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(mine if what == "swapped" else theirs)
        return f"{name} {what} with {other.relative_to(folder)}"
    else:
        path.write_bytes({**CHANGES, **OF_JSON}[what](path.read_bytes(), draw))
    return f"{name} {what}"


def refused(found: Said) -> bool:
    """Whether a command refused in one line."""
    return (
        found.code == 2
        and found.out == ""
        and found.err.startswith("longtail: error: ")
        and found.err.count("\n") == 1
        and len(found.err) < 1200
    )


VOUCHED = {"config.json", "run.json", "metrics.jsonl", *WHOLE}
"""Files of a finished run of which no change may pass without a word."""


def trial(number: int, places: dict[str, Place], out: Path) -> tuple[str, str, bool]:
    """Damage a copy and give the command again; an AssertionError unless it ends the same or refuses in one line.

    Returns how it ended ("same", "refused"), what was done, and whether that must have been said.
    """
    draw = random.Random(number)
    where = sorted(places)[number % len(places)]
    place = places[where]
    shutil.copytree(place.left, out)
    done = f"trial {number}, {where}: {damage(out, place.files, draw)}"
    told = where.endswith("finished") and any(
        path.name in VOUCHED and (not (there := out / path.relative_to(place.left)).is_file() or differ(path, there))
        for path in place.left.rglob("*")
    )
    if where.startswith("train"):
        loaded(out, place, done)
    found = said([*place.command, "--out", str(out)])
    if refused(found):
        return "refused", f"{done}: {found.err}", False
    assert found.code == 0, f"{done}: {found}"
    assert "Traceback" not in found.err, f"{done}: {found}"
    assert result(out) == place.whole, f"{done}: {found}"
    again = said([*place.command, "--out", str(out)])  # and everything is whole again
    assert (again.code, again.err) == (0, ""), f"{done}: {again}"
    assert result(out) == place.whole, done
    return "same", done, told


def differ(one: Path, other: Path) -> bool:
    return one.read_bytes() != other.read_bytes()


def loaded(out: Path, place: Place, done: str) -> None:
    """What only reads a folder says the same or refuses."""
    try:
        scores = Run.load(out).scores
    except (ValueError, OSError):
        scores = place.whole["run.json"]
    assert scores == place.whole["run.json"], done
    found = said(["predict", str(out), "data.npz"])
    whole = said(["predict", str(place.left.with_name("train-finished")), "data.npz"])
    assert refused(found) or found == whole, f"{done}: {found}"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_two_hundred_damages_change_no_result(
    part: int, places: dict[str, Place], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ends: Counter[str] = Counter()
    for number in range(part * TRIALS // PARTS, (part + 1) * TRIALS // PARTS):
        out = tmp_path / "out"
        caplog.clear()
        end, done, told = trial(number, places, out)
        heard = [line for line in caplog.messages if "test examples" not in line]  # of the data, not of the damage
        assert heard or not told, f"{done}: nothing was said"
        ends[end] += 1
        shutil.rmtree(out)
    assert ends["same"] > 0.8 * TRIALS / PARTS, ends  # most damages are mended, not only refused
