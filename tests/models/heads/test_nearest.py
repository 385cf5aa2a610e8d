"""The nearest class mean is the formula, whatever batches its means were taken over."""

import pickle
from copy import deepcopy
from math import sqrt

import numpy as np
import pytest
import torch
from torch import nn

from longtail.facts import knobs
from longtail.models.heads import NearestClassMean, swap_head

KINDS = ["cl2n", "l2n", "un"]
SCORES = ["l2", "cos", "dot"]


def data(n=60, d=5, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.cat([torch.arange(classes), torch.randint(classes, (n - classes,), generator=generator)])
    x = torch.randn(n, d, generator=generator, dtype=torch.float64) + torch.eye(classes, d)[y] * 2 + 1
    return x, y


def normalised(row):
    length = sqrt(sum(v * v for v in row))
    return [v / length for v in row]


def by_hand(train, targets, test, classes, kind, score):
    """Plain loops over the definition: centre over examples, rows to length 1, class means, similarity."""
    dimensions = range(len(train[0]))
    centre = [sum(row[d] for row in train) / len(train) for d in dimensions]

    def prepared(row):
        if kind == "cl2n":
            row = [v - c for v, c in zip(row, centre, strict=True)]
        return row if kind == "un" else normalised(row)

    means = []
    for j in range(classes):
        members = [prepared(row) for row, y in zip(train, targets, strict=True) if y == j]
        means.append([sum(row[d] for row in members) / len(members) for d in dimensions])
    scores = []
    for row in map(prepared, test):
        if score == "cos":
            means, row = [normalised(m) for m in means], normalised(row)
        if score == "l2":
            scores.append([-sum((a - b) ** 2 for a, b in zip(row, m, strict=True)) for m in means])
        else:
            share = 1 if score == "cos" else len(row)
            scores.append([sum(a * b for a, b in zip(row, m, strict=True)) / share for m in means])
    return scores


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_formula(kind, score):
    x, y = data()
    test = data(9, seed=1)[0]
    head = NearestClassMean(5, 4, features=kind, score=score).double().fit(x, y)
    expected = by_hand(x.tolist(), y.tolist(), test.tolist(), 4, kind, score)
    for ours, theirs in zip(head(test).tolist(), expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)
    assert head.counts.tolist() == torch.bincount(y).tolist()


def test_the_default_is_centred_normalised_and_squared_distance():
    x, y = data()
    named = NearestClassMean(5, 4, features="cl2n", score="l2").fit(x, y)
    assert torch.equal(NearestClassMean(5, 4).fit(x, y)(x), named(x))
    assert (named.means.norm(dim=1) < 0.99).any()  # class means are not rescaled
    torch.testing.assert_close(named.center, x.mean(0).float())  # over examples, not over classes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 7, 60])
def test_batches_in_any_order_give_the_means_of_the_whole(kind, size):
    x, y = data()
    whole = NearestClassMean(5, 4, features=kind).double().fit(x, y)
    streamed = NearestClassMean(5, 4, features=kind).double()
    for seed in range(streamed.passes):
        order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
        for rows in order.split(size):
            streamed.update(x[rows], y[rows])
        streamed.finish()
    torch.testing.assert_close(streamed.means, whole.means, rtol=0, atol=1e-14)
    torch.testing.assert_close(streamed.center, whole.center, rtol=0, atol=1e-14)
    assert streamed.passes == (2 if kind == "cl2n" else 1)


def test_means_are_float64_sums_and_distances_do_not_cancel():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(3).repeat(5000)
    x = 1000 + 0.1 * torch.randn(15000, 4, generator=generator) + 0.5 * torch.eye(3, 4)[y]
    head = NearestClassMean(4, 3, features="un").fit(x, y)
    exact = x.double()
    means = torch.stack([exact[y == j].mean(0) for j in range(3)])
    distances = (exact[:, None] - means).square().sum(2)
    torch.testing.assert_close(head(x), -distances.float(), rtol=1e-2, atol=1e-3)
    assert torch.equal(head(x).argmax(1), distances.argmin(1))


@pytest.mark.parametrize("kind", ["cl2n", "l2n", "un"])
def test_an_example_of_weight_k_is_k_examples(kind):
    x, y = data()
    weight = torch.arange(len(x)) % 4
    weight[:4] = 1  # one of every class
    weighed = NearestClassMean(5, 4, features=kind).fit(x, y, weight)
    repeated = NearestClassMean(5, 4, features=kind).fit(x.repeat_interleave(weight, 0), y.repeat_interleave(weight))
    torch.testing.assert_close(weighed.means, repeated.means)
    torch.testing.assert_close(weighed.center, repeated.center)
    assert not weighed.means.allclose(NearestClassMean(5, 4, features=kind).fit(x, y).means, atol=1e-3)
    plain, ones = (NearestClassMean(5, 4, features=kind).fit(x, y, w) for w in (None, torch.ones(len(x))))
    assert plain.means.equal(ones.means)
    with pytest.raises(ValueError, match="every class must have an example, got none of class 2"):
        NearestClassMean(5, 4, features=kind).fit(x, y, (y != 2).float())


@pytest.mark.parametrize(
    ("weight", "line"),
    [
        ([1.0, 2.0], r"sample_weight must be one weight per row of features, \(60,\), got shape \(2,\)"),
        ([-1.0] * 60, "sample_weight must be >= 0, got -1.0"),
    ],
)
def test_bad_weights_are_refused(weight, line):
    with pytest.raises(ValueError, match=line):
        NearestClassMean(5, 4).fit(*data(), weight)


def test_dense_features_arrays_and_narrow_dtypes_are_taken():
    x, y = data()
    head = NearestClassMean(5, 4).fit(x.numpy(), y.numpy().astype(np.int32))
    dense = x.reshape(6, 10, 5)
    torch.testing.assert_close(head(dense).reshape(60, 4), head(x))
    assert head(x.half()).dtype == head(x.float()).dtype == torch.float32
    assert head(x).dtype == torch.float64
    torch.testing.assert_close(head(x.bfloat16()), head(x.bfloat16().float()))


@pytest.mark.slow
def test_means_take_the_place_of_a_head_and_are_saved_copied_compiled_and_exported():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4))
    x, y = data()
    x = x.float()
    swap_head(model, NearestClassMean)[2].fit(model[:2](x), y)
    expected = model(x)
    loaded = swap_head(deepcopy(model), NearestClassMean)
    loaded.load_state_dict(model.state_dict())
    exported = torch.export.export(model, (x,)).module()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for same in (loaded, deepcopy(model), pickle.loads(pickle.dumps(model)), exported, compiled):
        torch.testing.assert_close(same(x), expected)
    assert not list(model[2].parameters())
    assert float((expected.argmax(1) == y).double().mean()) > 0.5


