"""Starting the kernels of the losses: which one, on how many programs, with which arguments."""

from __future__ import annotations

import functools
import logging
from typing import Any, Literal

import torch
from torch import Tensor

from longtail.functional.index_loss import IndexLoss

log = logging.getLogger(__name__)

TILE = 4096
"""Logits that a program works on at once."""

ALONE = 1 << 15
"""Logits up to which one program does everything: another start costs more than it saves."""

PROGRAMS = 1024
"""At most so many programs, each with the sums of its own rows."""

OPTIONS = {"enable_fp_fusion": False}
"""Of every kernel: a product and a sum are rounded one after the other, as by the formula."""

Reduce = Literal[0, 1, 2, 3]
"""What becomes of the losses: nothing, their sum, and that divided by the weights or the rows that count."""
EACH: Reduce = 0
SUM: Reduce = 1
BY_WEIGHTS: Reduce = 2
BY_ROWS: Reduce = 3


def forward(
    logits: Tensor, targets: Tensor, loss: IndexLoss, weight: Tensor | None, by: Reduce, with_losses: bool
) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Return the reduced loss, l (N,), and what `gradient` needs.

    The last: the inverse divisor; m and log sum_j e^(a_j - m) of every row, for a softmax; sums of programs.
    """
    n, classes = logits.shape
    real = torch.float64 if logits.dtype == torch.float64 else torch.float32
    block, rows, programs, warps = tiles(n, classes)
    several = programs > 1 and by != EACH
    first = 1 if loss.SIGMOID else 1 + 2 * n
    saved = logits.new_empty(first + (2 * programs if several else 0), dtype=real)
    value = None if by == EACH else logits.new_empty((), dtype=real)
    losses = logits.new_empty((n,), dtype=real) if with_losses else None
    kernels, pointers, numbers, options = _of(loss, logits)
    kernels.forward[(programs,)](
        logits, targets.contiguous(), _dense(weight), *pointers, value, losses, saved, n, classes, *logits.stride(),
        loss.ignore_index, *numbers, **options, REDUCE=by, ALONE=not several, ROWS=rows, BLOCK=block, num_warps=warps,
        **OPTIONS,
    )  # fmt: skip
    if several:
        _modules()[2].finish[(1,)](value, saved, first, programs, REDUCE=by, BLOCK=PROGRAMS, **OPTIONS)
    return value, losses, saved


def gradient(
    g: Tensor,
    logits: Tensor,
    targets: Tensor,
    saved: Tensor,
    loss: IndexLoss,
    weight: Tensor | None,
    *,
    mean: bool,
) -> Tensor:
    """Return g w_y dl/dz (N, C), in the dtype of the logits; g is (N,) or one number, with `mean` of a mean."""
    n, classes = logits.shape
    out = torch.empty_like(logits, memory_format=torch.contiguous_format)
    block, rows, _, warps = tiles(n, classes)
    kernels, pointers, numbers, options = _of(loss, logits)
    kernels.backward[(-(-n // rows), -(-classes // block))](
        logits, targets.contiguous(), _dense(weight), *pointers, out, saved, n, classes, *logits.stride(),
        loss.ignore_index, *numbers, g, g.stride(0) if g.ndim else 0, **options, MEAN=mean, ROWS=rows, BLOCK=block,
        num_warps=warps, **OPTIONS,
    )  # fmt: skip
    return out


@functools.lru_cache(maxsize=1024)
def tiles(n: int, classes: int) -> tuple[int, int, int, int]:
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
    pointers = [_dense(factor[0]), _dense(offset), _dense(true_offset), gamma[0]]
    return softmax, pointers, [factor[1], gamma[1]], {"FACTORS": factors, "FOCAL": focal}


def _pointer_and_number(value: float | Tensor | None, logits: Tensor) -> tuple[Tensor | None, float]:
    """Pass a tensor as it is, whose value only the device knows, and a number as one, which Triton takes as float32."""
    if value is None or isinstance(value, Tensor):
        return value, 0.0
    return (logits.new_full((), value), 0.0) if logits.dtype == torch.float64 else (None, float(value))


def _dense(constant: Tensor | None) -> Tensor | None:
    return None if constant is None else constant.contiguous()


def on_device_of(logits: Tensor) -> Any:
    """Make the device of the logits the current one, on which Triton starts its kernels."""
    return torch.cuda.device_of(logits)  # type: ignore[no-untyped-call]


@functools.cache
def _modules() -> tuple[Any, Any, Any]:
    from longtail.functional.kernels import parts, sigmoid, softmax

    return softmax, sigmoid, parts


WORKS: dict[str, bool] = {}


def works(loss: IndexLoss, logits: Tensor) -> bool:
    """Whether Triton is installed and starts a kernel here: it needs a C compiler and a GPU that it knows."""
    device = logits.device.type
    if device not in WORKS:
        try:
            with on_device_of(logits), torch.no_grad():
                one = torch.zeros_like(logits[:1])
                forward(one, torch.zeros(1, dtype=torch.long, device=one.device), loss, None, SUM, False)
            WORKS[device] = True
        except ImportError:
            log.info("losses on a GPU run by their formulas: triton is not installed")
            WORKS[device] = False
        except Exception as error:
            log.warning("losses on a GPU run by their formulas, since Triton fails: %s", error)
            WORKS[device] = False
    return WORKS[device]
