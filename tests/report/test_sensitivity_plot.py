"""The metric against each knob: what the picture shows of tune.json."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("matplotlib")

from tests.report.svg_shapes import parsed, shapes, texts

from longtail.report import sensitivity_plot, svg_figure
from longtail.report.svg_figure import BLUE

ALL = {"scale": ["5", "10", "30"], "recipe.lr": ["1e-3", "0.1"], "base": ['"ce"', '"focal"']}


def summary(knobs: dict[str, Any], search: str = "grid") -> dict[str, Any]:
    """A grid over these knobs; the metric of a setting is a half less 0.01 for each step from the first values."""
    settings: list[tuple[dict[str, str], int]] = [({}, 0)]
    for knob, values in knobs.items():
        settings = [({**s, knob: v}, n + i) for s, n in settings for i, v in enumerate(values)]
    rows = [
        {"setting": s, "metric": 0.5 - n / 100, "difference": {"high": 0.01 if n == 1 else -0.01} if n else None}
        for s, n in sorted(settings, key=lambda pair: pair[1])
    ]
    return {
        "data": "digits", "search": search, "metric": "balanced_accuracy", "validation_rows": 82, "inner_folds": None,
        "knobs": {knob: {"values": values} for knob, values in knobs.items()}, "rows": rows,
        "chosen": {"method": "absgd(lam=1)"},
    }  # fmt: skip


def lines(svg: str | None, colour: str) -> list[int]:
    """The number of points of every line of this colour inside the panels."""
    return [len(s.points) for s in shapes(svg) if "fill: none" in s.style and s.colour == colour and s.joined]


def test_a_panel_per_knob_with_the_best_and_the_mean_over_the_others() -> None:
    svg = sensitivity_plot.svg(summary(ALL))
    shown = texts(svg)
    for text in ("scale", "lr of the recipe, logarithmic", "base", "5", "10", "30", "1e-3", "ce", "focal", "chosen"):
        assert text in shown
    assert lines(svg, BLUE) == [3, 2]  # words are not joined
    assert {"best over the other knobs", "mean over the other knobs", "worse than the chosen one beyond chance"} < {
        *shown
    }
    assert "Sensitivity of absgd on digits: 12 candidates, grid search" in shown
    assert svg == sensitivity_plot.svg(summary(ALL))


def test_the_best_is_the_largest_at_each_value() -> None:
    made = summary({"scale": ["10", "20"], "k": ["1", "2", "3"]})
    (first, second) = (s for s in shapes(sensitivity_plot.svg(made)) if s.colour == BLUE and "fill: none" in s.style)
    assert (len(first.points), len(second.points)) == (2, 3)
    assert second.height == pytest.approx(2 * first.height, rel=1e-3)  # 0.01 a step


def test_without_another_knob_or_a_grid_there_is_no_mean() -> None:
    alone = texts(sensitivity_plot.svg(summary({"scale": ["5", "10"]})))
    assert not [text for text in alone if "other knobs" in text]
    shown = texts(sensitivity_plot.svg(summary(ALL, "coordinate")))
    assert "best over the other knobs" in shown
    assert "mean over the other knobs" not in shown


@pytest.mark.parametrize(
    ("declared", "setting", "label"),
    [
        ({"low": 1e-5, "high": 0.1, "log": True}, "0.003", "k, logarithmic"),
        ({"low": 0.0, "high": 1.0, "log": False}, "0.3", "k"),
        ({"values": ["0", "1e-4", "1e-2"]}, "1e-4", "k, evenly spaced"),
        ({"values": ["1", "2", "3"]}, "2", "k"),
    ],
)
def test_the_axis_fits_what_was_declared(declared: dict[str, Any], setting: str, label: str) -> None:
    made = summary({"k": [setting]}, "random")
    made["knobs"] = {"k": declared}
    shown = texts(sensitivity_plot.svg(made))
    assert label in shown
    assert not [text for text in shown if "$" in text or "mathdefault" in text]


def test_missing_candidates_are_left_out_and_nothing_is_drawn_without_matplotlib(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = summary(ALL)
    made["rows"][-1]["metric"] = None
    assert "Sensitivity of absgd on digits: 11 candidates, grid search" in texts(sensitivity_plot.svg(made))
    assert parsed(sensitivity_plot.svg(made)) is not None
    monkeypatch.setattr(svg_figure, "available", lambda: False)
    assert sensitivity_plot.svg(made) is None
