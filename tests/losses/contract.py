"""What every loss promises, feature by feature.

Each check holds one loss to one feature and answers what the support table in docs/losses-support.md says of
it: "yes", a word, or "no: why", for which it has seen that the loss says no or does not care.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from functools import cache

import pytest
import torch
from tests.losses import loss_formulas as formulas
from tests.losses.loss_cases import CASES, COUNTS, ROWS, C, Case, batch, generator, soft
from torch import Tensor, nn
from torch.nn.functional import one_hot

from longtail import functional, knobs, losses
from longtail.schedules import linear

EXACT = {"rtol": 1e-12, "atol": 1e-13}
YES = "yes"
OTHER = [3, 60, 9, 400, 11]
EMPTY = [500, 120, 0, 7, 2]
NAMES = [f"class {j}" for j in range(C)]
LIMITS = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4])


def same(a: Tensor, b: Tensor, **tolerance: float) -> None:
    torch.testing.assert_close(a, b, **(tolerance or EXACT))


def onehot(y: Tensor) -> Tensor:
    return one_hot(y, C).movedim(-1, 1).double()


def weights(n: int, *dims: int) -> Tensor:
    return torch.rand(n, *dims, generator=generator(3), dtype=torch.float64)


def probability_targets(case: Case) -> str:
    (z, y), loss = batch(), case.build(reduction="sum")
    other, lam = y.flip(0), 0.3
    for how in (loss, loss.per_example):
        same(how(z, onehot(y)), how(z, y))
        same(how(z, lam * onehot(y) + (1 - lam) * onehot(other)), lam * how(z, y) + (1 - lam) * how(z, other))
    return YES


def integer_targets(case: Case) -> str:
    (z, y), loss = batch(), case.build()
    for dtype in (torch.int32, torch.int16, torch.int8, torch.uint8):
        assert torch.equal(loss(z, y.to(dtype)), loss(z, y))
        assert loss.kept(y.to(dtype)).all()
    return YES


def dense_targets(case: Case) -> str:
    loss = case.build(label_smoothing=0.1)
    for dims in ((3,), (2, 3), (2, 1, 3)):
        (z, y), q, s = batch(4, *dims), soft(4, *dims), weights(4, *dims)
        y[0] = -100
        flat_z, flat_q = z.movedim(1, -1).reshape(-1, C), q.movedim(1, -1).reshape(-1, C)
        for dense, flat in ((y, y.flatten()), (q, flat_q)):
            same(loss(z, dense), loss(flat_z, flat))
            same(loss(z, dense, sample_weight=s), loss(flat_z, flat, sample_weight=s.flatten()))
            assert loss.per_example(z, dense).shape == y.shape
            same(loss.per_example(z, dense).flatten(), loss.per_example(flat_z, flat))
    return YES


def ignored_targets(case: Case) -> str:
    for ignore in (-100, 255, 1):
        for smoothing in (0.0, 0.1):
            z, y = batch()
            y[::3] = ignore
            there = y != ignore
            z.requires_grad_()
            loss = case.build(ignore_index=ignore, label_smoothing=smoothing)
            assert torch.equal(loss.kept(y), there)
            same(loss(z, y), loss(z[there], y[there]))
            each = loss.per_example(z, y)
            assert (each[~there] == 0).all()
            (grad,) = torch.autograd.grad(each.sum(), z)
            assert (grad[~there] == 0).all()
    return YES


def nothing_counts(case: Case) -> str:
    """A batch in which nothing counts is zero, with its graph."""
    for normalize in ("weights", "batch"):
        for smoothing in (0.0, 0.1):
            loss = case.build(normalize=normalize, label_smoothing=smoothing)
            for call in (
                lambda z, y, loss=loss: loss(z, torch.full_like(y, -100)),
                lambda z, y, loss=loss: loss(z, y, sample_weight=torch.zeros(len(y))),
            ):
                z, y = batch(dtype=torch.float32)
                value = call(z.requires_grad_(), y)
                value.backward()
                assert value.item() == 0
                assert torch.equal(z.grad, torch.zeros_like(z))
    return YES


def label_smoothing(case: Case) -> str:
    z, y = batch()
    q = torch.tensor([formulas.smoothed(k, C, 0.3) for k in y.tolist()], dtype=torch.float64)
    smoothed = case.build(label_smoothing=0.3)
    same(smoothed(z, y), case.build()(z, q))
    same(smoothed(z, q), case.build()(z, q))  # soft targets are not smoothed again
    return YES


def _weighed_sum(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    z, y = batch()
    y[2] = -100
    s = weights(len(y))
    return z, y, s, case.build().per_example(z, y, sample_weight=s), case.build(reduction="sum")(z, y, sample_weight=s)


def reductions(case: Case) -> str:
    z, y, s, each, total = _weighed_sum(case)
    assert torch.equal(case.build(reduction="none")(z, y, sample_weight=s), each)
    same(total, each.sum())
    mean, behind = case.build().with_losses(z, y, sample_weight=s)
    same(mean, case.build()(z, y, sample_weight=s))
    assert torch.equal(behind, each)
    return YES


def normalizers(case: Case) -> str:
    z, y, s, _, total = _weighed_sum(case)
    mean = case.build()
    w = torch.tensor(case.own_weight or [1.0] * C, dtype=torch.float64)
    by = {"weights": torch.where(y == -100, 0.0, w[y.clamp(min=0)] * s).sum(), "batch": len(y) - 1, 7: 7, 3.5: 3.5}
    for normalize, divisor in by.items():
        same(mean(z, y, sample_weight=s, normalize=normalize), total / divisor)
        same(case.build(normalize=normalize)(z, y, sample_weight=s), total / divisor)
    same(mean(z, y, sample_weight=s, normalize=torch.tensor(7)), total / 7)  # num_items_in_batch comes as a tensor
    same(mean(z, y, sample_weight=s), total / by[case.loss.DIVIDES_BY])
    return f'yes, "{case.loss.DIVIDES_BY}" unless told'


def sample_weights(case: Case) -> str:
    z, y = batch()
    k = torch.randint(4, (len(y),), generator=generator(6))
    loss = case.build(reduction="sum")
    same(loss(z, y, sample_weight=k), loss(z.repeat_interleave(k, 0), y.repeat_interleave(k, 0)))
    return YES


def class_weight(case: Case) -> str:
    z, y = batch()
    if case.loss is losses.ClassBalancedLoss:
        with pytest.raises(ValueError, match=r"^class_weight of a ClassBalancedLoss is its own, got 'inverse'"):
            case.build(class_weight="inverse")
        return "no: the loss is its weight; `reweight` moves it"
    plain = case.build().per_example(z, y)
    by_formula = {
        "inverse": formulas.power_weights(COUNTS, 1.0),
        "sqrt": formulas.power_weights(COUNTS, 0.5),
        "effective": formulas.effective_weights(COUNTS, 0.9999),
    }
    for word, w in by_formula.items():
        tensor = torch.tensor(w, dtype=torch.float64)
        for given in (word, tensor, w, tensor.numpy(), dict(zip(NAMES, w, strict=True))):
            weighted = case.build(class_weight=given, classes=NAMES)
            same(weighted.per_example(z, y), tensor[y] * plain)
            same(weighted(z, y, normalize="weights"), (tensor[y] * plain).sum() / tensor[y].sum())
    return YES


def reweight(case: Case) -> str:
    z, y = batch()
    word = {} if case.own_weight else {"class_weight": "inverse"}
    w = torch.tensor(case.own_weight or formulas.power_weights(COUNTS, 1.0), dtype=torch.float64)
    plain = case.build(reweight=0.0, **word).per_example(z, y)
    moving = case.build(reweight=linear(0.0, 1.0), **word)
    for p in (0.0, 0.3, torch.tensor(0.75, dtype=torch.float64), 1.0):
        same(moving.per_example(z, y, progress=p), (1 + float(p) * (w[y] - 1)) * plain)
    with pytest.raises(TypeError, match=r"^reweight is the schedule linear\(0.0, 1.0\) and needs progress"):
        moving(z, y)
    if not case.own_weight:
        assert torch.equal(plain, case.build().per_example(z, y))  # r = 0 is no weight to the bit
    return YES


def scheduled_knobs(case: Case) -> str:
    z, y = batch()
    own = inspect.signature(case.loss.__init__).parameters
    moving = [name for name, knob in knobs.declared(case.loss).items() if name in own and knob.schedulable]
    if "base" in own and case.knobs.get("base") != "focal":
        moving.remove("gamma")  # which these two bases do not read
    for name in moving:
        loss = case.build(**{name: linear(0.2, 0.8)})
        for p in (0.0, 0.25, torch.tensor(0.5, dtype=torch.float64)):
            same(loss(z, y, progress=p), case.build(**{name: 0.2 + 0.6 * float(p)})(z, y))
        for call in (loss, loss.per_example):
            with pytest.raises(TypeError, match=rf"^{name} is the schedule linear\(0.2, 0.8\) and needs progress"):
                call(z, y)
    return ", ".join(f"`{name}`" for name in moving) or "no: none of its knobs is a number that could move"


def without_counts(case: Case) -> str:
    z, y = batch()
    try:
        loss = case.loss(**case.knobs)
    except ValueError:
        with pytest.raises(
            ValueError, match=rf"^{case.loss.__name__} needs class_counts, got None; pass longtail\.class"
        ):
            case.loss(**case.knobs)
        return "no: reads n"
    assert torch.equal(loss(z, y), case.build()(z, y))
    return "yes, n is for named weights"


def new_counts(case: Case) -> str:
    (z, y), loss = batch(), case.build()
    loss.set_class_counts(OTHER)
    assert torch.equal(loss(z, y), case.of(OTHER).build()(z, y))
    with pytest.raises(ValueError, match=r"^class_counts must keep 5 classes, got 3; build a new loss"):
        loss.set_class_counts([1, 2, 3])
    return YES


def zero_count(case: Case) -> str:
    z, y = batch(dtype=torch.float64)
    z.requires_grad_()
    case = case.of(EMPTY)
    if without_counts(case).startswith("yes"):
        assert torch.equal(case.build()(z, y), case.loss(**case.knobs)(z, y))
        return "no: n is not read"
    with pytest.raises(ValueError, match=r"^class_counts must be > 0 for every class, got 0 for class 2; drop"):
        case.build()
    with pytest.raises(ValueError, match='zero_count must be "error", "mask" or a number > 0, got 0'):
        case.build(zero_count=0)
    assert torch.equal(case.build(zero_count=3.0)(z, y), case.of([500, 120, 3, 7, 2]).build()(z, y))
    masked = case.build(zero_count="mask")
    for targets in (y, soft()):
        (grad,) = torch.autograd.grad(masked(z, targets), z)
        assert torch.isfinite(grad).all()
    assert torch.isfinite(case.build(zero_count="mask", label_smoothing=0.1)(z, y))
    return _what_a_mask_does(masked, z, y)


def _what_a_mask_does(masked: losses.Loss, z: Tensor, y: Tensor) -> str:
    there = y != 2
    (grad,) = torch.autograd.grad(masked(z, y), z)
    if not masked.kept(y).all():
        assert torch.equal(masked.kept(y), there)
        assert (grad[:, 2] == 0).all()
        same(masked(z, y), masked(z[there], y[there]))
        all_masked = masked(z, torch.full_like(y, 2))
        assert all_masked.item() == 0
        assert all_masked.requires_grad
        return "stands outside"
    if (masked.per_example(z, y)[~there] == 0).all():
        same(masked(z, y, normalize="weights"), masked(z[there], y[there], normalize="weights"))
        return "weighs 0"
    margins = getattr(masked, "relative_margins", None)
    margins = masked.class_margins if margins is None else margins
    assert margins[2] == 0
    assert margins.argmax() == 4
    return "no margin"


def scores(case: Case) -> str:
    (z, _), loss = batch(), case.build()
    scale = getattr(loss, "scale", None)
    assert torch.equal(loss.scores(z), z if scale is None else scale * z)
    return "z" if scale is None else "s z"


def probabilities(case: Case) -> str:
    (z, _), loss = batch(), case.build()
    assert loss.probabilities(z.half()).dtype == torch.float32
    if loss.link == "sigmoid":
        same(loss.probabilities(z), torch.sigmoid(z))
        return "sigmoid"
    same(loss.probabilities(z), torch.softmax(loss.scores(z), 1))
    return "softmax"


def features(case: Case) -> str:
    (z, y), loss = batch(), case.build()
    assert loss.needs == frozenset()
    assert torch.equal(loss(z, y, features=torch.full((len(z), 3), torch.nan)), loss(z, y))
    return "no: taken and not read"


def narrow_logits(case: Case) -> str:
    """Half precision and autocast are computed in float32, and finite for |z| <= 1e4."""
    loss = case.build()
    z, y = batch(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss(z, y), loss(z.float(), y))
    z = torch.cartesian_prod(*[LIMITS] * 3)
    z = torch.cat([z, z[:, :2].flip(0)], 1)
    y = torch.arange(len(z)) % C
    mixed = onehot(y).float() * 0.7 + 0.3 * onehot(y.flip(0)).float()
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for targets, smoothing in ((y, 0.0), (mixed, 0.0), (y, 0.1)):
            x = z.to(dtype, copy=True).requires_grad_()
            each = case.build(label_smoothing=smoothing).per_example(x, targets)
            assert each.dtype == torch.float32
            assert torch.isfinite(each).all()
            assert (each >= 0).all()
            each.mean().backward()
            assert torch.isfinite(x.grad).all()
    return YES


def gradients(case: Case) -> str:
    """The gradient is that of the value, away from kinks; where a margin is held, that of the value with it held."""
    z, y = batch(6)
    z = (z * (0.2 if "scale" in repr(case.build()) else 1.0)).requires_grad_()  # larger, there is nothing to difference
    for targets, smoothing in ((y, 0.0), (soft(6), 0.0), (y, 0.1)):
        loss = case.build(label_smoothing=smoothing)
        if not case.holds_margin:
            assert torch.autograd.gradcheck(lambda x, loss=loss, t=targets: loss.per_example(x, t), (z,))
            continue
        t = functional.smoothed(targets, C, 0.1, torch.float64) if smoothing else targets
        knobs_ = {"delta_minus": loss.delta_minus, "beta": loss.beta}
        less = loss.constant("class_margins", z) if loss.ldam else None
        held = functional.maximum_margins(z, t, **knobs_, less=less)
        assert not held.requires_grad

        def by_hand(x: Tensor, t: Tensor = t, held: Tensor = held, s: float = loss.scale) -> Tensor:
            return functional.example_margin(x, t, held, s)

        assert torch.autograd.gradcheck(by_hand, (z,))
        ours, theirs = (torch.autograd.grad(v.sum(), z)[0] for v in (loss.per_example(z, targets), by_hand(z)))
        same(ours, theirs)
    s = weights(6).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: case.build()(z.detach(), y, sample_weight=w), (s,))
    return "margin held" if case.holds_margin else YES


def vmap_and_grad(case: Case) -> str:
    (z, y), loss = batch(), case.build(reduction="sum")
    one = torch.func.vmap(torch.func.grad(lambda row, k: loss(row[None], k[None])))(z, y)
    (together,) = torch.autograd.grad(loss(z.requires_grad_(), y), z)
    same(one, together)
    soft_one = torch.func.vmap(torch.func.grad(lambda row, q: loss(row[None], q[None])))(z.detach(), soft())
    same(soft_one, torch.autograd.grad(loss(z, soft()), z)[0])
    every_class = torch.func.vmap(lambda k: loss(z[:1].detach(), k[None]))(torch.arange(C))
    assert every_class.shape == (C,)
    return YES


def compiles(case: Case) -> str:
    """One graph for both kinds of targets, no breaks, the same values and gradients."""
    (z, y), q, loss = batch(dtype=torch.float32), soft().float(), case.build()
    z.requires_grad_()

    def both(x: Tensor) -> Tensor:
        return torch.stack([loss(x, y), loss(x, q)])

    torch._dynamo.reset()
    ours, theirs = both(z), torch.compile(both, fullgraph=True, backend="aot_eager")(z)
    same(ours, theirs, rtol=1.3e-6, atol=1e-5)
    same(*(torch.autograd.grad(v.sum(), z)[0] for v in (ours, theirs)), rtol=1.3e-6, atol=1e-5)
    return YES


def copies(case: Case) -> str:
    """deepcopy, pickle and state_dict; alone, inside a model, by assignment."""
    (z, y), loss = batch(), case.build()
    before = loss(z, y)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(twin(z, y), before)
        assert repr(twin) == repr(loss)
        twin.set_class_counts(OTHER)
        assert torch.equal(loss(z, y), before)
    assert list(loss.state_dict()) == ["class_counts"]
    for assign in (False, True):
        model = nn.ModuleDict({"loss": case.of(OTHER).build()})
        model.load_state_dict(nn.ModuleDict({"loss": loss}).state_dict(), assign=assign)
        assert torch.equal(model["loss"](z, y), before)
        assert torch.equal(model["loss"](z.float(), y), loss(z.float(), y))
    return YES


def permutation(case: Case) -> str:
    """Renaming the classes changes nothing."""
    z, y = batch()
    order = torch.randperm(C, generator=generator(5))
    renamed = case.renamed(order.tolist()).build()
    same(renamed(z[:, order], order.argsort()[y]), case.build()(z, y))
    return YES


Check = Callable[[Case], str]
TABLES: dict[str, dict[str, Check]] = {
    "Targets": {
        "probabilities": probability_targets,
        "any integer dtype": integer_targets,
        "dense (N, C, d1..dk)": dense_targets,
        "`ignore_index`": ignored_targets,
        "`label_smoothing`": label_smoothing,
        "classes renamed": permutation,
    },
    "Weights and sums": {
        "`class_weight`": class_weight,
        "`reweight` scheduled": reweight,
        "`sample_weight`": sample_weights,
        "`reduction`, `per_example`": reductions,
        "`normalize`": normalizers,
        "nothing counts: 0": nothing_counts,
    },
    "Counts, knobs and scores": {
        "without counts": without_counts,
        "`set_class_counts`": new_counts,
        '`zero_count="mask"`': zero_count,
        "knobs that move": scheduled_knobs,
        "`scores`": scores,
        "`probabilities`": probabilities,
        "`features`": features,
    },
    "Where it runs": {
        "half precision, autocast, logits of 1e4": narrow_logits,
        "gradcheck": gradients,
        "`torch.func`": vmap_and_grad,
        "`torch.compile(fullgraph=True)`": compiles,
        "`deepcopy`, `pickle`, `state_dict`": copies,
    },
}
FEATURES = {feature: check for table in TABLES.values() for feature, check in table.items()}


@cache
def answer(name: str, feature: str) -> str:
    """What the check of `feature` finds for the loss `name`."""
    return FEATURES[feature](CASES[name])


def support_tables() -> str:
    """The tables loss x feature, made by running every check."""
    return "\n\n".join(f"## {title}\n\n{_table(list(features))}" for title, features in TABLES.items())


def _table(features: list[str]) -> str:
    notes: list[str] = []
    lines = ["| loss | " + " | ".join(features) + " |", "|---" * (len(features) + 1) + "|"]
    for row in ROWS:
        cells = [_cell(cell(row, feature), notes) for feature in features]
        lines.append(f"| `{row}` | " + " | ".join(cells) + " |")
    return "\n".join(lines + [""] * bool(notes) + [f"({i}) {note}  " for i, note in enumerate(notes, 1)]).rstrip()


def cell(row: str, feature: str) -> str:
    """The one answer of all losses of a row."""
    (only,) = {answer(name, feature) for name in ROWS[row]}
    return only


def _cell(text: str, notes: list[str]) -> str:
    head, _, why = text.partition(": ")
    if not why:
        return text
    if why not in notes:
        notes.append(why)
    return f"{head} ({notes.index(why) + 1})"
