"""Samplers draw by their formula, share the draw exactly among ranks, and resume where they stood."""

from collections import Counter
from math import sqrt

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tests.cases import cases
from torch.utils.data import DataLoader, TensorDataset

from longtail import sampling
from longtail.facts import knobs
from longtail.facts.schedules import linear, switch
from longtail.facts.types import Draw
from longtail.sampling import classes as class_samplers

COUNTS = [600, 0, 120, 25, 4, 1]  # class 1 has no examples
LABELS = np.repeat(np.arange(6), COUNTS)[np.random.default_rng(0).permutation(750)]

BETA = 0.9999


def effective(n):
    return (1 - BETA**n) / (1 - BETA)


MASSES = {
    "balanced": (sampling.ClassBalancedSampler, {}, lambda n: 1.0),
    "square root": (sampling.SquareRootSampler, {}, lambda n: sqrt(n)),
    "power": (sampling.PowerSampler, {"q": 0.3}, lambda n: n**0.3),
    "as the data are": (sampling.PowerSampler, {"q": 1}, lambda n: n),
    "reversed": (sampling.PowerSampler, {"q": -1.0}, lambda n: 1 / n),
    "effective number": (sampling.EffectiveNumberSampler, {}, lambda n: n / effective(n)),
    "effective number 0.9": (
        sampling.EffectiveNumberSampler,
        {"beta": 0.9},
        lambda n: n * (1 - 0.9) / (1 - 0.9**n),
    ),
    "class-aware": (sampling.ClassAwareSampler, {"per_class": 3}, lambda n: 1.0),
    "under": (sampling.UnderSampler, {"ratio": 100}, lambda n: min(n, 100)),
}


def probabilities(mass):
    masses = [mass(n) if n > 0 else 0.0 for n in COUNTS]
    return [m / sum(masses) for m in masses]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def plausible(observed, expected_shares):
    """Whether counts could come from these shares: a chi-square test at 0.1 %, with a fixed seed."""
    present = [share > 0 for share in expected_shares]
    total = sum(observed)
    assert all(n == 0 for n, there in zip(observed, present, strict=True) if not there)
    f_obs = [n for n, there in zip(observed, present, strict=True) if there]
    f_exp = [total * share for share in expected_shares if share > 0]
    return chisquare(f_obs, f_exp).pvalue > 1e-3


@pytest.mark.parametrize(("sampler", "knob", "mass"), MASSES.values(), ids=MASSES.keys())
def test_class_probabilities_are_the_formula(sampler, knob, mass):
    ours = sampler(LABELS, **knob).class_probabilities()
    assert ours.dtype == torch.float64
    assert ours.tolist() == pytest.approx(probabilities(mass), rel=1e-9)
    assert ours[1] == 0


@pytest.mark.parametrize(("sampler", "knob", "mass"), MASSES.values(), ids=MASSES.keys())
def test_draws_follow_the_probabilities_and_are_uniform_within_a_class(sampler, knob, mass):
    rows = sampler(LABELS, num_samples=200_000, **knob).draw(0.0, generator(1)).numpy()
    assert rows.dtype == np.int64
    assert plausible(np.bincount(LABELS[rows], minlength=6).tolist(), probabilities(mass))
    for j in (0, 2, 3, 4):
        within = Counter(rows[LABELS[rows] == j].tolist())
        members = [i for i, y in enumerate(LABELS) if y == j]
        assert set(within) <= set(members)
        assert plausible([within[m] for m in members], [1 / len(members)] * len(members))


def test_the_chi_square_test_sees_a_wrong_distribution():
    rows = sampling.SquareRootSampler(LABELS, num_samples=20_000).draw(0.0, generator(1)).numpy()
    assert not plausible(np.bincount(LABELS[rows], minlength=6).tolist(), probabilities(lambda n: 1.0))


def test_an_effective_number_sampler_draws_examples_by_the_weight_of_ldams_code():
    """Its multinomial has the weight (1 - beta) / (1 - beta^n_y) on every example."""
    weight = [(1 - BETA) / (1 - BETA ** COUNTS[y]) for y in LABELS]
    per_class = [sum(w for w, y in zip(weight, LABELS, strict=True) if y == j) for j in range(6)]
    ours = sampling.EffectiveNumberSampler(LABELS).class_probabilities()
    assert ours.tolist() == pytest.approx([m / sum(per_class) for m in per_class], rel=1e-9)


EVERY = {
    "balanced": lambda **k: sampling.ClassBalancedSampler(LABELS, **k),
    "square root": lambda **k: sampling.SquareRootSampler(LABELS, **k),
    "power": lambda **k: sampling.PowerSampler(LABELS, q=linear(1.0, 0.0), **k),
    "effective number": lambda **k: sampling.EffectiveNumberSampler(LABELS, **k),
    "shuffle": lambda **k: sampling.Shuffle(LABELS, **k),
    "progressive": lambda **k: sampling.ProgressiveSampler(LABELS, **k),
    "class-aware": lambda **k: sampling.ClassAwareSampler(LABELS, **k),
    "under": lambda **k: sampling.UnderSampler(LABELS, num_samples=750, **k),
    "every batch": lambda **k: sampling.EveryBatch(sampling.Shuffle(LABELS, **k), LABELS, batch_size=50),
    "deferred": lambda **k: sampling.Deferred(sampling.ClassBalancedSampler(LABELS, **k), at=0.5),
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())


