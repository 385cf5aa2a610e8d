"""An alias is its composition: the knobs of both, the same text of training, the base as its twin."""

from __future__ import annotations

import pytest

from longtail.catalogue.alias import alias
from longtail.catalogue.resolve import resolve
from longtail.engine import Recipe
from longtail.facts import knobs
from longtail.methods import method
from longtail.methods.entries import CATALOG

RECIPE = Recipe(epochs=2, model="mlp")


def texts(spec: str) -> list[str]:
    return [stage.spec for stage in method(spec).stages(RECIPE)]


@pytest.mark.parametrize("base", ["proden", "corr", "lw", "cavl"])
def test_is_the_composition(base: str) -> None:
    assert texts(f"{base}-records") == texts(f"records(base={base!r})")
    assert texts(f"{base}-records(tau=0.5, start=0.25)") == texts(f"records(base='{base}(start=0.25)', tau=0.5)")
    assert texts(f"{base}-records") != texts(f"{base}-records(start=0.25)")
    found = knobs.declared(CATALOG[f"{base}-records"])
    assert set(found) == {*knobs.declared(CATALOG[base]), "momentum", "tau"}
    assert all(found[name].rule == knob.rule for name, knob in knobs.declared(CATALOG[base]).items())


def test_its_twin_is_the_base_with_the_knobs_of_both() -> None:
    assert method("corr-records(mixup=1, tau=0.5)").twin == "corr(mixup=1.0)"
    assert method("corr-records").spec == "corr-records"


def test_knobs_are_checked() -> None:
    with pytest.raises(ValueError, match="'corr-records' has no knob 'base'"):
        method("corr-records(base='lw')")
    with pytest.raises(ValueError, match="mixup must be"):
        method("corr-records(mixup=-1)")


def test_a_knob_that_both_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"knobs of mixup and corr must differ for an alias, got alpha twice"):
        alias("corr-mixup", "mixup", "corr", CATALOG)


def test_over_a_correction_it_acts_over_the_default_base_of_that_one() -> None:
    build = alias("records-sam", "sam", "records", CATALOG)
    assert set(knobs.declared(build)) == {
        *knobs.declared(CATALOG["records"]), *knobs.declared(CATALOG["sam"]),
    } - {"base"}  # fmt: skip
    one = resolve("records-sam(tau=0.5, rho=0.1)", {**CATALOG, "records-sam": build})
    other = method("sam(base='records(tau=0.5)', rho=0.1)")
    assert [stage.spec for stage in one.stages(RECIPE)] == [stage.spec for stage in other.stages(RECIPE)]
    assert one.twin == other.twin == "records(tau=0.5)"
