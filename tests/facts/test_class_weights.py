"""Class weights follow their formulas and sum to C."""

from math import expm1, log1p

import numpy as np
import pytest
import torch

import longtail as lt
from longtail.facts import class_weights as cw

COUNTS = [5000, 387, 25, 1]


def scaled(raw):
    return [len(raw) * w / sum(raw) for w in raw]


def inverse_effective(n, beta):
    return (1 - beta) / -expm1(n * log1p(beta - 1))  # 1 / E_n, E_n = (1 - beta^n) / (1 - beta)


FORMULAS = {
    "inverse": (lambda: cw.inverse_frequency(COUNTS, dtype=torch.float64), [1 / n for n in COUNTS]),
    "sqrt": (lambda: cw.named("sqrt", COUNTS, dtype=torch.float64), [n**-0.5 for n in COUNTS]),
    "power": (lambda: cw.power(COUNTS, 0.3, dtype=torch.float64), [n**-0.3 for n in COUNTS]),
    "effective": (
        lambda: cw.effective_number(COUNTS, 0.9999, dtype=torch.float64),
        [inverse_effective(n, 0.9999) for n in COUNTS],
    ),
    "effective 0.9": (
        lambda: cw.effective_number(COUNTS, 0.9, dtype=torch.float64),
        [inverse_effective(n, 0.9) for n in COUNTS],
    ),
}


@pytest.mark.parametrize(("ours", "raw"), FORMULAS.values(), ids=FORMULAS.keys())
def test_weights_are_their_formula_scaled_to_sum_to_c(ours, raw):
    assert ours().tolist() == pytest.approx(scaled(raw), rel=1e-12)
    assert float(ours().sum()) == pytest.approx(len(COUNTS), rel=1e-12)


def test_the_effective_number_runs_from_ones_to_inverse_frequency():
    assert cw.effective_number(COUNTS, 0.0).tolist() == [1] * 4
    near = cw.effective_number(COUNTS, 1 - 1e-12, dtype=torch.float64)
    assert near.tolist() == pytest.approx(scaled([1 / n for n in COUNTS]), rel=1e-8)


def test_equal_counts_weigh_one():
    for name in cw.NAMED:
        assert cw.named(name, [7, 7, 7]).tolist() == pytest.approx([1, 1, 1])


def test_results_have_the_default_dtype():
    assert cw.inverse_frequency(COUNTS).dtype == torch.get_default_dtype()
    assert cw.inverse_frequency(torch.tensor(COUNTS), dtype=torch.float16).dtype == torch.float16


def test_a_masked_class_weighs_nothing_and_the_others_sum_to_c():
    for name in cw.NAMED:
        weight = cw.named(name, [10, 0, 1], zero_count="mask")
        assert weight[1] == 0
        assert float(weight.sum()) == pytest.approx(3)
        with pytest.raises(ValueError, match="got 0 for class 1"):
            cw.named(name, [10, 0, 1])


@pytest.mark.parametrize("beta", [-0.1, 1.0, 2.0, float("nan")])
def test_beta_outside_its_range_is_refused(beta):
    with pytest.raises(ValueError, match=r"beta must be in \[0, 1\), got"):
        cw.effective_number(COUNTS, beta)


def test_resolve_takes_what_a_user_may_pass():
    assert cw.resolve(None) is None
    assert cw.resolve([1, 2, 0.5]).tolist() == [1, 2, 0.5]
    given = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert cw.resolve(given) is not given  # a buffer of ours never aliases the user's tensor
    read_only = np.array([1.0, 2.0])
    read_only.setflags(write=False)
    assert cw.resolve(read_only, [3, 4]).tolist() == [1, 2]
    assert cw.resolve({"b": 3.0}, classes=["a", "b"]).tolist() == [1, 3]
    assert cw.resolve("inverse", [1, 3]).tolist() == pytest.approx([1.5, 0.5])


@pytest.mark.parametrize(
    ("weight", "counts", "classes", "message"),
    [
        ("inverse", None, None, 'class_weight="inverse" needs class_counts'),
        ("balanced", [1, 2], None, "class_weight must be None, a tensor, a dict, or one of"),
        ([1, 2, 3], [1, 2], None, r"one weight per class, shape \(2,\), got \(3,\)"),
        ([1, -1], None, None, "finite and >= 0"),
        ([1, float("nan")], None, None, "finite and >= 0"),
        ({"b": 1.0}, [1, 2], None, "needs the names"),
        ({"z": 1.0}, [1, 2], ["a", "b"], "'z'; known are a, b"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weight, counts, classes, message):
    with pytest.raises(ValueError, match=message):
        cw.resolve(weight, counts, classes=classes)


def test_the_module_may_be_called_by_the_name_of_a_rule():
    for name in ("inverse", "sqrt", "effective"):
        assert torch.equal(lt.class_weights([30, 3], name), lt.class_weights.named(name, [30, 3]))
    with pytest.raises(
        TypeError, match=r'class_weights needs the name of a rule, .* write class_weights\(counts, "inv'
    ):
        lt.class_weights([30, 3])
    with pytest.raises(ValueError, match="one of inverse, sqrt, effective, got 'balanced'"):
        lt.class_weights([30, 3], "balanced")
