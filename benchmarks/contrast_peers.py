"""Our NT-Xent and InfoNCE beside lightly's NTXentLoss, without and with its memory bank: values, and time, in one run.

    pip install --no-deps lightly lightly-utils    # by hand, in an environment of its own

Forward and backward of projections (512, 128) in float32, and the new keys written into a queue of 4,096. lightly is no
dependency, of the tests neither. Importing it imports torchvision, which these two do not use: where that is missing,
empty modules take its place. Each variant has a process of its own; they take turns; ratios are medians over rounds of
the ratio within a round.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks.command import argument_parser, save
from benchmarks.contrast import timed_rows
from benchmarks.machine import facts
from benchmarks.turns import Stepper, Variant
from longtail.losses import InfoNCELoss, NTXentLoss

N, D, PLACES, T = 512, 128, 4096, 0.2


class Empty(MetaPathFinder, Loader):
    """Finds modules of torchvision that are empty: every name in them is a class without anything."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """A package, so that it has modules of its own."""
        ours = fullname.partition(".")[0] == "torchvision"
        return ModuleSpec(fullname, self, is_package=True) if ours else None

    def exec_module(self, module: ModuleType) -> None:
        """Give it whatever is asked for."""
        module.__getattr__ = lambda name: type(name, (), {})  # type: ignore[method-assign]


def theirs(places: int) -> Any:
    """Return lightly's loss, with a memory bank of so many places."""
    if find_spec("torchvision") is None:
        sys.meta_path.append(Empty())
    from lightly.loss.ntx_ent_loss import NTXentLoss as Lightly

    torch.manual_seed(1)
    return Lightly(T, memory_bank_size=(places, D) if places else 0)


def projections() -> tuple[Tensor, Tensor]:
    """Two views that are alike, the first with a gradient."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(N, D, generator=generator)
    return first.requires_grad_(), first.detach() + 0.5 * torch.randn(N, D, generator=generator)


def their_step(device: str, *, places: int) -> Stepper:
    loss, (first, second) = theirs(places), projections()
    if not places:
        second.requires_grad_()  # a queue holds keys without a gradient
    return partial(differentiate, lambda: loss(first, second), (first, second))


def our_step(device: str, *, places: int, rows: bool = False) -> Stepper:
    first, second = projections()
    if not places:
        plain = NTXentLoss(t=T)
        second.requires_grad_()
        return partial(differentiate, lambda: plain(first, second), (first, second))
    loss, queue, known = InfoNCELoss(t=T), torch.randn(places, D), torch.arange(places)
    index, start = torch.arange(N), 0

    def value() -> Tensor:
        nonlocal start
        found = loss(first, second, queue=queue, **({"index": index, "queue_index": known} if rows else {}))
        queue[start : start + N], known[start : start + N] = second, index
        start = (start + N) % places
        return found

    return partial(differentiate, value, (first, second))


def differentiate(value: Any, projections: tuple[Tensor, Tensor]) -> None:
    for z in projections:
        z.grad = None
    value().backward()


def differences() -> dict[str, float]:
    """Return by how much values and gradients differ, relative to theirs, from the same projections and bank."""
    found = {}
    for places in (0, PLACES):
        loss, (first, second) = theirs(places), projections()
        queue = loss.memory_bank.bank.clone()
        expected = loss(first, second)
        ours = InfoNCELoss(t=T)(first, second, queue=queue) if places else NTXentLoss(t=T)(first, second)
        name = "InfoNCELoss" if places else "NTXentLoss"
        found[f"{name}, value"] = abs(float(ours.detach() / expected.detach()) - 1)
        slopes = [torch.autograd.grad(value, first)[0] for value in (ours, expected)]
        found[f"{name}, gradient"] = float((slopes[0] - slopes[1]).norm() / slopes[1].norm())
    return found


def main() -> None:
    parser = argument_parser(__doc__, "contrast-peers.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--steps", type=int, default=1, help="of a turn")
    given = parser.parse_args()
    if find_spec("lightly") is None:
        print("lightly is not installed, nothing is measured; pip install --no-deps lightly lightly-utils")
        return
    machine = {**facts(), "lightly": version("lightly")}
    result: dict[str, Any] = {"machine": machine, "threads": given.threads, "shape": [N, D], "places": PLACES}
    result["relative_differences"] = differences()
    print(result["relative_differences"])
    for name, places in (("NT-Xent", 0), ("with a queue", PLACES)):
        print(f"{name}, ({N}, {D}), forward and backward, {given.threads} thread(s)")
        variants = {
            "lightly": Variant(partial(their_step, places=places)),
            "ours": Variant(partial(our_step, places=places)),
        }
        if places:
            variants["ours, places by row"] = Variant(partial(our_step, places=places, rows=True))
        result[name] = timed_rows(variants, "lightly", given.rounds, given.steps, given.threads)
    save(given.out, result)


if __name__ == "__main__":
    main()
