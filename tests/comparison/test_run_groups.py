"""Runs side by side in one process: which ones, and that no result depends on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.packs import counted_packs

from longtail.comparison import compare, execute, groups, prepare
from longtail.comparison.plan import plan
from longtail.engine.admission import Admission
from longtail.engine.lanes import Cpu


def table(counts: tuple[int, ...] = (60, 24, 12)) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(len(counts)), counts)
    return (generator.normal(size=(len(y), 4)) + y[:, None]).astype(np.float32), y


X, Y = table()
ASKED: dict[str, Any] = {"methods": "ce,ldam-drw,focal,sam,trees", "seeds": 2, "epochs": 2, "jobs": 1, "model": "mlp"}


def run(out: Path, **changes: Any) -> Any:
    return compare(X, Y, out=out, **{**ASKED, **changes})


def predictions(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("predictions.safetensors"))}


def grouped(tmp_path: Path, workers: int, **changes: Any) -> list[list[tuple[str, int]]]:
    options = {**ASKED, **changes}
    del options["jobs"]
    planned = plan(prepare(options.pop("data", X), options.pop("y", Y), out=tmp_path / "out", **options))
    found = groups.groups_of(planned, planned.waves()[0], workers)
    assert sorted(str(task) for group in found for task in group) == sorted(map(str, planned.waves()[0]))
    return [[(task.spec, task.seed) for task in group] for group in found]


class TestGroups:
    def test_every_worker_has_its_share_and_estimators_are_by_themselves(self, tmp_path: Path) -> None:
        found = grouped(tmp_path, 2)
        assert [len(group) for group in found] == [4, 4, 1, 1]
        assert {spec for (spec, _), *rest in found if not rest} == {"trees"}
        assert found[0] == [("ce", 0), ("ldam-drw", 0), ("focal", 0), ("sam", 0)]

    def test_more_workers_than_runs_have_one_each(self, tmp_path: Path) -> None:
        assert {len(group) for group in grouped(tmp_path, 64)} == {1}

    def test_many_runs_are_in_groups_of_a_limited_size(self, tmp_path: Path) -> None:
        sizes = [len(group) for group in grouped(tmp_path, 2, seeds=20, methods="ce,focal")]
        assert sizes == [5] * 8

    def test_runs_of_several_folds_are_by_themselves(self, tmp_path: Path) -> None:
        assert {len(group) for group in grouped(tmp_path, 1, folds=3, methods="ce,focal")} == {1}

    def test_images_and_large_tables_are_by_themselves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        images = torch.zeros(len(Y), 1, 8, 8).uniform_()
        assert {len(g) for g in grouped(tmp_path, 1, data=images, model="convnet", methods="ce,focal")} == {1}
        monkeypatch.setattr("longtail.runs.cross_validation.SMALL", 10)
        assert {len(g) for g in grouped(tmp_path, 1)} == {1}


class OneProcess(Cpu):
    """A device on which runs go side by side in this process, as on a GPU, at most three at once."""

    takes_processes = False

    def admission(self, most: int | None) -> Admission:
        return Admission(most or 3)


@pytest.mark.parametrize("folds", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_no_result_depends_on_what_trains_beside(
    folds: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = counted_packs(monkeypatch)
    assert run(tmp_path / "groups", folds=folds).ok
    assert max(widths) == (folds or 2)  # the folds; or ce and focal, whose networks are alike
    monkeypatch.setattr(groups, "TOGETHER", 1)
    assert run(tmp_path / "alone", folds=folds).ok
    monkeypatch.setattr(execute, "device_of", lambda device: OneProcess())
    assert run(tmp_path / "one process", folds=folds, jobs=None).ok
    alone = predictions(tmp_path / "alone")
    assert len(alone) == 10 * (1 if folds is None else 1 + folds)
    assert predictions(tmp_path / "groups") == alone
    assert predictions(tmp_path / "one process") == alone


@pytest.mark.parametrize(("jobs", "most"), [(None, 3), (2, 2)])
def test_in_one_process_the_next_run_begins_when_one_has_ended(
    jobs: int | None, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "device_of", lambda device: OneProcess())
    begun: list[Any] = []
    counts: list[int] = []

    def on_begin(task: Any) -> None:
        begun.append(task)
        counts.append(len(begun) - len(ended))

    ended: list[Any] = []
    assert run(tmp_path, jobs=jobs, methods="ce,focal", seeds=3, on_begin=on_begin, on_result=ended.append).ok
    assert len(begun) == len(ended) == 6
    assert max(counts) == most


def test_with_a_budget_each_run_begins_by_itself(tmp_path: Path) -> None:
    order: list[str] = []
    run(
        tmp_path, methods="ce", seeds=3, budget=1000.0,
        on_begin=lambda task: order.append("begin"), on_result=lambda result: order.append("end"),
    )  # fmt: skip
    assert order == ["begin", "end"] * 3
