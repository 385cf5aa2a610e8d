"""Names and knobs are refused with the nearest match and the accepted signature; presets are lists of names."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cases import cases

from longtail.catalogue.describe import CLASSIFIERS, FAMILIES, NETWORKS, families, table
from longtail.catalogue.resolve import split_specs
from longtail.methods import PRESETS, catalogue, entries, explained, method, methods, overview, presets
from longtail.methods import registry as catalog

BAD = {
    "ldam-dwr": r"unknown method 'ldam-dwr'; did you mean ldam-drw\(max_margin=0.5, scale=30.0, at=0.8, .*\)\? see",
    "zzzz": "unknown method 'zzzz'; see longtail methods",
    "LDAM": "unknown method 'LDAM'",
    "ldam-drw(scal=20)": r"no knob 'scal'; did you mean 'scale'\? it accepts ldam-drw\(max_margin=0.5, scale=30.0",
    "ldam(zzz=1)": r"has no knob 'zzz'; it accepts ldam\(max_margin=0.5, scale=30.0, exponent",
    "ce(tau=1)": "has no knob 'tau'; it accepts ce without knobs",
    "ldam(max_margin=-0.1)": "max_margin must be >= 0, got -0.1",
    "ldam(scale=0)": "scale must be > 0, got 0",
    "ldam(scale=inf)": "scale must be > 0 and finite, got inf",
    "ldam(scale='20')": "scale must be a number > 0, got '20'",
    "ldam(scale=True)": "scale of method 'ldam' must be a number, got True",
    "ldam(scale=switch(0.8, 1, 30))": "scale cannot be a schedule",
    "ldam(test_prior=(1, 0))": "test_prior must be > 0, got 0",
    "ldam(test_prior=0.5)": r"test_prior must be numbers > 0, one per class, got 0.5; write test_prior=\(0.7",
    "ldam(test_prior=('a',))": "test_prior must be a number > 0, got 'a'",
    "l-softmax(times=5)": r"times must be an integer in \[1, 4\], got 5",
    "l-softmax(annealing=inverse(1, -2))": "inverse needs rate >= 0 and power >= 0, got -2",
    "equalised(shape='pi')": 'shape must be "prior" or "sqrt" or "relative"',
    "vs-tla-adrw(nu=0)": "nu must be > 0, got 0",
    "vs(tau=-1)": "tau must be >= 0, got -1",
    "mm(delta_minus=-1)": "delta_minus must be >= 0, got -1",
    "focal(gamma=-1)": "gamma must be >= 0, got -1",
    "logit-adjusted(tau=-1.0)": "tau must be >= 0, got -1.0",
    "logit-adjusted-posthoc(tau=-1.0)": "tau must be >= 0, got -1.0",
    "cb-ce(beta=1.5)": r"beta must be in \[0, 1\), got 1.5",
    "ce-drw(at=1.1)": r"at must be in \[0, 1\], got 1.1",
    "ce-drw(class_weight='cubic')": 'class_weight must be "effective" or "inverse" or "sqrt", got \'cubic\'',
    "cb-rs(sampler='x')": 'sampler must be "balanced" or "effective", got \'x\'',
    "focal-drw(weight_in_modulator=1)": "weight_in_modulator of method 'focal-drw' must be True or False, got 1",
}


@cases(("spec", "message"), BAD.items(), ids=BAD.keys())
def test_bad_specs_are_one_line_with_a_way_out(spec: str, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as error:
        method(spec)
    assert "\n" not in str(error.value)
    assert ";" in str(error.value)


@pytest.mark.parametrize("thing", [3, None, ["ce"]])
def test_something_else_is_one_line(thing: Any) -> None:
    with pytest.raises(TypeError, match="method must be a spec string or a Method, got"):
        method(thing)


def test_a_method_passes_through() -> None:
    resolved = method("ldam-drw(scale=20)")
    assert method(resolved) is resolved
    assert resolved.key == "ldam-drw"


class TestLists:
    def test_quick_is_what_the_design_says_and_all_is_all(self) -> None:
        assert [m.key for m in methods("quick", task="supervised")] == [
            "ce", "focal", "cb-focal", "cb-rs", "ce-drw", "ce-drs", "ldam-drw", "logit-adjusted",
            "logit-adjusted-posthoc",
        ]  # fmt: skip
        networks = set(catalog.CATALOG) - set(entries.ESTIMATORS) - set(entries.CONTEXT) - {"tuned", *entries.ALIASED}
        networks -= {*presets.ESTIMATOR_THRESHOLDS, *presets.CLASSICAL, *presets.GIVEN_COSTS}
        assert {m.key for m in methods("all", val=True)} == networks == set(PRESETS.keys["all"])

    def test_for_a_table_scikit_learns_classifiers_join_them(self) -> None:
        for preset in ("quick", "all"):
            for val in (False, True):
                without, joined = ([m.key for m in methods(preset, val=val, table=t)] for t in (False, True))
                more = presets.ESTIMATOR_THRESHOLDS if val else ()
                assert joined == [*without, *entries.ESTIMATORS, *more]
        assert [m.key for m in methods("estimators")] == list(entries.ESTIMATORS)
        assert [m.key for m in methods("estimators", table=True, val=True)] == list(entries.ESTIMATORS)

    def test_a_method_that_needs_validation_joins_where_there_is_some(self) -> None:
        for preset in ("quick", "all"):
            assert "ce-threshold" not in {m.key for m in methods(preset)}
            assert [m.key for m in methods(preset, val=True)].count("ce-threshold") == 1

    def test_named_without_validation_it_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"'ce-threshold' needs a validation part, got none; add --val 0.2"):
            methods("ce,ce-threshold")

    def test_each_stands_once_in_the_order_asked(self) -> None:
        assert [m.spec for m in methods("ldam(scale=20), ce ,ldam(scale=20.0),ldam")] == [
            "ldam(scale=20.0)",
            "ce",
            "ldam",
        ]
        assert [m.spec for m in methods(["ldam", "quick"])][:2] == ["ldam", "ce"]

    @pytest.mark.parametrize("empty", ["", " , ", []])
    def test_none_is_refused(self, empty: Any) -> None:
        with pytest.raises(ValueError, match="methods must not be empty, got none; try quick"):
            methods(empty)

    def test_commas_inside_brackets_and_quotes_do_not_part(self) -> None:
        text = "ce, ldam(scale=20,max_margin=0.3),x(a=[1,2], b='p,q'),y(a=switch(0.8, 0, 1))"
        assert split_specs(text) == [
            "ce", "ldam(scale=20,max_margin=0.3)", "x(a=[1,2], b='p,q')", "y(a=switch(0.8, 0, 1))",
        ]  # fmt: skip


class TestMenu:
    def test_has_a_row_for_every_method(self) -> None:
        rows = overview()
        assert [row["method"] for row in rows] == list(catalog.CATALOG)
        assert all(row["title"] and row["paper"].endswith(str(row["year"])) for row in rows)
        for task in {row["task"] for row in rows}:
            of_the_task = [key for key in catalog.CATALOG if method(key).task == task]
            assert [row["method"] for row in overview(task)] == of_the_task
        assert [row["method"] for row in overview("partial")][:2] == ["cc", "rc"]

    def test_an_unknown_task_is_one_line(self) -> None:
        with pytest.raises(
            ValueError, match=r"task must be one of partial, self-supervised, .*, got 'noisy'; leave it out"
        ):
            overview("noisy")

    def test_the_table_of_the_readme_has_a_line_for_every_method(self) -> None:
        rows = [line for line in table(overview()).splitlines() if line.startswith("| `")]
        assert sorted(line.split("|")[1].strip() for line in rows) == sorted(f"`{key}`" for key in catalog.CATALOG)
        assert all(line.count("|") == 5 for line in rows)

    def test_methods_stand_in_families_each_once(self) -> None:
        found = families(overview())
        assert sum(map(len, found.values())) == len(catalog.CATALOG)
        keys = {words: [row["method"] for row in rows] for words, rows in found.items()}
        assert keys[NETWORKS][0] == "ce"
        assert keys[CLASSIFIERS][:5] == ["logistic", "logistic-cw", "logistic-posthoc", "logistic-threshold", "trees"]
        assert {"balanced-forest", "svm-posthoc", "trees-smote"} <= {*keys[CLASSIFIERS]}
        assert keys[FAMILIES["partial"]][0] == "cc"
        assert "fixmatch-darp" in keys[FAMILIES["semi-supervised"]]
        assert list(families(overview("partial"))) == [FAMILIES["partial"]]

    def test_explains_a_spec(self) -> None:
        explanation = explained("ldam-drw(scale=20)")
        assert explanation["spec"] == "ldam-drw(scale=20.0)"
        assert explanation["signature"].startswith("ldam-drw(max_margin=0.5, scale=30.0, at=0.8")
        assert {k["name"]: k["range"] for k in explanation["knobs"]}["at"] == "in [0, 1]"
        assert "@inproceedings{cao2019learning," in explanation["bibtex"]
        assert explanation["presets"] == ["quick", "all"]
        assert explained("logit-adjusted-posthoc")["retrains"] is False
        assert explained("trees")["presets"] == ["quick", "all", "estimators", "practice"]
        assert explained("trees")["inputs"] == "table or features"


class Point:
    """What importlib.metadata calls an entry point, as far as the catalogue asks."""

    def __init__(self, name: str, builder: Any, value: str = "their.package:builder") -> None:
        self.name, self.builder, self.value = name, builder, value

    def load(self) -> Any:
        return self.builder


class TestEntryPoints:
    def install(self, monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
        def entry_points(*, group: str) -> list[Point]:
            assert group == "longtail.methods"
            return list(points)

        monkeypatch.setattr(catalog, "entry_points", entry_points)

    def test_another_package_adds_a_method(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, Point("their-ldam", catalog.CATALOG["ldam"]))
        assert list(catalogue())[-1] == "their-ldam"
        assert method("their-ldam(scale=10)").spec == "their-ldam(scale=10.0)"
        assert "their-ldam" in {row["method"] for row in overview()}
        assert catalogue().keys() - catalog.CATALOG.keys() == {"their-ldam"}

    def test_it_cannot_take_one_of_our_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, Point("ce", catalog.CATALOG["focal"]))
        with pytest.raises(ValueError, match=r"method 'ce' of their.package:builder has the name of one of ours"):
            method("focal")

    def test_nor_can_two_packages_share_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        builder = catalog.CATALOG["ce"]
        self.install(monkeypatch, Point("new", builder, "one:x"), Point("new", builder, "two:x"))
        with pytest.raises(ValueError, match="method 'new' of two:x has the name that another package uses; rename"):
            method("ce")


def test_a_package_that_cannot_be_loaded_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        name, value = "broken", "nowhere:broken"

        def load(self) -> None:
            raise ImportError("no module named nowhere")

    monkeypatch.setattr(catalog, "entry_points", lambda group: [Broken()])
    assert "broken" not in catalog.catalogue()
    assert "method 'broken' of nowhere:broken cannot be loaded" in caplog.text
