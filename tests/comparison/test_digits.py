"""The demo's claim, measured: on real digits at ratio 50 re-balancing leads, with three seeds."""

import pytest

import longtail as lt


@pytest.mark.slow
def test_rebalancing_is_found_to_lead_on_long_tailed_digits() -> None:
    result = lt.compare("digits", methods="ce,logit-adjusted,logit-adjusted-posthoc", seeds=3)
    winners = result.summary["verdict"]["winners"]
    assert set(winners) == {"logit-adjusted", "logit-adjusted-posthoc"}
    rows = {row["method"]: row for row in result.rows}
    assert all(rows[name]["difference"]["low"] > 0 for name in winners)
    assert result.summary["gain"]["few"][1] > result.summary["gain"]["few"][0] + 0.1
    # no training of its own, and the same scores to start from
    assert rows["logit-adjusted-posthoc"]["reuses"] == f"{rows['ce']['runs'][0]['folder']}"
