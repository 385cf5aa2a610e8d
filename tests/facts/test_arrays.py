"""Counts are read by their keys where they have keys; labels in their place are told apart."""

import logging
import subprocess
import sys
from collections import Counter
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import torch
from tests.cases import cases
from torch.utils.data import Dataset

import longtail as lt
from longtail.facts.arrays import by_class

COUNTS = [5, 40, 3, 20]
Y = np.repeat(np.arange(4), COUNTS)
NAMES = np.array(["ant", "bee", "cat", "dog"])[Y]
CLASSES = ["dog", "ant", "bee", "cat"]
BY_FREQUENCY = pd.Series(Y).value_counts()
KEYED = {
    "value_counts": BY_FREQUENCY,
    "value_counts of names": pd.Series(NAMES).value_counts(),
    "value_counts of a frame": pd.DataFrame({"y": Y}).value_counts(),
    "value_counts of a nullable column": pd.Series(Y, dtype="Int64").value_counts(),
    "value_counts of floats": pd.Series(Y.astype(float)).value_counts(),
    "value_counts of categories": pd.Series(Y).astype("category").value_counts(),
    "groupby": pd.DataFrame({"y": NAMES, "x": 1})[::-1].groupby("y", sort=False).size(),
    "Counter": Counter(Y.tolist()[::-1]),
    "Counter of NumPy integers": Counter(Y[::-1]),
    "Counter of names": Counter(NAMES[::-1].tolist()),
    "dict": dict(BY_FREQUENCY),
    "mapping": MappingProxyType({"dog": 20, "bee": 40, "cat": 3, "ant": 5}),
    "digits as text": {"3": 20, "1": 40, "0": 5, "2": 3},
}
IN_ORDER = {
    "list": COUNTS,
    "tuple": tuple(COUNTS),
    "array": np.array(COUNTS, np.uint8),
    "tensor": torch.tensor(COUNTS),
    "list of tensors": list(torch.tensor(COUNTS)),
    "class_counts": lt.class_counts(NAMES),
}
Z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
T = torch.tensor([0, 1, 2, 3, 0, 1])
READERS = {
    "LogitAdjustedLoss": lambda n: lt.losses.LogitAdjustedLoss(n)(Z, T),
    "LDAMLoss": lambda n: lt.losses.LDAMLoss(n)(Z, T),
    "VSLoss": lambda n: lt.losses.VSLoss(n)(Z, T),
    "PairwiseLoss": lambda n: lt.losses.PairwiseLoss(n)(Z, T),
    "ClassBalancedLoss": lambda n: lt.losses.ClassBalancedLoss(n)(Z, T),
    "class_weight": lambda n: lt.losses.CrossEntropyLoss(n, class_weight="effective")(Z, T),
    "adjust_logits": lambda n: lt.posthoc.adjust_logits(Z, n),
    "LogitAdjustment": lambda n: lt.posthoc.LogitAdjustment(n)(Z),
    "TunedLogitAdjustment": lambda n: lt.posthoc.TunedLogitAdjustment(n).fit(Z, T).tau,
    "fold_into_bias": lambda n: lt.heads.fold_into_bias(torch.nn.Linear(2, 4, bias=False), n).bias,
    "inverse_frequency": lt.class_weights.inverse_frequency,
    "effective_number": lt.class_weights.effective_number,
    "power": lambda n: lt.class_weights.power(n, 0.5),
    "margins": lambda n: lt.functional.ldam_margins(n),
    "relative_counts": lambda n: lt.functional.relative_counts(n),
    "log_prior": lambda n: lt.functional.log_prior(n),
    "priors": lt.priors,
    "imbalance_ratio": lt.imbalance_ratio,
    "groups": lt.groups.groups,
    "evaluate": lambda n: lt.metrics.evaluate(Z, T, class_counts=n)["many"],
    "subset": lambda n: lt.profiles.subset(Y, n, classes=sorted(CLASSES)).tolist(),
}


def set_later(counts):
    loss = lt.losses.LogitAdjustedLoss([1, 1, 1, 1])
    loss.set_class_counts(counts)
    return loss(Z, T)


READERS["set_class_counts"] = set_later


@cases("counts", (KEYED | IN_ORDER).values(), ids=[*KEYED, *IN_ORDER])
def test_counts_under_keys_are_those_of_the_classes(counts) -> None:
    assert by_class(counts).tolist() == COUNTS