@every
def test_a_draw_depends_on_its_generator_alone(make):
    sampler = make()
    assert isinstance(sampler, Draw)
    first = sampler.draw(0.75, generator(3))
    sampler.set_epoch(1, progress=0.75)
    list(sampler)
    assert torch.equal(sampler.draw(0.75, generator(3)), first)
    assert torch.equal(make(seed=9).draw(0.75, generator(3)), first)
    assert not torch.equal(sampler.draw(0.75, generator(4)), first)
    assert len(first) == sampler.num_samples == len(LABELS)


@every
@cases("world_size", [1, 2, 3, 7])
def test_the_union_over_ranks_is_the_single_process_draw(make, world_size, monkeypatch):
    monkeypatch.setattr(class_samplers, "CHUNK", 64)  # 750 rows then are 12 chunks, the last of 46
    alone = make(seed=5)
    alone.set_epoch(3, progress=0.75)
    whole = list(alone)
    shares = []
    for rank in range(world_size):
        sampler = make(seed=5, rank=rank, world_size=world_size)
        sampler.set_epoch(3, progress=0.75)
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
    woven = [share[i] for i in range(len(shares[0])) for share in shares if i < len(share)]
    assert woven == whole
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_uneven_lengths_lose_and_repeat_nothing():
    shares = [sampling.Shuffle(10, seed=1, rank=r, world_size=4) for r in range(4)]
    assert [len(s) for s in shares] == [3, 3, 2, 2]
    assert sorted(row for s in shares for row in s) == list(range(10))
    more_ranks_than_rows = [list(sampling.Shuffle(2, rank=r, world_size=4)) for r in range(4)]
    assert sorted(map(len, more_ranks_than_rows)) == [0, 0, 1, 1]


@every
def test_epochs_differ_and_can_be_repeated_by_name(make):
    sampler = make()
    sampler.set_epoch(0, progress=0.75)
    first = list(sampler)
    sampler.set_epoch(1, progress=0.75)
    assert list(sampler) != first
    sampler.set_epoch(0, progress=0.75)
    assert list(sampler) == first


def test_without_set_epoch_every_iteration_draws_anew():
    sampler = sampling.ClassBalancedSampler(LABELS, seed=2)
    passes = [list(sampler) for _ in range(3)]
    assert passes[0] != passes[1] != passes[2]
    named = sampling.ClassBalancedSampler(LABELS, seed=2)
    named.set_epoch(2)
    assert list(named) == passes[2]


@every
@cases("stop", [0, 1, 64, 65, 249, 250])
def test_a_resumed_epoch_is_the_uninterrupted_one(make, stop, monkeypatch):
    monkeypatch.setattr(class_samplers, "CHUNK", 100)
    sampler = make(seed=4, rank=1, world_size=3)
    sampler.set_epoch(2, progress=0.75)
    whole = list(sampler)
    assert len(whole) == 250

    running = make(seed=4, rank=1, world_size=3)
    running.set_epoch(2, progress=0.75)
    rows = iter(running)
    begun = [next(rows) for _ in range(stop)]
    state = running.state_dict()

    resumed = make(seed=4, rank=1, world_size=3)
    resumed.load_state_dict(state)
    resumed.set_epoch(state["epoch"], progress=0.75)  # as the loop over epochs does; it changes nothing
    assert begun + list(resumed) == whole
    resumed.set_epoch(3, progress=0.75)
    running.set_epoch(3, progress=0.75)
    assert list(resumed) == list(running)


def test_a_state_is_plain_numbers_and_is_refused_where_it_does_not_belong():
    sampler = sampling.ClassBalancedSampler(LABELS, seed=4)
    state = sampler.state_dict()
    assert all(value is None or type(value) in (int, float) for value in state.values())
    with pytest.raises(ValueError, match="seed must be 4 as in the saved state, got 5"):
        sampling.ClassBalancedSampler(LABELS, seed=5).load_state_dict(state)
    with pytest.raises(ValueError, match="world_size must be 1 as in the saved state, got 2"):
        sampling.ClassBalancedSampler(LABELS, seed=4, world_size=2).load_state_dict(state)
    with pytest.raises(ValueError, match=r"position must be in \[0, 750\], got 751"):
        sampler.load_state_dict({**state, "position": 751})


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_loader_resumes_by_the_steps_that_were_taken(workers):
    data = TensorDataset(torch.arange(len(LABELS)))

    def batches(sampler):
        return [batch[0].tolist() for batch in DataLoader(data, 32, sampler=sampler, num_workers=workers)]

    whole = batches(sampling.ClassBalancedSampler(LABELS, seed=6))
    stopped = sampling.ClassBalancedSampler(LABELS, seed=6)
    taken = []
    for batch in DataLoader(data, 32, sampler=stopped, num_workers=workers):
        taken.append(batch[0].tolist())
        if len(taken) == 5:
            break
    resumed = sampling.ClassBalancedSampler(LABELS, seed=6)
    resumed.load_state_dict(stopped.state_dict(position=5 * 32))
    assert taken + batches(resumed) == whole


