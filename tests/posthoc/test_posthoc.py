"""Post-hoc corrections are their formulas, and a tuned one is the best of its grid."""

import pickle
from copy import deepcopy
from math import log, sqrt

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from tests.cases import cases
from torch import nn

from longtail import posthoc
from longtail.facts import knobs
from longtail.posthoc import LogitAdjustment, TunedLogitAdjustment, adjust_logits, move_threshold, normalize_tau

COUNTS = [600, 50, 7, 1]
SHAPES = {"rows": (5, 4), "images": (3, 4, 2, 2), "sequences": (2, 4, 6)}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def logits_of(shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@shapes
@cases("tau", [0.0, 0.4, 1.0, 2.5])
def test_adjust_logits_is_z_minus_tau_log_prior(shape, tau):
    logits = logits_of(shape)
    adjusted = adjust_logits(logits, COUNTS, tau)
    for j, n in enumerate(COUNTS):
        offset = tau * log(n / sum(COUNTS))
        torch.testing.assert_close(adjusted[:, j], logits[:, j] - offset, rtol=0, atol=1e-14)


@pytest.mark.parametrize("counts", [COUNTS, np.array(COUNTS), torch.tensor(COUNTS)])
def test_arrays_give_arrays_and_tensors_give_tensors(counts):
    logits = logits_of((5, 4))
    read_only = logits.numpy().copy()
    read_only.setflags(write=False)
    array = adjust_logits(read_only, counts)
    assert isinstance(array, np.ndarray)
    assert array.tolist() == adjust_logits(logits, counts).tolist()
    assert isinstance(LogitAdjustment(counts)(read_only), np.ndarray)


def test_dtypes_are_never_narrowed():
    for given, result in {
        torch.float64: torch.float64,
        torch.float32: torch.float32,
        torch.bfloat16: torch.float32,
        torch.float16: torch.float32,
    }.items():
        assert adjust_logits(logits_of((2, 4)).to(given), COUNTS).dtype == result
        assert LogitAdjustment(COUNTS)(logits_of((2, 4)).to(given)).dtype == result
    assert torch.equal(adjust_logits(torch.zeros(1, 4), COUNTS, 0.0), torch.zeros(1, 4))


def test_an_empty_class_is_an_error_never_predicted_or_counted_as_said():
    logits = torch.zeros(1, 3)
    with pytest.raises(ValueError, match="got 0 for class 1"):
        adjust_logits(logits, [3, 0, 1])
    for tau in (0.0, 1.0):
        masked = adjust_logits(logits, [3, 0, 1], tau, zero_count="mask")
        assert masked[0, 1] == -torch.inf
        assert masked.softmax(1).isfinite().all()
    counted = adjust_logits(logits, [3, 0, 1], zero_count=1.0)
    assert counted[0].tolist() == pytest.approx([-log(3 / 5), -log(1 / 5), -log(1 / 5)])
    assert torch.equal(LogitAdjustment([3, 0, 1], zero_count="mask")(logits), masked)


@shapes
def test_move_threshold_is_its_formula(shape):
    probs = logits_of(shape).softmax(1)
    cost = [[0, 1, 2, 3], [5, 0, 1, 1], [9, 9, 0, 9], [40, 40, 40, 0]]
    moved = move_threshold(probs, cost)
    flat, expected = (x.movedim(1, -1).reshape(-1, 4).tolist() for x in (probs, moved))
    for p, q in zip(flat, expected, strict=True):
        weighed = [p[k] * sum(cost[k]) for k in range(4)]
        assert q == pytest.approx([w / sum(weighed) for w in weighed], rel=1e-12)
    assert move_threshold(probs.numpy(), np.array(cost)).tolist() == moved.tolist()


def test_row_costs_of_the_inverse_prior_are_logit_adjustment():
    logits = logits_of((50, 4))
    for tau in (0.5, 1.0):
        # equal off-diagonal costs, each row summing to pi^-tau
        cost = [[0 if c == k else (n / sum(COUNTS)) ** -tau / 3 for c in range(4)] for k, n in enumerate(COUNTS)]
        moved = move_threshold(logits.softmax(1), cost)
        torch.testing.assert_close(moved, adjust_logits(logits, COUNTS, tau).softmax(1))


def test_a_class_that_costs_nothing_is_not_called_unless_it_is_all_there_is():
    cost = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    assert move_threshold(torch.tensor([[0.9, 0.1], [1.0, 0.0]]), cost).tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_normalize_tau_is_its_formula(tau):
    weight = logits_of((4, 3))
    weight[2] = 0
    ours = normalize_tau(weight, tau).tolist()
    for row, w in zip(ours, weight.tolist(), strict=True):
        length = sqrt(sum(x * x for x in w)) or 1.0
        assert row == pytest.approx([x / length**tau for x in w], rel=1e-12)
    assert normalize_tau(weight.numpy(), tau).tolist() == ours
    assert normalize_tau(weight.half(), tau).dtype == torch.float16


@pytest.mark.parametrize("bias", [True, False])
def test_a_tau_normalised_head_is_a_new_head_without_a_bias(bias):
    torch.manual_seed(0)
    head = nn.Linear(3, 4, bias=bias).double().requires_grad_(False)
    before, chance = deepcopy(head.state_dict()), torch.get_rng_state()
    features = logits_of((6, 3))
    ours = normalize_tau(head, 0.7)
    assert ours.bias is None
    assert not ours.weight.requires_grad
    for h, scores in zip(features.tolist(), ours(features).tolist(), strict=True):
        for w, z in zip(head.weight.tolist(), scores, strict=True):
            dot = sum(a * b for a, b in zip(w, h, strict=True))
            assert z == pytest.approx(dot / sqrt(sum(x * x for x in w)) ** 0.7, rel=1e-12)
    assert all(torch.equal(value, before[key]) for key, value in head.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance)
    torch.testing.assert_close(normalize_tau(head, 0.0).weight, head.weight)  # tau 0 drops the bias alone


@shapes
def test_the_module_is_the_function(shape):
    logits = logits_of(shape, torch.float32)
    for tau in (0.0, 0.35, 1.0):
        rule = LogitAdjustment(COUNTS, tau=tau)
        assert torch.equal(rule(logits), adjust_logits(logits, COUNTS, tau))
        assert not list(rule.parameters())


def test_a_rule_is_saved_copied_exported_and_not_spoilt_by_half():
    logits = logits_of((6, 4), torch.float32)
    rule = LogitAdjustment(COUNTS, tau=0.35)
    expected = rule(logits)
    loaded = LogitAdjustment([1, 1, 1, 1])
    loaded.load_state_dict(rule.state_dict())
    assert float(loaded.tau) == pytest.approx(0.35)
    model = nn.Sequential(nn.Identity(), rule)
    for same in (loaded, deepcopy(rule), pickle.loads(pickle.dumps(rule)), rule.half(), model.bfloat16()):
        assert torch.equal(same(logits), expected)
    assert rule.offsets.dtype == torch.float32
    exported = torch.export.export(nn.Sequential(nn.Linear(3, 4), rule), (torch.randn(2, 3),)).module()
    assert exported(torch.zeros(2, 3)).shape == (2, 4)


def validation(seed=0, rows=400):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.multinomial(torch.tensor([0.6, 0.25, 0.1, 0.05]), rows, True, generator=generator)
    log_prior = torch.tensor([log(n / sum(COUNTS)) for n in COUNTS])
    scores = torch.randn(rows, 4, generator=generator) + 2 * nn.functional.one_hot(targets, 4) + 0.6 * log_prior
    return scores, targets


REFERENCE = {
    "balanced_accuracy": balanced_accuracy_score,
    "accuracy": accuracy_score,
    "macro_f1": lambda y, p: f1_score(y, p, average="macro", zero_division=0),
}


@pytest.mark.parametrize("metric", REFERENCE)
@pytest.mark.parametrize("seed", range(3))
def test_the_tuned_tau_is_the_best_of_the_grid_and_the_smallest_of_the_best(metric, seed):
    scores, targets = validation(seed)
    rule = TunedLogitAdjustment(COUNTS, metric=metric).fit(scores, targets)
    values = []
    for k in range(61):
        shift = [0.05 * k * log(n / sum(COUNTS)) for n in COUNTS]
        decided = [max(range(4), key=lambda j: row[j] - shift[j]) for row in scores.tolist()]
        values.append(round(REFERENCE[metric](targets.numpy(), decided), 12))
    assert float(rule.tau) == pytest.approx(0.05 * values.index(max(values)))
    assert torch.equal(rule(scores), adjust_logits(scores, COUNTS, float(rule.taus[values.index(max(values))])))


def test_ties_go_to_the_smallest_tau():
    scores = torch.tensor([[9.0, 0.0], [0.0, 9.0]])
    assert float(TunedLogitAdjustment([2, 1]).fit(scores, torch.tensor([0, 1])).tau) == 0
    assert float(TunedLogitAdjustment([2, 1], taus=[2.0, 0.5]).fit(scores, torch.tensor([0, 1])).tau) == 0.5


def test_a_class_that_validation_lacks_is_left_out_of_the_mean():
    scores = torch.tensor([[1.0, 0.0, 5.0], [0.9, 1.0, -9.0], [1.0, 0.9, -9.0]])
    targets = torch.tensor([2, 1, 1])
    rule = TunedLogitAdjustment([8, 4, 4]).fit(scores, targets)
    assert 0 < float(rule.tau) < 3
    assert rule(scores).argmax(1).tolist() == targets.tolist()


def test_on_gaussian_classes_the_tuned_tau_is_near_one_and_reaches_the_bayes_balanced_error():
    generator = torch.Generator().manual_seed(0)
    counts, half = [9500, 500], 1.0  # x ~ N(-1, 1) and N(+1, 1)

    def draw(sizes):
        y = torch.repeat_interleave(torch.arange(2), torch.tensor(sizes))
        x = torch.randn(len(y), dtype=torch.float64, generator=generator) + half * (2 * y - 1)
        likelihood = torch.stack([-((x + half) ** 2) / 2, -((x - half) ** 2) / 2], 1)
        return likelihood + torch.tensor([log(n / 10000) for n in counts], dtype=torch.float64), y

    rule = TunedLogitAdjustment(counts).fit(*draw([20000, 20000]))
    assert float(rule.tau) == pytest.approx(1.0, abs=0.1)
    scores, y = draw([20000, 20000])
    bayes = 0.5 * (1 + torch.erf(torch.tensor(half / sqrt(2))))
    assert float((rule(scores).argmax(1) == y).double().mean()) == pytest.approx(float(bayes), abs=0.006)
    assert float((scores.argmax(1) == y).double().mean()) < float(bayes) - 0.1


def test_a_tuned_rule_counts_from_the_tau_that_the_network_was_trained_with():
    scores, targets = validation()
    plain = TunedLogitAdjustment(COUNTS).fit(scores, targets)
    adjusted = adjust_logits(scores, COUNTS, 1.0)  # the scores of a network of the logit-adjusted loss
    rule = TunedLogitAdjustment(COUNTS, trained=1.0).fit(adjusted, targets)
    assert float(rule.tau) == float(plain.tau)
    torch.testing.assert_close(rule(adjusted), plain(scores), rtol=1e-5, atol=1e-5)
    less = TunedLogitAdjustment(COUNTS, trained=1.0, taus=[0.25]).fit(adjusted, targets)
    torch.testing.assert_close(less(adjusted), adjust_logits(scores, COUNTS, 0.25), rtol=1e-5, atol=1e-5)
    masked = TunedLogitAdjustment([5, 0, 3], trained=1.0, taus=[0.5, 1.0], zero_count="mask")
    assert masked.fit(torch.eye(3), torch.arange(3))(torch.eye(3))[:, 1].tolist() == [float("-inf")] * 3
    with pytest.raises(ValueError, match="trained must be >= 0, got -1"):
        TunedLogitAdjustment(COUNTS, trained=-1)


def test_a_tuned_rule_is_saved_with_its_tau():
    scores, targets = validation()
    rule = TunedLogitAdjustment(COUNTS)
    with pytest.raises(ValueError, match=r"tau must be chosen before use; call fit\(scores, targets\)"):
        rule(scores)
    assert rule.fit(scores.numpy(), targets.numpy()) is rule
    loaded = TunedLogitAdjustment(COUNTS)
    loaded.load_state_dict(rule.state_dict())
    for same in (loaded, deepcopy(rule), pickle.loads(pickle.dumps(rule)), deepcopy(rule).half()):
        assert torch.equal(same(scores), rule(scores))
    unfitted = TunedLogitAdjustment(COUNTS)
    unfitted.load_state_dict(TunedLogitAdjustment(COUNTS).state_dict())
    with pytest.raises(ValueError, match="tau must be chosen before use"):
        unfitted(scores)
    torch.export.export(nn.Sequential(rule), (scores,))


SCORES = torch.zeros(3, 4)


@cases(
    ("make", "message"),
    [
        (lambda: adjust_logits(SCORES, COUNTS, -1.0), "tau must be >= 0, got -1.0"),
        (lambda: adjust_logits(SCORES, COUNTS, float("inf")), "tau must be >= 0 and finite, got inf"),
        (lambda: adjust_logits(SCORES, COUNTS[:3]), r"logits must have 3 classes .*, got shape \(3, 4\); use"),
        (lambda: adjust_logits(SCORES.long(), COUNTS), "logits must be floating-point"),
        (lambda: adjust_logits(SCORES[0], COUNTS), r"got torch.float32 of shape \(4,\)"),
        (lambda: LogitAdjustment(COUNTS, tau=float("nan")), "tau must be >= 0, got nan"),
        (lambda: TunedLogitAdjustment(COUNTS, taus=[]), "taus must hold at least one value"),
        (lambda: TunedLogitAdjustment(COUNTS, taus=[-1.0]), "taus must be >= 0, got -1.0"),
        (lambda: TunedLogitAdjustment(COUNTS, metric="auc"), 'metric must be "balanced_accuracy" or'),
        (lambda: TunedLogitAdjustment([1, 0, 1, 1]), "got 0 for class 1"),
        (lambda: TunedLogitAdjustment(COUNTS).fit(SCORES, torch.tensor([0, 1])), "one class index per row"),
        (lambda: TunedLogitAdjustment(COUNTS).fit(SCORES[:0], torch.tensor([]).long()), "N >= 1"),
        (lambda: TunedLogitAdjustment(COUNTS).fit(SCORES, torch.tensor([0, 1, 4])), r"in \[0, 4\), got 4"),
        (lambda: TunedLogitAdjustment(COUNTS).fit(SCORES, torch.tensor([0, 1, -100])), "got -100"),
        (
            lambda: TunedLogitAdjustment(COUNTS).fit(SCORES / 0, torch.tensor([0, 1, 2])),
            "scores must be finite",
        ),
        (lambda: move_threshold(SCORES[:, :2], [[0, 1], [1, 0]]), "rows that sum to 1, got a row with sum 0 and a min"),
        (lambda: move_threshold(SCORES, [0, 1]), r"cost must be square, \(C, C\), got shape \(2,\); its row k is what"),
        (
            lambda: move_threshold(SCORES, [[0, 1], [float("nan"), 0]]),
            r"cost must be finite and >= 0, got nan at \[1, 0\]",
        ),
        (lambda: move_threshold(SCORES, [[0, float("inf")], [1, 0]]), r"and >= 0, got inf at \[0, 1\]; correct the"),
        (lambda: move_threshold(SCORES, [[0, 1], [1, 0]]), r"probs must be .* shape \(N, 2, ...\)"),
        (lambda: move_threshold(SCORES, [[0, 1]]), r"cost must be square, \(C, C\), got shape \(1, 2\)"),
        (lambda: move_threshold(SCORES, [[1, 1], [1, 0]]), "cost must be 0 on its diagonal, got 1.0 for class 0"),
        (lambda: move_threshold(SCORES, [[0, -1], [1, 0]]), r"finite and >= 0, got -1.0 at \[0, 1\]"),
        (lambda: normalize_tau(SCORES[0]), r"weight must be floating-point of shape \(C, D\)"),
        (lambda: normalize_tau(nn.Linear(2, 2), -1.0), "tau must be >= 0, got -1.0"),
        (lambda: normalize_tau(SCORES, -1), "tau must be >= 0, got -1"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_knobs_are_declared():
    assert str(knobs.declared(LogitAdjustment)["tau"].rule) == ">= 0"
    assert knobs.declared(TunedLogitAdjustment)["metric"].default == "balanced_accuracy"
    assert list(posthoc.rules.TAUS) == [round(k / 20, 2) for k in range(61)]
