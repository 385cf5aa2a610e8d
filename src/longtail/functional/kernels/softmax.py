"""Cross-entropy of adjusted logits, plain or with focal modulation."""

import triton
import triton.language as tl

from longtail.functional.kernels.parts import number, one_minus_exp, read_targets, upstream, write_sums


@triton.jit
def _factor(factor_ptr, factor, classes, mask, FACTORS: tl.constexpr, real: tl.constexpr):
    """b_j of classes j."""
    if FACTORS == 2:
        return tl.load(factor_ptr + classes, mask=mask, other=1.0).to(real)
    else:
        return number(factor_ptr, factor, real)


@triton.jit
def _shifted(z, offset_ptr, b, classes, mask, real: tl.constexpr):
    """b_j z_j + o_j of classes j."""
    a = z.to(real) * b
    if offset_ptr is not None:
        a += tl.load(offset_ptr + classes, mask=mask, other=0.0).to(real)
    return a


@triton.jit
def _at_target(
    row_ptr, y, kept, class_stride, factor_ptr, factor, offset_ptr, true_ptr, FACTORS: tl.constexpr, real: tl.constexpr
):
    """a_y and t_y of every row."""
    b = _factor(factor_ptr, factor, y, kept, FACTORS, real)
    a = _shifted(tl.load(row_ptr + y * class_stride, mask=kept, other=0.0), offset_ptr, b, y, kept, real)
    t = tl.zeros_like(a)
    if true_ptr is not None:
        t = tl.load(true_ptr + y).to(real)
    return a + t, t


@triton.jit(do_not_specialize=["n", "ignore"])
def forward(
    z_ptr, y_ptr, weight_ptr, factor_ptr, offset_ptr, true_ptr, gamma_ptr, value_ptr, losses_ptr, saved_ptr,
    n, classes, row_stride, class_stride, ignore, factor, gamma,
    FACTORS: tl.constexpr, FOCAL: tl.constexpr, REDUCE: tl.constexpr, ALONE: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """l = log(sum_j e^(a_j - m)) + m - a_y, m = max_j a_j, online over blocks of classes.

    Saves m and the logarithm.
    """
    real: tl.constexpr = saved_ptr.dtype.element_ty
    total = tl.zeros([ROWS], real)
    divisor = tl.zeros([ROWS], real)
    for first in range(tl.program_id(0) * ROWS, n, tl.num_programs(0) * ROWS):
        rows = first + tl.arange(0, ROWS)
        y, weight, kept, known = read_targets(y_ptr, weight_ptr, rows, n, classes, ignore, real)
        row_ptr = z_ptr + rows.to(tl.int64) * row_stride
        true, t = _at_target(row_ptr, y, kept, class_stride, factor_ptr, factor, offset_ptr, true_ptr, FACTORS, real)
        top = tl.full([ROWS], float("-inf"), real)
        s = tl.zeros([ROWS], real)
        for block in range(0, classes, BLOCK):
            c = block + tl.arange(0, BLOCK)[None, :].to(tl.int64)
            b = _factor(factor_ptr, factor, c, c < classes, FACTORS, real)
            z = tl.load(row_ptr[:, None] + c * class_stride, mask=(rows < n)[:, None] & (c < classes), other=0.0)
            a = _shifted(z, offset_ptr, b, c, c < classes, real)
            if true_ptr is not None:
                a = tl.where(c == y[:, None], a + t[:, None], a)
            a = tl.where(c < classes, a, float("-inf"))
            higher = tl.maximum(top, tl.max(a, 1))
            shift = tl.where(higher == float("-inf"), 0.0, higher)
            s = s * tl.exp(top - shift) + tl.sum(tl.exp(a - shift[:, None]), 1)
            top = higher
        log_s = tl.log(s)
        loss = (top - true) + log_s
        tl.store(saved_ptr + 1 + rows, top, mask=rows < n)
        tl.store(saved_ptr + 1 + n + rows, log_s, mask=rows < n)
        if FOCAL:
            wrong = tl.maximum(one_minus_exp(loss), 1e-37)
            loss = tl.exp(number(gamma_ptr, gamma, real) * tl.log(wrong)) * loss
        loss = tl.where(kept, tl.where(known, loss * weight, float("nan")), 0.0)
        if losses_ptr is not None:
            tl.store(losses_ptr + rows, loss, mask=rows < n)
        if REDUCE != 0:
            total += loss
            divisor += kept.to(real) if REDUCE == 3 else weight
    if REDUCE != 0:
        write_sums(value_ptr, saved_ptr, 1 + 2 * n, total, divisor, REDUCE, ALONE)


@triton.jit(do_not_specialize=["n", "ignore"])
def backward(
    z_ptr, y_ptr, weight_ptr, factor_ptr, offset_ptr, true_ptr, gamma_ptr, out_ptr, saved_ptr,
    n, classes, row_stride, class_stride, ignore, factor, gamma, g_ptr, g_stride,
    FACTORS: tl.constexpr, FOCAL: tl.constexpr, MEAN: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """dl/dz_j = g b_j (softmax(a)_j - [j = y]), under focal modulation times its derivative."""
    real: tl.constexpr = saved_ptr.dtype.element_ty
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :].to(tl.int64)
    y, weight, kept, known = read_targets(y_ptr, weight_ptr, rows, n, classes, ignore, real)
    row_ptr = z_ptr + rows.to(tl.int64) * row_stride
    true, t = _at_target(row_ptr, y, kept, class_stride, factor_ptr, factor, offset_ptr, true_ptr, FACTORS, real)
    top = tl.load(saved_ptr + 1 + rows, mask=rows < n, other=0.0)
    log_s = tl.load(saved_ptr + 1 + n + rows, mask=rows < n, other=0.0)
    g = upstream(g_ptr, g_stride, rows, n, weight, saved_ptr, MEAN, real)
    if FOCAL:  # d/dc of w^gamma c, w = 1 - e^-c
        nll = (top - true) + log_s
        gamma = number(gamma_ptr, gamma, real)
        wrong = tl.maximum(one_minus_exp(nll), 1e-37)
        g *= tl.exp(gamma * tl.log(wrong)) * (1.0 + gamma * tl.exp(-nll) * (nll / wrong))
    g = tl.where(known, g, float("nan"))
    b = _factor(factor_ptr, factor, c, c < classes, FACTORS, real)
    inside = (rows < n)[:, None] & (c < classes)
    z = tl.load(row_ptr[:, None] + c * class_stride, mask=inside, other=0.0)
    a = _shifted(z, offset_ptr, b, c, c < classes, real)
    is_true = c == y[:, None]
    if true_ptr is not None:
        a = tl.where(is_true, a + t[:, None], a)
    p = tl.exp((a - top[:, None]) - log_s[:, None])
    d = tl.where(kept[:, None], g[:, None] * b * tl.where(is_true, p - 1.0, p), 0.0)
    tl.store(out_ptr + rows.to(tl.int64)[:, None] * classes + c, d, mask=inside)