def test_deferred_shuffles_before_the_switch_and_re_balances_from_it_on():
    after = sampling.ClassBalancedSampler(LABELS)
    deferred = sampling.Deferred(after, at=0.8)
    plain = sampling.Shuffle(len(LABELS))
    for epoch in range(10):
        p = epoch / 10
        expected = (after if epoch >= 8 else plain).draw(p, generator(epoch))
        assert torch.equal(deferred.draw(p, generator(epoch)), expected)
    assert sorted(deferred.draw(0.0, generator()).tolist()) == list(range(len(LABELS)))


def test_what_moves_with_progress_needs_progress():
    moving = sampling.PowerSampler(LABELS, q=switch(0.5, 1.0, 0.0))
    with pytest.raises(TypeError, match=r"q is the schedule switch.* needs progress"):
        list(moving)
    with pytest.raises(TypeError, match="Deferred needs progress; call set_epoch"):
        list(EVERY["deferred"]())
    assert moving.class_probabilities(0.0)[0] == pytest.approx(600 / 750)
    assert moving.class_probabilities(0.5)[0] == pytest.approx(1 / 5)


def test_labels_come_in_any_form():
    words = np.array(["head", "none", "body", "tail", "few", "one"])[LABELS]
    for labels in (words.tolist(), TensorDataset(torch.zeros(750, 1), torch.tensor(LABELS))):
        rows = sampling.ClassBalancedSampler(labels, num_samples=50_000).draw(0.0, generator()).numpy()
        drawn = np.bincount(LABELS[rows], minlength=6)
        assert plausible(drawn.tolist(), probabilities(lambda n: 1.0))


def test_a_single_example_and_a_single_class_are_drawn():
    assert sampling.ClassBalancedSampler([0]).draw(0.0, generator()).tolist() == [0]
    assert set(sampling.ClassBalancedSampler([3, 3]).draw(0.0, generator()).tolist()) <= {0, 1}


@pytest.mark.slow
def test_five_million_rows_are_set_up_and_drawn():
    labels = torch.from_numpy(np.random.default_rng(0).zipf(1.5, 5_000_000).clip(max=1000)) - 1
    sampler = sampling.ClassBalancedSampler(labels, num_samples=200_000)
    rows = sampler.draw(0.0, generator())
    counts = torch.bincount(labels, minlength=1000)
    shares = [float(n > 0) / int((counts > 0).sum()) for n in counts.tolist()]
    assert plausible(torch.bincount(labels[rows], minlength=1000).tolist(), shares)
    assert next(iter(sampler)) < 5_000_000


@cases(
    ("make", "message"),
    [
        (lambda: sampling.ClassBalancedSampler([]), "labels must not be empty"),
        (lambda: sampling.ClassBalancedSampler([0], num_samples=0), "num_samples must be an integer >= 1, got 0"),
        (lambda: sampling.ClassBalancedSampler([0], seed=-1), "seed must be an integer >= 0, got -1"),
        (lambda: sampling.ClassBalancedSampler([0], rank=2, world_size=2), "rank must be in .*got 2"),
        (lambda: sampling.ClassBalancedSampler([0], world_size=0), "world_size must be an integer >= 1"),
        (lambda: sampling.PowerSampler([0], q=float("inf")), "q must be finite, got inf"),
        (lambda: sampling.EffectiveNumberSampler([0], beta=1.0), r"beta must be in \[0, 1\), got 1.0"),
        (lambda: sampling.Shuffle(0), "num_samples must be an integer >= 1, got 0"),
        (lambda: sampling.Deferred(EVERY["balanced"](), at=160), r"at must be in \[0, 1\], got 160"),
        (lambda: sampling.Deferred(EVERY["balanced"](num_samples=9)), "after must draw as many rows"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_knobs_are_declared():
    assert str(knobs.declared(sampling.EffectiveNumberSampler)["beta"].rule) == "in [0, 1)"
    assert knobs.declared(sampling.PowerSampler)["q"].required


def test_a_length_once_set_gives_the_progress_that_frameworks_do_not_pass() -> None:
    labels = [0] * 90 + [1] * 10
    told, knows = (sampling.Deferred(sampling.ClassBalancedSampler(labels), at=0.5) for _ in range(2))
    knows.epochs = 4
    for epoch in range(4):
        told.set_epoch(epoch, progress=epoch / 4)
        knows.set_epoch(epoch)
        rows = list(knows)
        assert rows == list(told)
        assert (sorted(rows) == list(range(100))) == (epoch < 2)
    with pytest.raises(TypeError, match=r"or set sampler\.epochs once"):
        list(sampling.Deferred(sampling.ClassBalancedSampler(labels)))
