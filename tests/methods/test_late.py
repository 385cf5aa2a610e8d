"""What never takes effect in a training of few epochs: refused before it, or noted where the method is supervised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.cases import cases

import longtail as lt
from longtail.catalogue.choose import without_effect
from longtail.cli import run
from longtail.engine import Recipe
from longtail.facts.knobs import Start, declared
from longtail.facts.late import Late
from longtail.facts.schedules import linear, steps, switch
from longtail.methods import method
from longtail.methods.entries import CATALOG
from longtail.methods.tuning.tuned import settings

RAMP = "consistency=linear(0.0, 75.0)"
TOO_SHORT: dict[str, tuple[str, int, int, str, str]] = {
    "mixmatch": ("mixmatch", 1, 2, RAMP, "change consistency"),
    "remixmatch": ("remixmatch", 1, 2, "consistency=linear(0.0, 1.5)", "change consistency"),
    "one of two ramps": ("remixmatch(consistency=1)", 1, 2, "anchor=linear(0.0, 0.5)", "change anchor"),
    "darp": ("darp", 1, 2, "start=0.4", "lower start"),
    "darp that starts late": ("darp(start=0.8)", 4, 5, "start=0.8", "lower start"),
    "an alias": ("remixmatch-darp(start=0.8, consistency=1, anchor=1)", 3, 5, "start=0.8", "lower start"),
    "gh": ("gh", 1, 2, "start=0.5", "lower start"),
    "gh that starts late": ("simclr-gh(start=0.8)", 4, 5, "start=0.8", "lower start"),
    "abc": ("abc", 1, 2, "its move to equal classes", ""),
    "bcl": ("bcl", 1, 2, "its stronger views", ""),
    "simpro": ("simpro", 1, 2, "its estimate of the priors", ""),
    "generations": ("crest(base='mixmatch')", 6, 12, RAMP, "lower generations (6)"),
    "generations, one of them longer": ("crest(base='mixmatch')", 11, 12, RAMP, "lower generations (6)"),
    "fewer epochs than generations": ("crest(base='darp')", 2, 12, "start=0.4", "lower generations (6)"),
    "darp over generations": ("darp(base='crest(generations=2)')", 3, 4, "start=0.4", "lower start"),
    "under a second classifier": ("crt(base='mixmatch')", 1, 2, RAMP, "change consistency"),
    "proden": ("proden(start=0.9)", 9, 10, "start=0.9", "lower start"),
    "under a correction": ("corr-records(start=0.5)", 1, 2, "start=0.5", "lower start"),
    "a user's schedule": ("fixmatch-darp(start=0.99999)", 200, 100_000, "start=0.99999", "lower start"),
    "solar": ("solar", 1, 2, "its labels", "set ramp=0"),
    "cycles": ("ts", 5, 10, "its 5 cycles", "lower cycles"),
    "cycles of fewer than two epochs": ("sdclr(base='ts(cycles=2.5)')", 4, 5, "its 2.5 cycles", "lower cycles"),
    "in every expert": ("bcl(base='dnc')", 5, 8, "its stronger views", ""),
    "not in what learns from them": ("bcl(base='dnc(distillation=0.01)')", 7, 8, "its stronger views", ""),
    "below the experts": ("dnc(base='gh')", 7, 8, "start=0.5", "lower start"),
    "cycles in every expert": ("ts(base='dnc')", 47, 48, "its 5 cycles", "lower cycles"),
    "a pulse": ("mixmatch(consistency=steps((0.5, 0.6), (0, 1, 0)))", 3, 4, "consistency=steps", "change consistency"),
}
ON_PURPOSE = (
    "darp(start=1)", "darp(start=0)", "mixmatch(consistency=0)", "mixmatch(consistency=75)", "abc(weight=0)",
    "simpro(tau=0)", "remixmatch(consistency=0, anchor=1)", "crest(base='darp(start=1)')", "crest", "proden(start=1)",
    "proden", "solar(eta=0)", "solar(ramp=0)", "mixmatch(consistency=linear(1, 0))", "ce-drw(at=0)", "bbn(alpha=1)",
    "ts(low=0.5, high=0.5)",
    "gh(start=1)", "gh(start=0)",
)  # fmt: skip


@cases("name", TOO_SHORT)
def test_what_would_never_take_effect_is_refused_with_the_fewest_epochs_that_do(name: str) -> None:
    spec, epochs, least, what, otherwise = TOO_SHORT[name]
    one = method(spec)
    why = one.too_short(Recipe(epochs=epochs))
    assert why is not None
    assert why.startswith(f"epochs must be at least {least} for {what}")
    assert f", got {epochs}; raise --epochs (epochs=)" in why
    assert why.endswith(f", or {otherwise}" if otherwise else "(epochs=)")
    assert one.too_short(Recipe(epochs=least)) is None
    assert one.too_short(Recipe(epochs=least - 1)) is not None


@pytest.mark.parametrize("spec", ON_PURPOSE)
def test_no_strength_on_purpose_is_legal_and_so_is_one_from_the_start(spec: str) -> None:
    assert method(spec).too_short(Recipe(epochs=1)) is None
    assert method(spec).without_effect(Recipe(epochs=1)) is None


def test_every_share_from_which_on_something_acts_is_known() -> None:
    """A knob named as these, in a new leaf, has the rule, too."""
    named = {(key, knob.name) for key, make in CATALOG.items() for knob in declared(make).values()
             if knob.name in ("at", "start") and isinstance(knob.default, float)}  # fmt: skip
    ruled = {(key, knob.name) for key, make in CATALOG.items() for knob in declared(make).values()
             if isinstance(knob.rule, Start)}  # fmt: skip
    own = {("gce", "start")}  # of k alone: without one nothing begins
    assert named - own == ruled
    assert method("gce").without_effect(Recipe(epochs=1)) is None
    assert "start=0.3" in str(method("gce(k=0.5)").without_effect(Recipe(epochs=1)))
    assert len({key for key, _ in ruled}) > 25


def test_a_supervised_method_is_noted_in_place_of_refused() -> None:
    few, one = Recipe(epochs=4), Recipe(epochs=1)
    quick = [method(spec) for spec in ("ce", "ce-drw", "ldam-drw", "drs(base='label-smoothing')", "ce-drw(at=0.9)")]
    assert [each.too_short(few) for each in quick] == [None] * 5
    assert without_effect(quick, few) == [
        "ce-drw, ldam-drw, drs(base='label-smoothing'): at=0.8 without effect in 4 epochs; raise --epochs to at least "
        "5",
        "ce-drw(at=0.9): at=0.9 without effect in 4 epochs; raise --epochs to at least 10",
    ]
    assert without_effect(quick[:4], Recipe(epochs=5)) == []
    assert (
        method("bbn").without_effect(one)
        == "the reversed draws without effect in 1 epoch; raise --epochs to at least 2"
    )
    assert method("progressive-rs").without_effect(one) is not None
    both = (
        "consistency=linear(0.0, 1.5) and anchor=linear(0.0, 0.5) without effect in 1 epoch; raise --epochs to at least"
    )
    assert method("remixmatch").without_effect(one) == f"{both} 2"


def test_weights_that_are_the_plain_mean_throughout_are_noted() -> None:
    """An infinite lambda or tau is plain training: the default of absgd is nothing else in five epochs or fewer."""
    for spec, epochs, least in (
        ("absgd", 4, 5),
        ("absgd(base='sce', lam=switch(0.666, inf, -1.0))", 2, 3),
        ("eg(base='sce', tau=switch(0.666, inf, 1.0))", 2, 3),
    ):
        why = method(spec).without_effect(Recipe(epochs=epochs))
        assert why is not None
        assert why.endswith(f"without effect in {epochs} epochs; raise --epochs to at least {least}"), why
        assert method(spec).without_effect(Recipe(epochs=least)) is None
    for spec in ("absgd(lam=inf)", "absgd(lam=-1)", "absgd(lam=switch(0.8, 5, inf))", "eg(tau=inf)", "eg"):
        assert method(spec).without_effect(Recipe(epochs=1)) is None, spec


def test_a_learning_rate_of_0_throughout_is_refused_whatever_the_method() -> None:
    warm: dict[str, Any] = {"warmup_from": "zero"}
    why = method("ce").too_short(Recipe(epochs=1, **warm))
    assert why == (
        "epochs must be at least 2 for the learning rate to take effect, got 1; raise --epochs (epochs=), or warm up "
        "from another rate than 0"
    )
    assert method("ce").too_short(Recipe(epochs=1, lr_per="step", **warm)) is None
    assert method("ce").too_short(Recipe(epochs=1, warmup=0, **warm)) is None
    assert "in estimate, which has 1 of them" in str(method("solar").too_short(Recipe(epochs=10, **warm)))


@pytest.mark.parametrize(
    ("strength", "missing"),
    [
        (linear(0.0, 1.0), [True, False, False]),
        (linear(1.0, 0.0), [False, False, False]),
        (linear(0.0, 0.0), [False, False, False]),
        (switch(0.5, 0.0, 1.0), [True, False, False]),
        (switch(0.6, 0.0, -1.0), [True, True, False]),
        (switch(1.0, 0.0, 1.0), [False, False, False]),
        (steps((0.5, 0.6), (0.0, 1.0, 0.0)), [True, False, True]),
    ],
)
def test_missing_by_the_values_of_progress_themselves(strength: Any, missing: list[bool]) -> None:
    assert [Late("x", strength).missing(epochs) for epochs in (1, 2, 3)] == missing
    assert not Late("x", strength).missing(0)


class TestAComparison:
    QUICKLY: dict[str, Any] = {"seeds": 1, "epochs": 1, "jobs": 1, "model": "linear"}  # noqa: RUF012

    def test_leaves_out_of_a_preset_what_would_never_take_effect(self, caplog: pytest.LogCaptureFixture) -> None:
        prepared = lt.comparison.prepare("digits", labeled=0.2, epochs=1)
        assert {one.spec for one in prepared.methods} == {"fixmatch"}
        assert "method 'fixmatch-abc': epochs must be at least 2 for its move" in caplog.text
        assert caplog.text.count("; left out") == 3

    def test_notes_it_of_a_supervised_method_in_plan_and_table(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        note = "ce-drw: at=0.8 without effect in 1 epoch; raise --epochs to at least 5"
        result = lt.compare("digits", methods="ce,ce-drw", out=tmp_path, **self.QUICKLY)
        assert note in caplog.text
        assert note in result.summary["data"]["notes"]

    @pytest.mark.parametrize("verb", ["train", "compare"])
    def test_from_the_shell_in_one_line(self, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        spec = "crest(base='mixmatch')"
        words = ["--method", spec] if verb == "train" else ["--methods", spec, "--seeds", "1"]
        line = [verb, "digits", "--labeled", "0.2", *words, "--epochs", "6", "--out", str(tmp_path / "out")]
        assert run(line) == 2
        error = capsys.readouterr().err.splitlines()
        assert error[-1] == (
            f'longtail: error: method "{spec}": epochs must be at least 12 for {RAMP} to take effect in generation-1, '
            "which has 1 of them, got 6; raise --epochs (epochs=), or lower generations (6)"
        )
        assert not (tmp_path / "out").exists()

    def test_one_fit_notes_or_refuses_it(self, caplog: pytest.LogCaptureFixture) -> None:
        lt.fit("ldam-drw", "digits", recipe=Recipe(epochs=2))
        assert "ldam-drw: at=0.8 without effect in 2 epochs" in caplog.text
        with pytest.raises(ValueError, match=r"epochs must be at least 2 for start=0\.4 to take effect, got 1; raise"):
            lt.fit("darp", "digits", labeled=0.2, recipe=Recipe(epochs=1))


def test_a_search_draws_nothing_that_would_never_take_effect() -> None:
    few = Recipe(epochs=3)
    found = [method(one.spec) for one in settings(method("proden"), few, 40)]
    assert 10 < len(found) < 40
    assert all(one.too_short(few) is None for one in found)
