"""Class counts are read from whatever holds the labels, without touching an input."""

from collections import Counter
from fractions import Fraction
from math import log

import numpy as np
import pandas as pd
import pytest
import torch
from tests.cases import cases
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

import longtail as lt
from longtail.facts.counts import as_counts, encode, log_priors, positive_counts

LABELS = [0, 2, 2, 1, 2, 0]
COUNTS = [2, 1, 3]


class Undecodable(Dataset):
    """Like torchvision's: labels in an attribute; looking at an input is an error."""

    def __init__(self, labels, name="targets", classes=None):
        setattr(self, name, labels)
        if classes is not None:
            self.classes = classes

    def __getitem__(self, index):
        raise AssertionError("an input was decoded to count its label")

    def __len__(self):
        return len(LABELS)


class Column:
    """A column of the `datasets` package: an array only when asked to become one."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


class Hub:
    """A `datasets.Dataset` as far as labels go: columns by name, class names in the features."""

    column_names = ("image", "label")

    class Label:
        names = ("ant", "bee", "cat")

    features = {"label": Label()}  # noqa: RUF012

    def __getitem__(self, name):
        assert name == "label", "an input was decoded to count its label"
        return Column(LABELS)


HOLDERS = {
    "list": LABELS,
    "tuple": tuple(LABELS),
    "array": np.array(LABELS),
    "uint8 array": np.array(LABELS, dtype=np.uint8),
    "tensor": torch.tensor(LABELS),
    "int32 tensor": torch.tensor(LABELS, dtype=torch.int32),
    "list of tensors": list(torch.tensor(LABELS)),
    "list of numpy scalars": list(np.array(LABELS)),
    "pandas": pd.Series(LABELS, index=[7, 3, 1, 9, 2, 0]),
    "nullable pandas": pd.Series(LABELS, dtype="Int64"),
    "pandas categorical of integers": pd.Series(LABELS, dtype="category"),
    "TensorDataset": TensorDataset(torch.zeros(6, 1), torch.tensor(LABELS)),
    "Subset": Subset(TensorDataset(torch.zeros(8, 1), torch.tensor([1, *LABELS, 1])), range(1, 7)),
    "Subset of a Subset": Subset(Subset(Undecodable([1, *LABELS, 1]), range(8)), range(1, 7)),
    "ConcatDataset": ConcatDataset([Undecodable(LABELS[:2]), Undecodable(LABELS[2:])]),
    "targets": Undecodable(LABELS),
    "labels": Undecodable(np.array(LABELS), "labels"),
    "y": Undecodable(torch.tensor(LABELS), "y"),
    "hub": Hub(),
    "column": np.array(LABELS)[:, None],
    "nested list": [[y] for y in LABELS],
    "frame of one column": pd.DataFrame({"y": LABELS}),
    "floats": np.array(LABELS, dtype=float),
    "list of floats": [float(y) for y in LABELS],
    "float tensor": torch.tensor(LABELS).float(),
    "bfloat16 tensor": torch.tensor(LABELS).bfloat16().float(),
    "TensorDataset with a column of floats": TensorDataset(torch.zeros(6, 1), torch.tensor(LABELS)[:, None].float()),
}


@cases("labels", HOLDERS.values(), ids=HOLDERS.keys())
def test_every_holder_of_labels_is_counted(labels):
    counts = lt.class_counts(labels)
    assert counts.dtype == torch.int64
    assert counts.tolist() == COUNTS


def test_integers_count_up_to_the_largest_or_to_num_classes():
    assert lt.class_counts([0, 3]).tolist() == [1, 0, 0, 1]
    assert lt.class_counts([0, 1], num_classes=4).tolist() == [1, 1, 0, 0]
    assert lt.class_names([0, 3]) == ["0", "1", "2", "3"]


def test_strings_are_sorted_as_numpy_sorts_them():
    labels = ["b", "a", "B", "b", "10", "9"]
    assert lt.class_names(labels) == np.unique(labels).tolist() == ["10", "9", "B", "a", "b"]
    assert lt.class_counts(labels).tolist() == [Counter(labels)[name] for name in np.unique(labels)]


def test_given_classes_fix_order_and_number():
    assert lt.class_counts(["b", "a", "b"], classes=["b", "a", "z"]).tolist() == [2, 1, 0]
    assert lt.class_names(Undecodable(LABELS, classes=["x", "y", "z"])) == ["x", "y", "z"]
    assert lt.class_names(Hub()) == ["ant", "bee", "cat"]
    ordered = pd.Series(["lo", "hi", "lo"], dtype=pd.CategoricalDtype(["lo", "mid", "hi"]))
    assert lt.class_counts(ordered).tolist() == [2, 0, 1]


def test_labels_are_not_changed_and_not_aliased():
    labels = np.array(LABELS)
    encode(labels)[0][:] = 0
    assert labels.tolist() == LABELS


@cases(
    ("labels", "kind", "message"),
    [
        ([], ValueError, "must not be empty"),
        ([0, -1], ValueError, r"must be >= 0, got -1"),
        ([[0, 1], [1, 0]], ValueError, "one-dimensional, got shape"),
        ([0.0, 1.5], TypeError, r"integers or strings, got float64 with values like 1.5"),
        ([0.0, float("nan")], TypeError, "with values like nan"),
        ([[-1.0]], ValueError, "must be >= 0, got -1"),
        (torch.tensor([0.5]), TypeError, "integers or strings"),
        (["a", float("nan")], TypeError, "missing labels"),
        (["a", None], TypeError, "missing labels"),
        (["a", 1], TypeError, "integers or strings"),
        (pd.Series([1, None], dtype="Int64"), TypeError, "missing labels"),
        (pd.Series(["a", None]), TypeError, "missing labels"),
        (object(), TypeError, "pass the labels themselves"),
    ],
)
def test_what_is_no_label_is_refused_by_name(labels, kind, message):
    with pytest.raises(kind, match=message) as error:
        lt.class_counts(labels)
    assert "\n" not in str(error.value)


def test_classes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="'b'; known are a"):
        lt.class_counts(["a", "b"], classes=["a"])
    with pytest.raises(ValueError, match="below the number of classes 2, got 2"):
        lt.class_counts([0, 2], classes=["a", "b"])
    with pytest.raises(ValueError, match="'a' twice"):
        lt.class_counts(["a"], classes=["a", "a"])
    with pytest.raises(ValueError, match="num_classes must be at least 3"):
        lt.class_counts([0, 2], num_classes=2)
    parts = [Undecodable([0], classes=["a", "b"]), Undecodable([0], classes=["b", "a"])]
    with pytest.raises(ValueError, match="same classes in every part"):
        lt.class_counts(ConcatDataset(parts))


def test_counts_may_come_in_any_form_and_are_copied():
    read_only = pd.Series(["a", "b", "a"]).value_counts()
    given = torch.tensor([2.0, 1.0], dtype=torch.float64)
    for counts in ([2, 1], (2, 1), np.array([2, 1]), read_only, read_only.to_numpy(), given, given.half()):
        taken = as_counts(counts)
        assert taken.dtype == torch.float64
        assert taken.tolist() == [2, 1]
        taken[0] = 0
    assert given.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], "one-dimensional"),
        ([[1, 2]], "one-dimensional"),
        ([1, -1], "finite and >= 0"),
        ([1, float("nan")], "finite and >= 0"),
        ([0, 0], "only zeros"),
    ],
)
def test_counts_that_count_nothing_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        as_counts(counts)


def test_an_empty_class_is_an_error_a_mask_or_a_pseudo_count():
    with pytest.raises(ValueError, match=r"must be > 0 for every class, got 0 for class 1; .*mask"):
        positive_counts([3, 0])
    assert positive_counts([3, 0], "mask").tolist() == [3, 0]
    assert positive_counts([3, 0], 0.5).tolist() == [3, 0.5]
    for wrong in ("ignore", 0, -1.0, True, float("nan")):
        with pytest.raises(ValueError, match='zero_count must be "error", "mask" or a number > 0'):
            positive_counts([3, 0], wrong)


def test_priors_are_shares():
    total = sum(COUNTS)
    assert lt.priors(COUNTS).tolist() == [float(Fraction(n, total)) for n in COUNTS]
    assert log_priors(COUNTS).tolist() == pytest.approx([log(n / total) for n in COUNTS], abs=1e-15)
    assert log_priors([1, 0], "mask").tolist() == [0, -torch.inf]
    assert log_priors([3, 0], 1.0).tolist() == pytest.approx([log(3 / 4), log(1 / 4)], abs=1e-15)


def test_imbalance_ratio_is_largest_over_smallest():
    assert lt.imbalance_ratio(COUNTS) == 3
    assert lt.imbalance_ratio([5, 5]) == 1
    assert lt.imbalance_ratio([5, 0]) == float("inf")
