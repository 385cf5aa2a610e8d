"""Sums over C sigmoids: binary cross-entropy, plain or with focal modulation."""

import triton
import triton.language as tl

from longtail.functional.kernels.parts import log1p, number, read_targets, upstream, write_sums


@triton.jit
def _softplus(u):
    return tl.maximum(u, 0.0) + log1p(tl.exp(-tl.abs(u)))


@triton.jit
def _turned(z, y, c, real: tl.constexpr):
    """u_j = -z_j for the true class and z_j for every other."""
    return tl.where(c == y[:, None], -z.to(real), z.to(real))


@triton.jit(do_not_specialize=["n", "ignore"])
def forward(
    z_ptr, y_ptr, weight_ptr, gamma_ptr, value_ptr, losses_ptr, saved_ptr,
    n, classes, row_stride, class_stride, ignore, gamma,
    FOCAL: tl.constexpr, REDUCE: tl.constexpr, ALONE: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """l = sum_j q_j^gamma L_j, L_j = softplus(u_j), q_j = sigmoid(u_j) = e^(u_j - L_j)."""
    real: tl.constexpr = saved_ptr.dtype.element_ty
    total = tl.zeros([ROWS], real)
    divisor = tl.zeros([ROWS], real)
    for first in range(tl.program_id(0) * ROWS, n, tl.num_programs(0) * ROWS):
        rows = first + tl.arange(0, ROWS)
        y, weight, kept, known = read_targets(y_ptr, weight_ptr, rows, n, classes, ignore, real)
        row_ptr = z_ptr + rows.to(tl.int64) * row_stride
        loss = tl.zeros([ROWS], real)
        for block in range(0, classes, BLOCK):
            c = block + tl.arange(0, BLOCK)[None, :].to(tl.int64)
            z = tl.load(row_ptr[:, None] + c * class_stride, mask=(rows < n)[:, None] & (c < classes), other=0.0)
            u = _turned(z, y, c, real)
            each = _softplus(u)
            if FOCAL:
                each *= tl.exp(number(gamma_ptr, gamma, real) * (u - each))
            loss += tl.sum(tl.where(c < classes, each, 0.0), 1)
        loss = tl.where(kept, tl.where(known, loss * weight, float("nan")), 0.0)
        if losses_ptr is not None:
            tl.store(losses_ptr + rows, loss, mask=rows < n)
        if REDUCE != 0:
            total += loss
            divisor += kept.to(real) if REDUCE == 3 else weight
    if REDUCE != 0:
        write_sums(value_ptr, saved_ptr, 1, total, divisor, REDUCE, ALONE)


@triton.jit(do_not_specialize=["n", "ignore"])
def backward(
    z_ptr, y_ptr, weight_ptr, gamma_ptr, out_ptr, saved_ptr,
    n, classes, row_stride, class_stride, ignore, gamma, g_ptr, g_stride,
    FOCAL: tl.constexpr, MEAN: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """d(q^gamma L)/du = q^gamma (gamma (1 - q) L + q), q = sigmoid(u); du/dz = -1 for the true class."""
    real: tl.constexpr = saved_ptr.dtype.element_ty
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :].to(tl.int64)
    y, weight, kept, known = read_targets(y_ptr, weight_ptr, rows, n, classes, ignore, real)
    g = tl.where(known, upstream(g_ptr, g_stride, rows, n, weight, saved_ptr, MEAN, real), float("nan"))
    inside = (rows < n)[:, None] & (c < classes)
    row_ptr = z_ptr + rows.to(tl.int64) * row_stride
    u = _turned(tl.load(row_ptr[:, None] + c * class_stride, mask=inside, other=0.0), y, c, real)
    e = tl.exp(-tl.abs(u))
    slope = tl.where(u >= 0.0, 1.0, e) / (1.0 + e)
    if FOCAL:
        gamma = number(gamma_ptr, gamma, real)
        each = _softplus(u)
        slope = tl.exp(gamma * (u - each)) * (gamma * tl.exp(-each) * each + slope)
    d = tl.where(kept[:, None], g[:, None] * tl.where(c == y[:, None], -slope, slope), 0.0)
    tl.store(out_ptr + rows.to(tl.int64)[:, None] * classes + c, d, mask=inside)
