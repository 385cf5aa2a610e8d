"""A comparison believes no finished run unchecked: what is damaged is named and run again, to the same table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import longtail as lt
from longtail.comparison import compare, prepare
from longtail.comparison.estimate import estimate
from longtail.runs.run import Run
from resealing import resealed, unsealed

generator = np.random.default_rng(0)
Y = np.repeat(np.arange(3), (60, 24, 8))
X = generator.normal(size=(len(Y), 3)) + Y[:, None]
ASKED: dict[str, Any] = {"methods": "ldam,logit-adjusted-posthoc", "seeds": 2, "epochs": 2, "model": "linear"}


def told_of_runs(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said, but for what the data themselves are warned of."""
    return [line for line in caplog.messages if "test examples" not in line]


def run(out: Path, **changes: Any) -> Any:
    return compare(X, Y, out=out, jobs=1, **{**ASKED, **changes})


def timeless(value: Any) -> Any:
    """Without seconds, and without the commands, which name the folder: another one in every test."""
    if isinstance(value, dict):
        unlike = ("seconds", "command", "earlier_commands")
        return {key: timeless(inner) for key, inner in value.items() if key not in unlike}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("done") / "out"
    return timeless(run(out).summary), out


@pytest.fixture
def out(done: tuple[Any, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(done[1], tmp_path / "out"))


def of(out: Path, method: str, seed: int = 0) -> Path:
    (folder,) = out.glob(f"{method}-????????/seed-{seed}")
    return folder


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def better(result: dict[str, Any]) -> None:
    result["scores"]["balanced_accuracy"] = 5.236


def swapped_columns(path: Path) -> None:
    arrays = load_file(path)
    arrays["scores"] = np.ascontiguousarray(arrays["scores"][:, ::-1])
    save_file(arrays, path)


def swap(a: Path, b: Path) -> None:
    mine, theirs = a.read_bytes(), b.read_bytes()
    a.write_bytes(theirs)
    b.write_bytes(mine)


PREDICTED = "predictions.safetensors"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a digit of the scores": (
        lambda out: edit(of(out, "ldam") / "run.json", better), "run.json was changed since it was written",
    ),
    "a digit of the scores, sealed again": (
        lambda out: resealed(of(out, "ldam") / "run.json", better), "says balanced_accuracy 5.236, its predictions",
    ),
    "columns of the predictions": (
        lambda out: swapped_columns(of(out, "ldam") / PREDICTED), f"{PREDICTED} was changed since the run was",
    ),
    "predictions of two seeds": (
        lambda out: swap(of(out, "ce") / PREDICTED, of(out, "ce", 1) / PREDICTED), f"{PREDICTED} was changed",
    ),
    "predictions of two methods": (
        lambda out: swap(of(out, "ce") / PREDICTED, of(out, "ldam") / PREDICTED), f"{PREDICTED} was changed",
    ),
    "no predictions": (lambda out: (of(out, "ce") / PREDICTED).unlink(), f"{PREDICTED} is missing"),
    "no model": (lambda out: (of(out, "ce") / "model.safetensors").unlink(), "model.safetensors is missing"),
    "no configuration": (lambda out: (of(out, "ce") / "config.json").unlink(), "config.json is missing"),
    "the result of another method": (
        lambda out: shutil.copy(of(out, "ce") / "run.json", of(out, "ldam") / "run.json"), "config.json was",
    ),
    "a result that vouches for less": (
        lambda out: resealed(of(out, "ce") / "run.json", lambda r: r.update(files={})), "does not vouch for",
    ),
    "a result that names what is elsewhere": (
        lambda out: resealed(of(out, "ce") / "run.json", lambda r: r["files"].update({"../x": ""})), "files cannot be",
    ),
    "a result of a list": (lambda out: (of(out, "ce") / "run.json").write_text("[]"), "a list where an object"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_run_is_named_and_run_again(
    out: Path,
    done: tuple[dict[str, Any], Path],
    damage: Callable[[Path], object],
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(out)
    result = run(out)
    assert timeless(result.summary) == done[0]
    lines = [line for line in caplog.messages if line.endswith("; running it again")]
    assert any(told in line and str(out) in line for line in lines), caplog.messages
    for path in done[1].glob(f"*/*/{PREDICTED}"):
        assert (out / path.relative_to(done[1])).read_bytes() == path.read_bytes()
    caplog.clear()
    assert run(out).summary == result.summary
    assert told_of_runs(caplog) == []


def test_a_dry_run_counts_it_as_to_do_and_changes_nothing(out: Path) -> None:
    def finished_and_missing() -> tuple[int, int]:
        plan = estimate(prepare(X, Y, out=out, **ASKED), 1)
        return plan["finished"], plan["trainings"]

    assert finished_and_missing() == (6, 0)
    edit(of(out, "ldam") / "run.json", better)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert finished_and_missing() == (5, 1)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_where_nothing_is_run_it_is_refused_with_the_way_out(out: Path) -> None:
    folder = of(out, "ldam")
    assert Run.load(folder).scores == json.loads((folder / "run.json").read_text())["scores"]
    edit(folder / "run.json", better)
    with pytest.raises(ValueError, match=r"run.json was changed .* run the same command again, which does") as found:
        lt.Run.load(folder)
    assert "\n" not in str(found.value)


def test_runs_of_a_version_without_checksums_are_said_in_one_line_and_run_again(
    out: Path, done: tuple[dict[str, Any], Path], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("run.json", "config.json"):
        for path in out.glob(f"*/*/{name}"):
            unsealed(path)
    assert timeless(run(out).summary) == done[0]
    (line,) = told_of_runs(caplog)
    assert "was written by an older version of longtail, without checksums; 5 more of" in line
    assert line.endswith("running again")


def test_a_run_of_a_newer_version_is_refused_and_kept(out: Path) -> None:
    path = of(out, "ce") / "run.json"
    resealed(path, lambda result: result.update(schema_version=99))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="was written by a newer version of longtail; update longtail"):
        run(out)
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_another_is_refused(out: Path) -> None:
    first, second = of(out, "ce"), of(out, "ce", 1)
    first.rename(out / "aside")
    second.rename(first)
    (out / "aside").rename(second)
    with pytest.raises(ValueError, match="seed-0 holds another configuration: seed is 1 there, 0 was asked"):
        run(out)


class TestTheComparisonsOwnConfiguration:
    @pytest.mark.parametrize("content", [None, "[]", "{", '{"schema_version": 2, "data": {}}'])
    def test_damaged_or_gone_is_said_and_the_same_command_goes_on(
        self, out: Path, done: tuple[dict[str, Any], Path], content: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = out / "config.json"
        whole = path.read_text()
        path.unlink() if content is None else path.write_text(content)
        assert timeless(run(out).summary) == done[0]
        assert path.read_text() == whole
        (line,) = told_of_runs(caplog)
        assert line.startswith(f"{path} ")
        assert line.endswith("; going on with the methods and seeds that were asked for")

    @pytest.mark.parametrize("changes", [{"methods": "ldam"}, {"seeds": 1}])
    def test_gone_never_shortens_the_table(self, out: Path, changes: dict[str, Any]) -> None:
        (out / "config.json").unlink()
        with pytest.raises(
            ValueError, match=r"config.json is missing, and .* holds runs beyond what was asked, such as"
        ):
            run(out, **changes)

    def test_gone_never_takes_runs_of_other_data(self, out: Path) -> None:
        (out / "config.json").unlink()
        with pytest.raises(ValueError, match=r"holds another configuration: data.hash is"):
            compare(X + 1, Y, out=out, jobs=1, **ASKED)
