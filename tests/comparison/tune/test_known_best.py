"""On Gaussian classes the best threshold is known, and what every other one costs."""

import json
import shutil
from math import erf, log, sqrt

import numpy as np
import pytest

import longtail as lt

N, SHARE, MEAN = 6000, 0.1, 1.0
"""Two classes N(+-MEAN, 1) in the first of two inputs; the rare one has this share."""
GAUSSIAN = {"val": 0.5, "model": "linear", "epochs": 20, "batch_size": 256, "run": {"jobs": 1}}


def _data():
    draw = np.random.default_rng(0)
    y = (np.arange(N) < SHARE * N).astype(int)
    x = draw.normal(size=(N, 2)).astype("float32")
    x[:, 0] += MEAN * (2 * y - 1)
    return x, y


def expected(tau: float) -> float:
    """The balanced accuracy of the Bayes posterior whose log odds get (1 - tau) of the log prior odds.

    It decides for the rare class from x = (1 - tau) log(9) / (2 MEAN) on; tau = 1 is the best.
    """
    threshold = (1 - tau) * log((1 - SHARE) / SHARE) / (2 * MEAN)
    return 0.5 * (_phi(MEAN - threshold) + _phi(MEAN + threshold))


def _phi(z: float) -> float:
    return 0.5 * (1 + erf(z / sqrt(2)))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    out = tmp_path_factory.mktemp("gauss")
    return lt.tune(*_data(), method="logit-adjusted-posthoc(tau=[0.0, 0.5, 1.0, 1.5, 2.0])", out=out, **GAUSSIAN)


def _tau(row) -> float:
    return float(row["setting"]["tau"])


def test_the_chosen_value_is_the_best_in_expectation_within_its_interval(result):
    rows, chosen = result.summary["rows"], result.summary["chosen"]
    assert _tau(chosen) in (0.5, 1.0, 1.5)
    best = next(row for row in rows if _tau(row) == 1.0)
    assert best is rows[0] or best["difference"]["high"] >= 0
    worse = [row for row in rows[1:] if row["difference"]["high"] < 0]
    assert {0.0, 2.0} <= {_tau(row) for row in worse}  # the intervals are not wide for nothing
    for row in worse:
        assert expected(_tau(row)) < expected(_tau(chosen))
    for row in rows:
        assert row["interval"]["low"] <= expected(_tau(row)) <= row["interval"]["high"]


def test_posthoc_candidates_share_one_training(result):
    runs = [json.loads(path.read_text()) for path in result.out.glob("*/seed-0/run.json")]
    assert len(runs) == 5
    assert [run["reuses"] is None for run in runs].count(True) == 1


def test_random_search_from_end_to_end(tmp_path, result):
    shutil.copytree(result.out / "stages", tmp_path / "stages")  # the same training
    asked = {"method": "logit-adjusted-posthoc(tau=uniform(0, 2))", "search": "random", "out": tmp_path, **GAUSSIAN}
    few = lt.tune(*_data(), trials=3, **asked)
    many = lt.tune(*_data(), trials=6, **asked)
    assert len(few.summary["rows"]) == 3
    taus = {_tau(row) for row in many.summary["rows"]}
    assert {_tau(row) for row in few.summary["rows"]} < taus
    assert many.summary["knobs"] == {"tau": {"low": 0.0, "high": 2.0, "log": False}}
    nearest = min(taus, key=lambda tau: abs(tau - 1))
    row = next(row for row in many.summary["rows"] if _tau(row) == nearest)
    assert row["difference"] is None or row["difference"]["high"] >= 0
    assert float(many.spec.partition("tau=")[2].rstrip(")")) in taus
