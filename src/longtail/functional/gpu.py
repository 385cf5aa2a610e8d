"""Losses of class indices on a GPU: one kernel for the loss, one for the gradient.

A small eager loss costs on a GPU what it takes to start its kernels, a large one its passes through memory. So the
rows are adjusted, evaluated, weighed and summed by one kernel, which reads the logits once and writes two numbers per
row; a second one writes the gradient and nothing else. Many rows take a third, for the sum over programs. No result
depends on the order in which programs run.

The kernels are in `longtail.functional.kernels` and need Triton, which the CUDA builds of torch bring. Where it does
not run, and wherever the operations of a loss have to be visible, as in `closed_form`, the formula runs.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, Literal, cast

import torch
from torch import Tensor

from longtail.functional.index_loss import IndexLoss, value_and_gradient_suffice
from longtail.functional.mixtures import is_soft, of_target, widen

DEVICES = {"cuda"}
"""Types of devices on which the kernels run."""

DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
PLAIN = {Tensor, torch.nn.Parameter}
"""Types of tensors that surely have values, and no operations of their own."""

TILE = 4096
"""Logits that a program works on at once."""

ALONE = 1 << 15
"""Logits up to which one program does everything: another start costs more than it saves."""

PROGRAMS = 1024
"""At most so many programs, each with the sums of its own rows."""

OPTIONS = {"enable_fp_fusion": False}
"""Of every kernel: a product and a sum are rounded one after the other, as by the formula."""

Reduce = Literal[0, 1, 2, 3]
EACH: Reduce = 0
SUM: Reduce = 1
BY_WEIGHTS: Reduce = 2
BY_ROWS: Reduce = 3

log = logging.getLogger(__name__)


def runs(loss: IndexLoss, logits: Tensor, targets: Tensor) -> bool:
    """Whether the kernels compute this loss of these tensors."""
    return (
        not torch.compiler.is_compiling()
        and logits.device.type in DEVICES
        and logits.ndim == 2
        and not is_soft(targets)
        and logits.numel() > 0
        and logits.dtype in DTYPES
        and targets.device == logits.device
        and type(logits) in PLAIN
        and type(targets) in PLAIN
        and value_and_gradient_suffice(logits, loss.constants())
        and _works(loss, logits)
    )


def each(loss: IndexLoss, logits: Tensor, targets: Tensor) -> Tensor:
    """Return l (N,), 0 where ignored."""
    return cast("Tensor", _Kernels.apply(logits, targets, loss, None, EACH))  # type: ignore[no-untyped-call]


def reduced(loss: IndexLoss, logits: Tensor, targets: Tensor, weight: Tensor | None, by: Reduce) -> Tensor:
    """Return sum_i w_{y_i} l(z_i, y_i) over what is not ignored, divided as `by` says; 0 where nothing counts.

    Args:
        loss: l.
        logits: (N, C).
        targets: class indices (N,).
        weight: w (C,), without gradient; None for ones.
        by: SUM; BY_WEIGHTS: divided by sum_i w_{y_i}; BY_ROWS: by the number of rows.
    """
    return cast("Tensor", _Kernels.apply(logits, targets, loss, weight, by))  # type: ignore[no-untyped-call]


class _Kernels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, loss: IndexLoss, weight: Tensor | None, by: Reduce
    ) -> Tensor:
        with _on(logits):
            value, saved = forward(logits, targets, loss, weight, by)
        ctx.save_for_backward(logits, targets, saved)
        ctx.rest = loss, weight, by
        return value

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        logits, targets, saved = ctx.saved_tensors
        loss, weight, by = ctx.rest
        if torch.is_grad_enabled():  # for a second derivative
            value = _by_formula(logits, targets, loss, weight)
            value = value if by == EACH else value.sum() if by == SUM else value.sum() * saved[0]
            return (*torch.autograd.grad(value, logits, g, create_graph=True), None, None, None, None)
        with _on(logits):
            return gradient(g, logits, targets, saved, loss, weight, by), None, None, None, None


def _by_formula(logits: Tensor, targets: Tensor, loss: IndexLoss, weight: Tensor | None) -> Tensor:
    targets = targets.long()
    losses = loss.formula(widen(logits), targets)
    return losses if weight is None else losses * of_target(weight, targets, loss.ignore_index)


def forward(
    logits: Tensor, targets: Tensor, loss: IndexLoss, weight: Tensor | None, by: Reduce
) -> tuple[Tensor, Tensor]:
    """Return l (N,) or the reduced loss, and what `gradient` needs.

    The latter: the inverse divisor; m and log sum_j e^(a_j - m) of every row, for a softmax; sums of programs.
    """
    n, classes = logits.shape
    real = torch.float64 if logits.dtype == torch.float64 else torch.float32
    block, rows, programs, warps = _tiles(n, classes)
    alone = programs == 1
    first = 1 if loss.SIGMOID else 1 + 2 * n
    saved = logits.new_empty(first + (0 if alone or by == EACH else 2 * programs), dtype=real)
    value = logits.new_empty((n,) if by == EACH else (), dtype=real)
    kernels, pointers, numbers, options = _of(loss, logits)
    kernels.forward[(programs,)](
        logits, targets.contiguous(), weight, *pointers, value, saved, n, classes, *logits.stride(), loss.ignore_index,
        *numbers, **options, REDUCE=by, ALONE=alone, ROWS=rows, BLOCK=block, num_warps=warps, **OPTIONS,
    )  # fmt: skip
    if by != EACH and not alone:
        _modules()[2].finish[(1,)](value, saved, first, programs, REDUCE=by, BLOCK=PROGRAMS, **OPTIONS)
    return value, saved


def gradient(
    g: Tensor, logits: Tensor, targets: Tensor, saved: Tensor, loss: IndexLoss, weight: Tensor | None, by: Reduce
) -> Tensor:
    """Return g dl/dz (N, C), in the dtype of the logits."""
    n, classes = logits.shape
    out = torch.empty_like(logits, memory_format=torch.contiguous_format)
    block, rows, _, warps = _tiles(n, classes)
    kernels, pointers, numbers, options = _of(loss, logits)
    kernels.backward[(-(-n // rows), -(-classes // block))](
        logits, targets.contiguous(), weight, *pointers, out, saved, n, classes, *logits.stride(), loss.ignore_index,
        *numbers, g, g.stride(0) if g.ndim else 0, **options, MEAN=by > SUM, ROWS=rows, BLOCK=block, num_warps=warps,
        **OPTIONS,
    )  # fmt: skip
    return out


@functools.lru_cache(maxsize=1024)
def _tiles(n: int, classes: int) -> tuple[int, int, int, int]:
    """Return the classes and the rows of a tile, the number of programs and the warps of each."""
    block = min(_power_of_2(classes), TILE)
    rows = min(TILE // block, _power_of_2(n))
    programs = 1 if n * block <= ALONE else min(-(-n // rows), PROGRAMS)
    return block, rows, programs, 8 if rows * block >= TILE else 4


def _power_of_2(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _of(loss: IndexLoss, logits: Tensor) -> tuple[Any, list[Tensor | None], list[float], dict[str, Any]]:
    """Return the kernels of a loss; its tensors, its numbers and its options, in the order of their arguments."""
    softmax, sigmoid, _ = _modules()
    gamma, focal = _pointer_and_number(loss.gamma, logits), loss.gamma is not None
    if loss.SIGMOID:
        return sigmoid, [gamma[0]], [gamma[1]], {"FOCAL": focal}
    b, offset, true_offset = loss.adjustment
    factor = _pointer_and_number(1.0 if b is None else b, logits)
    factors = 0 if factor[0] is None else 1 if factor[0].ndim == 0 else 2
    pointers = [factor[0], offset, true_offset, gamma[0]]
    return softmax, pointers, [factor[1], gamma[1]], {"FACTORS": factors, "FOCAL": focal}


def _pointer_and_number(value: float | Tensor | None, logits: Tensor) -> tuple[Tensor | None, float]:
    """Pass a tensor as it is, whose value only the device knows, and a number as one, which Triton takes as float32."""
    if value is None or isinstance(value, Tensor):
        return value, 0.0
    return (logits.new_full((), value), 0.0) if logits.dtype == torch.float64 else (None, float(value))


def _on(logits: Tensor) -> Any:
    """Make the device of the logits the current one, on which Triton starts its kernels."""
    return torch.cuda.device_of(logits)  # type: ignore[no-untyped-call]


@functools.cache
def _modules() -> tuple[Any, Any, Any]:
    from longtail.functional.kernels import parts, sigmoid, softmax

    return softmax, sigmoid, parts


_WORKS: dict[str, bool] = {}


def _works(loss: IndexLoss, logits: Tensor) -> bool:
    """Whether Triton is installed and starts a kernel here: it needs a C compiler and a GPU that it knows."""
    device = logits.device.type
    if device not in _WORKS:
        try:
            with _on(logits), torch.no_grad():
                one = torch.zeros_like(logits[:1])
                forward(one, torch.zeros(1, dtype=torch.long, device=one.device), loss, None, SUM)
            _WORKS[device] = True
        except ImportError:
            log.info("losses on a GPU run by their formulas: triton is not installed")
            _WORKS[device] = False
        except Exception as error:
            log.warning("losses on a GPU run by their formulas, since Triton fails: %s", error)
            _WORKS[device] = False
    return _WORKS[device]
