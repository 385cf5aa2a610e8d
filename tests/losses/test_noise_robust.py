"""Noise-robust losses: what they are at the ends of their knobs, bit for bit, and where they have no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.cases import cases
from tests.losses.loss_cases import COUNTS, TRANSITIONS, C, batch, soft
from torch import Tensor

from longtail import functional
from longtail import losses as L
from longtail.facts.schedules import switch

CE = L.CrossEntropyLoss()
EYE = [[float(i == j) for j in range(C)] for i in range(C)]
PLAIN: dict[str, Callable[..., L.Loss]] = {
    "gce q=0": lambda **how: L.GeneralizedCrossEntropyLoss(COUNTS, q=0, **how),
    "gce q=0, k=0": lambda **how: L.GeneralizedCrossEntropyLoss(COUNTS, q=0.0, k=0.0, **how),
    "sce beta=0": lambda **how: L.SymmetricCrossEntropyLoss(COUNTS, alpha=1, beta=0, **how),
    "bootstrap b=1": lambda **how: L.BootstrappedLoss(COUNTS, b=1, **how),
    "hard bootstrap b=1": lambda **how: L.BootstrappedLoss(COUNTS, b=1.0, hard=True, **how),
    "forward I": lambda **how: L.ForwardCorrectedLoss(COUNTS, matrix=EYE, **how),
    "backward I": lambda **how: L.BackwardCorrectedLoss(COUNTS, matrix=torch.eye(C), **how),
}


def gradient(loss: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    x = z.clone().requires_grad_()
    return torch.autograd.grad(loss(x), x)[0]


@cases("smoothing", [0.0, 0.2])
@cases("weight", [None, "inverse"])
@cases("name", PLAIN)
def test_without_strength_it_is_cross_entropy_bit_for_bit(name: str, weight: str | None, smoothing: float) -> None:
    z, y = batch(dtype=torch.float32)
    y[3] = -100
    how = {"class_weight": weight, "label_smoothing": smoothing, "normalize": "weights"}
    loss, plain = PLAIN[name](**how), L.CrossEntropyLoss(COUNTS, **how)
    for targets in (y, soft().float()):
        assert torch.equal(loss(z, targets), plain(z, targets))
        assert torch.equal(loss.per_example(z, targets), plain.per_example(z, targets))
        assert torch.equal(gradient(lambda x, t=targets: loss(x, t), z), gradient(lambda x, t=targets: plain(x, t), z))


def test_the_formula_of_the_forward_correction_by_i_is_cross_entropy_bit_for_bit() -> None:
    z, y = batch(dtype=torch.float32)
    for targets in (y, soft().float()):
        ours, plain = (
            lambda x, t=targets: functional.forward_corrected(x, t, torch.eye(C).log()),
            lambda x, t=targets: functional.cross_entropy(x, t),
        )
        assert torch.equal(ours(z), plain(z))
        torch.testing.assert_close(
            gradient(lambda x, f=ours: f(x).sum(), z), gradient(lambda x, f=plain: f(x).sum(), z)
        )
        backward = functional.backward_corrected(z, targets, torch.eye(C))
        assert torch.equal(backward, plain(z))


@cases("q", [1e-40, 1e-20, 1e-12, 1e-9])
def test_a_tiny_q_does_not_cancel(q: float) -> None:
    for dtype in (torch.float32, torch.float64):
        z, y = batch(spread=6.0, dtype=dtype)
        loss = L.GeneralizedCrossEntropyLoss(q=q)
        near = {"rtol": 1e-6, "atol": 1e-9}
        torch.testing.assert_close(loss.per_example(z, y), CE.per_example(z, y), **near)
        slopes = [gradient(lambda x, f=f, y=y: f(x, y), z) for f in (loss, CE)]
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)
        moving = L.GeneralizedCrossEntropyLoss(q=switch(0.5, q, 0.0))
        for p in (0.0, torch.tensor(0.0), torch.tensor(0.9)):
            torch.testing.assert_close(moving.per_example(z, y, progress=p), CE.per_example(z, y), **near)


def test_the_gradient_is_that_of_cross_entropy_times_p_to_the_q() -> None:
    z, y = batch()
    p = z.softmax(1).gather(1, y[:, None])
    ours = gradient(lambda x: L.GeneralizedCrossEntropyLoss(q=0.7, reduction="sum")(x, y), z)
    plain = gradient(lambda x: L.CrossEntropyLoss(reduction="sum")(x, y), z)
    torch.testing.assert_close(ours, p**0.7 * plain)


@pytest.mark.parametrize("k", [0.3, switch(0.5, 0.0, 0.3)])
def test_examples_below_k_have_no_loss_and_no_gradient_and_k_is_held(k: object) -> None:
    z, y = batch()
    loss, plain = L.GeneralizedCrossEntropyLoss(k=k, reduction="sum"), L.GeneralizedCrossEntropyLoss(reduction="sum")
    p = z.softmax(1).gather(1, y[:, None])[:, 0]
    below = p <= 0.3
    assert 0 < below.sum() < len(y)
    for progress in (0.5, torch.tensor(0.5)):
        each = loss.per_example(z, y, progress=progress)
        assert (each[below] == 0).all()
        assert (each[~below] < 0).all()
        ours = gradient(lambda x, at=progress: loss(x, y, progress=at), z)
        assert (ours[below] == 0).all()
        torch.testing.assert_close(ours[~below], gradient(lambda x: plain(x, y), z)[~below])
    if k != 0.3:  # k = 0 before the switch: nothing is truncated, nothing subtracted
        for progress in (0.4, torch.tensor(0.4)):
            assert torch.equal(loss.per_example(z, y, progress=progress), plain.per_example(z, y))


def test_a_batch_below_k_has_loss_0_and_keeps_its_graph() -> None:
    z, y = batch()
    loss = L.GeneralizedCrossEntropyLoss(k=0.999)
    z.requires_grad_()
    value = loss(z, y)
    value.backward()
    assert value.item() == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


def test_clamped_probabilities_have_no_gradient_in_the_reverse_term() -> None:
    """d/dz_j of -A sum of the p_k, k != y, that are not clamped, is -A p_j ([j among these] - their sum)."""
    z = torch.tensor([[4.0, 1.0, -20.0, -1.0, 0.5]], dtype=torch.float64)
    p = z[0].softmax(0).tolist()
    assert p[2] < 1e-7 < min(p[0], p[1], p[3], p[4])
    loss = L.SymmetricCrossEntropyLoss(alpha=0, beta=1)
    found = gradient(lambda x: loss(x, torch.tensor([0])), z)[0]
    there = [1, 3, 4]
    share = math.fsum(p[k] for k in there)
    expected = [-math.log(1e-4) * p[j] * ((j in there) - share) for j in range(C)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-15)
    clamped = [max(p_k, 1e-7) for p_k in p]
    assert loss(z, torch.tensor([0])).item() == pytest.approx(-math.log(1e-4) * math.fsum(clamped[1:]), rel=1e-12)


def test_the_soft_target_of_bootstrapping_is_differentiated_unless_detached() -> None:
    z, y = batch()
    through, held = (L.BootstrappedLoss(b=0.6, detach=detach, reduction="sum") for detach in (False, True))
    assert torch.equal(through(z, y), held(z, y))
    plain = gradient(lambda x: L.CrossEntropyLoss(reduction="sum")(x, y), z)
    torch.testing.assert_close(gradient(lambda x: held(x, y), z), 0.6 * plain)
    # the entropy H of p has dH/dz_j = -p_j (log p_j + H)
    log_p = z.log_softmax(1)
    entropy = -(log_p.exp() * log_p).sum(1, keepdim=True)
    expected = 0.6 * plain - 0.4 * log_p.exp() * (log_p + entropy)
    torch.testing.assert_close(gradient(lambda x: through(x, y), z), expected)


def test_by_default_bootstrapping_has_the_papers_shares() -> None:
    assert (L.BootstrappedLoss().b, L.BootstrappedLoss(hard=True).b) == (0.95, 0.8)


def test_the_backward_correction_is_unbiased() -> None:
    """sum_j T_ij l(z, j) = -log p_i, value and gradient."""
    z, _ = batch()
    loss = L.BackwardCorrectedLoss(matrix=TRANSITIONS, reduction="none")
    plain = L.CrossEntropyLoss(reduction="none")

    def mean(x: Tensor, i: int) -> Tensor:
        every = [TRANSITIONS[i][j] * loss(x, torch.full((len(x),), j)) for j in range(C)]
        return torch.stack(every).sum(0)

    for i in range(C):
        of_class = torch.full((len(z),), i)
        torch.testing.assert_close(mean(z, i), plain(z, of_class))
        ours, clean = gradient(lambda x, i=i: mean(x, i).sum(), z), gradient(lambda x, y=of_class: plain(x, y).sum(), z)
        torch.testing.assert_close(ours, clean)


def test_the_forward_correction_is_least_at_the_clean_posterior() -> None:
    """Where labels are drawn from T^T p*, the expected loss has no slope at p = p*, and cross-entropy has one."""
    z, _ = batch()
    matrix = torch.tensor(TRANSITIONS, dtype=torch.float64)
    labels = z.softmax(1) @ matrix
    forward = L.ForwardCorrectedLoss(matrix=matrix)
    assert gradient(lambda x: forward(x, labels), z).abs().max() < 1e-12
    assert gradient(lambda x: CE(x, labels), z).abs().max() > 1e-3


@pytest.mark.parametrize("given", [list, torch.tensor, lambda rows: torch.tensor(rows).half().numpy(), tuple])
def test_a_matrix_may_be_nested_lists_an_array_or_a_tensor(given: Callable[..., object]) -> None:
    z, y = batch()
    loss = L.ForwardCorrectedLoss(matrix=given([[0.5, 0.5], [0.25, 0.75]]))
    plain = L.ForwardCorrectedLoss(matrix=[[0.5, 0.5], [0.25, 0.75]])
    assert torch.equal(loss(z[:, :2], y % 2), plain(z[:, :2], y % 2))
    with pytest.raises(ValueError, match="logits must have 2 classes in dimension 1"):
        loss(z, y)


TRANSPOSED = [[0.9, 0.3], [0.1, 0.7]]
REFUSED: dict[str, tuple[type[L.Loss], object, str]] = {
    "nothing": (
        L.ForwardCorrectedLoss, None,
        "matrix of a ForwardCorrectedLoss must be C rows of C probabilities, got None; pass that of your labels, or "
        "functional.transition_matrix(probabilities)",
    ),
    "not square": (
        L.ForwardCorrectedLoss, [[0.5, 0.5]],
        "matrix must be square, one row and one column per class, got shape (1, 2); row i has P(label j | class i)",
    ),
    "words": (
        L.BackwardCorrectedLoss, "abc", "matrix must be C rows of C numbers, got 'abc'; pass a list of lists",
    ),
    "ragged": (
        L.BackwardCorrectedLoss, [[1.0], [0.5, 0.5]],
        "matrix must be C rows of C numbers, got [[1.0], [0.5, 0.5]]; pass a list of lists",
    ),
    "below 0": (
        L.ForwardCorrectedLoss, [[1.1, -0.1], [0.0, 1.0]],
        "matrix must have probabilities in [0, 1], got 1.1 in row 0, column 0; row i has P(label j | class i)",
    ),
    "no number": (
        L.ForwardCorrectedLoss, [[1.0, 0.0], [float("nan"), 1.0]],
        "matrix must have probabilities in [0, 1], got nan in row 1, column 0; row i has P(label j | class i)",
    ),
    "rows of another sum": (
        L.ForwardCorrectedLoss, [[0.9, 0.2], [0.1, 0.7]],
        "matrix must have rows that sum to 1, got 1.1 in row 0; divide each row by its sum",
    ),
    "columns in place of rows": (
        L.ForwardCorrectedLoss, TRANSPOSED,
        "matrix must have rows that sum to 1, got 1.2 in row 0; its columns do: pass its transpose",
    ),
    "a label that no class gets": (
        L.ForwardCorrectedLoss, [[1.0, 0.0], [1.0, 0.0]],
        "matrix must give every label a probability above 0, got a column of zeros for label 1; leave the class "
        "out, or put a small number there",
    ),
    "singular": (
        L.BackwardCorrectedLoss, [[0.5, 0.5], [0.5, 0.5]],
        "matrix must be invertible, got a singular one (condition number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_transition_matrix_is_refused_in_one_line(name: str) -> None:
    loss, matrix, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError)) as error:
        loss(matrix=matrix)
    text = str(error.value)
    assert text.startswith(message) if name == "singular" else text == message
    assert "\n" not in text
    assert "; " in text


def test_a_matrix_of_other_classes_than_the_counts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^matrix must be \(5, 5\), as there are classes, got shape \(2, 2\); row i"):
        L.ForwardCorrectedLoss(COUNTS, matrix=[[0.9, 0.1], [0.2, 0.8]])


def test_both_terms_of_strength_zero_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^alpha and beta must not both be 0, got 0 and 0; alpha=1, beta=0 is cross"):
        L.SymmetricCrossEntropyLoss(alpha=0, beta=0.0)