def test_fitting_again_starts_over():
    x, y = data()
    head = NearestClassMean(5, 4)
    head.update(x + 9, y)  # left unfinished
    second = NearestClassMean(5, 4).fit(x, y)
    assert torch.equal(head.fit(x, y).means, second.means)
    assert torch.equal(head.fit(x, y).means, second.means)


def test_a_class_without_examples_is_an_error_or_never_predicted():
    x, y = data()
    line = r'every class must have an example, got none of class 4, 5; add one, or pass zero_count="mask"'
    for kind in KINDS:
        with pytest.raises(ValueError, match=line):
            NearestClassMean(5, 6, features=kind).fit(x, y)
        masked = NearestClassMean(5, 6, features=kind, zero_count="mask").fit(x, y)(x)
        assert (masked[:, 4:] == -torch.inf).all()
        assert torch.equal(masked[:, :4], NearestClassMean(5, 4, features=kind).fit(x, y)(x))
        assert masked.softmax(1).isfinite().all()


def test_what_has_not_been_fitted_says_so():
    head = NearestClassMean(5, 4)
    line = r'means must be fitted before use, "cl2n" in 2 pass\(es\); call fit\(features, targets\)'
    with pytest.raises(ValueError, match=line):
        head(torch.zeros(1, 5))
    head.update(*data())
    head.finish()
    with pytest.raises(ValueError, match="means must be fitted before use"):  # one pass of two
        head(torch.zeros(1, 5))
    with pytest.raises(ValueError, match="features must hold at least one example, got none"):
        head.finish()
    second = NearestClassMean(5, 4)
    second.load_state_dict(NearestClassMean(5, 4).state_dict())
    with pytest.raises(ValueError, match="means must be fitted before use"):
        second(torch.zeros(1, 5))


def test_two_passes_over_different_rows_are_noticed():
    x, y = data()
    head = NearestClassMean(5, 4)
    head.update(x, y)
    head.finish()
    head.update(x[:-1], y[:-1])
    with pytest.raises(ValueError, match="both passes must read the same examples, got 60 and 59 of them"):
        head.finish()


@pytest.mark.parametrize(
    ("x", "y", "line"),
    [
        (torch.zeros(2, 3), [0, 1], r"features must be floating-point of shape \(N, 5\), got .* shape \(2, 3\); pass"),
        (torch.zeros(2, 5).long(), [0, 1], "features must be floating-point"),
        (torch.zeros(2, 5), [0], r"targets must be one class index per row of features, \(2,\), got .*\(1,\)"),
        (torch.zeros(2, 5), [0.0, 1.0], "targets must be one class index per row"),
        (torch.zeros(2, 5), [0, 4], r"targets must be in \[0, 4\), got 4"),
        (torch.zeros(2, 5), [0, -100], "targets must be >= 0, got -100; drop rows without a label"),
        (torch.full((2, 5), torch.nan), [0, 1], "features must be finite, got NaN or infinity in row 0"),
    ],
)
def test_bad_batches_are_refused_and_leave_no_trace(x, y, line):
    head = NearestClassMean(5, 4)
    with pytest.raises(ValueError, match=line) as error:
        head.update(x, torch.tensor(y))
    assert "\n" not in str(error.value)
    assert head._pass_sums is None


def test_bad_arguments_are_refused_and_knobs_are_declared():
    with pytest.raises(ValueError, match=r"features must be .cl2n. or .l2n. or .un., got 'l2'; choose one"):
        NearestClassMean(5, 4, features="l2")
    with pytest.raises(ValueError, match='score must be "l2" or "cos" or "dot"'):
        NearestClassMean(5, 4, score="ip")
    with pytest.raises(ValueError, match=r'zero_count must be "error" or "mask", got 1.0'):
        NearestClassMean(5, 4, zero_count=1.0)
    with pytest.raises(ValueError, match="out_features must be an integer >= 1, got 0"):
        NearestClassMean(5, 0)
    assert knobs.declared(NearestClassMean)["features"].default == "cl2n"
