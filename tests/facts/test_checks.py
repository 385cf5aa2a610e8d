"""Values are checked where they enter, each with one line that names the way out."""

import pytest
import torch

from longtail.facts import checks


def test_good_values_pass():
    checks.targets(torch.tensor([0, 2, -100]), 3)
    checks.targets(torch.tensor([[0, 1], [2, -100]]), 3)
    checks.targets(torch.tensor([0, -1]), 3, ignore_index=-1)
    checks.targets(torch.tensor([0, 2], dtype=torch.uint8), 3)
    checks.targets(torch.tensor([[0.2, 0.8], [1.0, 0.0]]), 2)
    checks.targets(torch.rand(4, 3, 5).softmax(1), 3)
    checks.targets(torch.empty(0, dtype=torch.long), 3)
    checks.finite(torch.zeros(2, 2), "features")
    checks.sample_weight(torch.tensor([0.0, 2.0]))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([0, 3]), r"in \[0, 3\), got 3; correct the label, or pass num_classes=4"),
        (torch.tensor([0, -1]), r"in \[0, 3\), got -1; correct the label, or name it as ignore_index"),
        # -100 as uint8 is 156, which must not be taken for it
        (torch.tensor([156], dtype=torch.uint8), r"in \[0, 3\), got 156"),
        (torch.tensor([0.0, 1.0]), r"must have shape \(N, 3, ...\), got \(2,\)"),
        (torch.tensor([[0.5, 0.5]]), r"must have shape \(N, 3, ...\), got \(1, 2\)"),
        (torch.tensor([[1.0, 1.0, 0.0]]), "sum to 1 in every row, got a sum of 2; multi-hot"),
        (torch.tensor([[1.5, -0.5, 0.0]]), "finite and >= 0"),
        (torch.tensor([[torch.nan, 0.5, 0.5]]), "finite and >= 0"),
    ],
)
def test_bad_targets_are_refused(targets, message):
    with pytest.raises(ValueError, match=message) as error:
        checks.targets(targets, 3)
    assert "\n" not in str(error.value)


def test_values_that_are_not_finite_are_named_by_row():
    features = torch.zeros(4, 2)
    features[2, 1] = torch.inf
    with pytest.raises(ValueError, match=r"features must be finite, got NaN or infinity in row 2 \(1 values"):
        checks.finite(features, "features")
    with pytest.raises(ValueError, match="loss must be finite"):
        checks.finite(torch.tensor(torch.nan), "loss")


def test_bad_sample_weights_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight must be >= 0, got -1.0"):
        checks.sample_weight(torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        checks.sample_weight(torch.tensor([torch.nan]))


def test_strict_holds_inside_only_and_nests():
    assert not checks.is_strict()
    with checks.strict():
        with checks.strict():
            assert checks.is_strict()
        assert checks.is_strict()
        with pytest.raises(RuntimeError, match="out"), checks.strict():
            raise RuntimeError("out")
        assert checks.is_strict()
    assert not checks.is_strict()