@cases("read", READERS.values(), ids=READERS)
def test_whatever_takes_counts_reads_them_by_key(read) -> None:
    wanted = read(lt.class_counts(Y))
    for counts in (BY_FREQUENCY, Counter(NAMES[::-1].tolist()), dict(BY_FREQUENCY)):
        found = read(counts)
        assert torch.equal(found, wanted) if isinstance(wanted, torch.Tensor) else found == wanted


def test_counting_by_hand_is_counting() -> None:
    generator = np.random.default_rng(0)
    for size in range(1, 60):
        y = generator.integers(0, generator.integers(1, 12), size)
        words = np.array([f"c{j}" for j in y])
        for labels in (y, words):
            wanted = lt.class_counts(labels).tolist()
            assert by_class(Counter(labels.tolist())).tolist() == wanted
            assert by_class(pd.Series(labels).value_counts()).tolist() == wanted


def test_names_stand_in_the_order_of_the_classes_that_are_given() -> None:
    loss = lt.losses.LogitAdjustedLoss(Counter(NAMES.tolist()), classes=CLASSES)
    assert loss.class_counts.tolist() == [20, 5, 40, 3]
    loss.set_class_counts({"cat": 1, "dog": 2, "bee": 3, "ant": 4})
    assert loss.class_counts.tolist() == [2, 4, 3, 1]
    kind = pd.CategoricalDtype([*CLASSES, "eel"])
    assert by_class(pd.Series(NAMES, dtype=kind).value_counts()).tolist() == [20, 5, 40, 3, 0]
    assert by_class({1: 3}, classes=CLASSES).tolist() == [0, 3, 0, 0]


def test_class_weights_and_priors_are_read_by_key_too() -> None:
    weight = 1 / BY_FREQUENCY
    for given in (weight, weight.to_dict()):
        loss = lt.losses.CrossEntropyLoss(COUNTS, class_weight=given)
        assert loss.class_weight.tolist() == pytest.approx([1 / n for n in COUNTS])
    share = BY_FREQUENCY / len(Y)
    probs, uniform = Z.softmax(1), pd.Series(0.25, index=[3, 1, 0, 2])
    found = lt.posthoc.correct_prior(probs, share, uniform)
    torch.testing.assert_close(found, lt.posthoc.correct_prior(probs, lt.priors(COUNTS), [0.25] * 4))
    delta = lt.losses.PairwiseLoss(COUNTS, margin=pd.Series([1.0, 2.0, 3.0, 4.0], index=[3, 2, 1, 0]))
    assert torch.equal(delta(Z, T), lt.losses.PairwiseLoss(COUNTS, margin=[4.0, 3.0, 2.0, 1.0])(Z, T))


def test_a_class_without_a_key_is_empty() -> None:
    assert by_class({0: 5, 2: 3}).tolist() == lt.class_counts([0] * 5 + [2] * 3).tolist() == [5, 0, 3]
    with pytest.raises(ValueError, match="must be > 0 for every class, got 0 for class 1"):
        lt.losses.LogitAdjustedLoss({0: 5, 2: 3})


class Undecodable(Dataset):
    targets = Y.tolist()

    def __getitem__(self, index):
        raise AssertionError("an input was decoded")

    def __len__(self):
        return len(Y)


@cases(
    ("counts", "message"),
    [
        (NAMES, "must be numbers, one per class, got <U3 with values like 'ant', as labels are"),
        (NAMES.tolist(), "values like 'ant', as labels are; use longtail.class_counts"),
        (pd.Series(NAMES), "must be numbers, one per class, got 'ant' for 0"),
        (Y > 1, "got bool with values like False, as labels are"),
        (torch.tensor(Y > 1), "got bool with values like False, as labels are"),
        (Undecodable(), "class_counts.labels., which reads a data set too"),
        (set(COUNTS), "must be numbers, one per class"),
        (Counter(Y.tolist()).values(), "must be numbers, one per class"),
        ([[1], [2, 3]], r"got \[\[1\], \[2, 3\]\]"),
        ("digits", "must be numbers, one per class, got 'digits'"),
        (np.where(Y == 0, -100, Y), "must be finite and >= 0, got -100; use longtail.class_counts"),
        (pd.DataFrame({"y": Y}), r"one count per class, got shape \(68, 1\)"),
        (np.unique(Y, return_counts=True), r"one count per class, got shape \(2, 4\)"),
        (Counter(torch.tensor(Y)), r"class indices or names as keys, got tensor\(0\)"),
        ({("a", "b"): 3}, "class indices or names as keys, got"),
        ({"a": 3, 0: 2}, "class indices or names as keys, got 0"),
        ({None: 3}, "class indices or names as keys, got None"),
        ({0.5: 3, 1: 2}, "class indices or names as keys, got 0.5"),
        ({0: 5, -100: 3}, "class indices >= 0 as keys, got -100"),
        ({0: 4, 2026010100017: 4}, "got 2026010100017 among 2, which is an identifier"),
        ({str(j): j + 1 for j in range(12)}, "got numbers as text, which sort as '0', '1', '10'"),
        (pd.Series([3, 4], index=[1, 1]), "got 1 twice in its index"),
        ({"a": "x"}, "got 'x' for 'a'"),
        ([3, None], "got None for 1"),
        ({}, "must be one-dimensional with one count per class"),
    ],
)
def test_what_is_no_count_is_refused_in_one_line(counts, message: str) -> None:
    for read in (lt.losses.LogitAdjustedLoss, lambda n: lt.metrics.evaluate(Z, T, class_counts=n)):
        with pytest.raises((TypeError, ValueError)) as error:
            read(counts)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300
    with pytest.raises((TypeError, ValueError), match=message):
        lt.losses.LogitAdjustedLoss(counts)


