"""A search that was killed, ran out of time or failed in part: started again, it ends with the same bytes."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from longtail.comparison.tune.tune import tune

ASKED = {"method": "ldam(scale=[5, 10, 30])", "vary": "lr=[1e-6, 0.1]", "val": 0.2, "epochs": 6}
FILES = ("tune.json", "tune.csv", "tune.md")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    tune("digits", out=out, run={"jobs": 1}, **ASKED)
    return {name: (out / name).read_bytes() for name in FILES}


def test_killed_in_the_middle_it_ends_with_the_same_files(tmp_path, undisturbed):
    out = tmp_path / "out"
    child = os.fork()
    if not child:
        tune("digits", out=out, run={"jobs": 1}, **ASKED)
        os._exit(0)
    deadline = time.monotonic() + 120
    while not list(out.glob("*/seed-0/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not (out / "tune.json").exists()
    assert list(out.glob("*/seed-0"))
    assert len(list(out.glob("*/seed-0/run.json"))) < 6
    tune("digits", out=out, run={"jobs": 1}, **ASKED)
    assert {name: (out / name).read_bytes() for name in FILES} == undisturbed


def test_out_of_time_it_says_so_and_goes_on(tmp_path, undisturbed, monkeypatch):
    clock = [0.0]  # every run takes a second
    for module in ("execute", "tune.tune"):
        monkeypatch.setattr(f"longtail.comparison.{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))
    run = {"jobs": 1, "on_result": lambda result: clock.__setitem__(0, clock[0] + 1)}
    first = tune("digits", out=tmp_path, run={**run, "budget": 1.5}, **ASKED)
    assert first.summary["missing"] == [row["metric"] for row in first.summary["rows"]].count(None) == 4
    assert "4 run(s) are missing, so the choice is not final" in repr(first)
    tune("digits", out=tmp_path, run={"jobs": 1}, **ASKED)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == undisturbed


def test_without_any_time_nothing_is_chosen(tmp_path):
    with pytest.raises(ValueError, match=r"no candidate finished \(the budget ended first\)"):
        tune("digits", out=tmp_path, run={"jobs": 1, "budget": 1e-9}, **ASKED)


def test_inner_folds_share_stages_and_are_resumed(tmp_path):
    asked = {"method": "logit-adjusted-posthoc(tau=[0.5, 1.0])", "inner_folds": 2, "epochs": 3, "out": tmp_path}
    first = tune("digits", run={"jobs": 1}, **asked)
    assert first.summary["inner_folds"] == 2
    assert len(list(tmp_path.glob("stages/*"))) == 2  # one training a fold, for both candidates
    written = {name: (tmp_path / name).read_bytes() for name in FILES}
    (gone, *_) = tmp_path.glob("*/seed-0/fold-1/run.json")
    gone.unlink()
    (gone.parents[1] / "run.json").unlink()
    tune("digits", run={"jobs": 1}, **asked)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == written
    assert "in 2 inner folds" in repr(first)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{"val": 0.2, "search": "coordinate"}, {"inner_folds": 2}])
def test_worker_processes_change_no_byte(tmp_path, asked):
    written, few = [], {"method": "ldam(scale=[5, 30])", "val": None, "epochs": 2}
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        tune("digits", out=out, run={"jobs": jobs}, seeds=2, **{**ASKED, **few, **asked})
        written.append({name: (out / name).read_bytes() for name in FILES})
    assert written[0] == written[1]
