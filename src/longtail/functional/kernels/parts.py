"""What the kernels share: numbers, targets with their weights, and the reduction of the losses."""

import triton
import triton.language as tl


@triton.jit
def log1p(x):
    """log(1 + x) for x >= 0 with all its digits: the rounding of 1 + x cancels."""
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.log(u) * (x / tl.where(u == 1.0, 1.0, u - 1.0)))


@triton.jit
def one_minus_exp(c):
    """1 - e^-c for c >= 0 with all its digits."""
    u = tl.exp(-c)
    near = (u > 0.5) & (u < 1.0)
    return tl.where(u == 1.0, c, (1.0 - u) * tl.where(near, c / tl.where(near, -tl.log(u), 1.0), 1.0))


@triton.jit
def number(ptr, value, real: tl.constexpr):
    """A number, of a tensor where there is one."""
    if ptr is None:
        return tl.cast(value, real)
    else:
        return tl.load(ptr).to(real)


@triton.jit
def read_targets(y_ptr, weight_ptr, rows, n, classes, ignore, real: tl.constexpr):
    """Class, class weight, whether the row counts and whether its index is a class; the class is 0 where it is not."""
    y = tl.load(y_ptr + rows, mask=rows < n, other=ignore).to(tl.int64)
    kept = (rows < n) & (y != ignore)
    known = (y >= 0) & (y < classes)
    y = tl.where(kept & known, y, 0)
    weight = kept.to(real)
    if weight_ptr is not None:
        weight = tl.where(kept, tl.load(weight_ptr + y).to(real), 0.0)
    return y, weight, kept, known


@triton.jit
def _write_number(value_ptr, saved_ptr, total, divisor, REDUCE: tl.constexpr):
    """The loss and what its gradient is multiplied by; 0 where nothing counts."""
    if REDUCE == 1:
        tl.store(value_ptr, total)
    else:
        nothing = divisor == 0.0
        inverse = tl.where(nothing, 0.0, 1.0 / tl.where(nothing, 1.0, divisor))
        tl.store(value_ptr, tl.where(nothing, 0.0, total / tl.where(nothing, 1.0, divisor)))
        tl.store(saved_ptr, inverse)


@triton.jit
def write_sums(value_ptr, saved_ptr, first, total, divisor, REDUCE: tl.constexpr, ALONE: tl.constexpr):
    """Write the result where one program has all rows, else its sums for `finish`."""
    if ALONE:
        _write_number(value_ptr, saved_ptr, tl.sum(total, 0), tl.sum(divisor, 0), REDUCE)
    else:
        at = saved_ptr + first + 2 * tl.program_id(0)
        tl.store(at, tl.sum(total, 0))
        tl.store(at + 1, tl.sum(divisor, 0))


@triton.jit
def finish(value_ptr, saved_ptr, first, programs, REDUCE: tl.constexpr, BLOCK: tl.constexpr):
    """Reduce the sums of all programs in a fixed order."""
    at = tl.arange(0, BLOCK)
    total = tl.load(saved_ptr + first + 2 * at, mask=at < programs, other=0.0)
    divisor = tl.load(saved_ptr + first + 2 * at + 1, mask=at < programs, other=0.0)
    _write_number(value_ptr, saved_ptr, tl.sum(total, 0), tl.sum(divisor, 0), REDUCE)


@triton.jit
def upstream(g_ptr, g_stride, rows, n, weight, saved_ptr, MEAN: tl.constexpr, real: tl.constexpr):
    """The gradient of every row's loss, times its weight."""
    g = tl.load(g_ptr + rows * g_stride, mask=rows < n, other=0.0).to(real) * weight
    if MEAN:
        g *= tl.load(saved_ptr)
    return g