def test_keys_outside_the_given_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="class indices below 4 as keys, got 4"):
        lt.losses.LogitAdjustedLoss({0: 1, 4: 2}, classes=CLASSES)
    with pytest.raises(ValueError, match="known classes, got 'eel'; known are dog, ant, bee, cat"):
        lt.losses.LogitAdjustedLoss({"eel": 1}, classes=CLASSES)


@pytest.mark.parametrize("labels", [Y, torch.tensor(Y), Y.tolist(), pd.Series(Y), Y.astype(float)], ids=str)
def test_labels_in_the_place_of_counts_are_told_apart(labels) -> None:
    look = "these look like 68 labels of 4 classes: use longtail.class_counts"
    for read in (
        "LogitAdjustedLoss",
        "LDAMLoss",
        "adjust_logits",
        "fold_into_bias",
        "effective_number",
        "class_weight",
    ):
        with pytest.raises(ValueError, match=look):
            READERS[read](labels)
    with pytest.raises(ValueError, match=f"must keep 4 classes, got 68; {look}"):
        set_later(labels)
    with pytest.raises(
        ValueError, match=r"scores must have shape \(N, 68\).*; give class_counts as longtail.class_cou"
    ):
        READERS["evaluate"](labels)


def test_labels_without_a_class_0_are_refused_by_the_first_call() -> None:
    for read in ("LogitAdjustedLoss", "adjust_logits", "LogitAdjustment"):
        with pytest.raises(ValueError, match=r"logits must have 68 classes in dimension 1.*class_counts\(labels\)"):
            READERS[read](Y + 1)
    with pytest.raises(ValueError, match=r"one entry per class .*, got 68; use longtail.class_counts"):
        READERS["fold_into_bias"](Y + 1)


def test_where_only_the_reader_can_tell_the_log_says_so(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        for read in (lt.priors, lt.imbalance_ratio, lt.groups.groups):
            read(Y)
    assert [r.getMessage() for r in caplog.records] == [
        "class_counts: these look like 68 labels of 4 classes; if they are, use longtail.class_counts(labels)"
    ] * 3


def test_counts_that_look_like_labels_are_never_refused_for_it(caplog) -> None:
    generator = np.random.default_rng(0)
    for rate in (0.1, 1.0, 3.0):  # few examples of many classes, as in a batch
        counts = generator.poisson(rate, 1000)
        loss = lt.losses.LogitAdjustedLoss(counts, zero_count="mask")
        assert loss.class_counts.tolist() == counts.tolist()
        assert lt.priors(counts).tolist() == (counts / counts.sum()).tolist()
        assert lt.metrics.evaluate(np.eye(1000), np.arange(1000), class_counts=counts)["accuracy"] == 1
    caplog.clear()
    for counts in ([1, 0], [2, 1, 0], [3, 2, 1, 0, 0, 0], [100, 10, 1], [1] * 50):
        lt.groups.groups(counts)
        assert lt.priors(counts).sum() == pytest.approx(1)
    assert not caplog.records


@pytest.mark.slow
def test_reading_counts_by_key_imports_no_pandas() -> None:
    code = "import sys, longtail as lt; lt.losses.LogitAdjustedLoss({0: 1, 1: 2}); assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
