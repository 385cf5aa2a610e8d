"""Trainings of encoders and of corrections over each other, to their last number: equal to those written by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.methods import training_by_hand as hand
from tests.wrapped_rows import WrappedRows
from torch import Tensor

from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.methods import method

N, EPOCHS = 10, 4
RECIPE = Recipe(
    epochs=EPOCHS, batch_size=4, lr=0.1, weight_decay=1e-3, warmup=0, model="mlp", model_args={"hidden": (5,)}
)
ROWS = Examples(torch.randn(N, 6, generator=torch.Generator().manual_seed(0)), torch.arange(N) % 3, ("a", "b", "c"))


class Noted(WrappedRows):
    """Rows whose batches are in float64 and are noted, beside the progress of each epoch."""

    def __init__(self, rows: Any, seen: list[Any]) -> None:
        super().__init__(rows)
        self.seen = seen

    def draws(self, progress: float, generator: torch.Generator) -> Any:
        self.seen.append(progress)
        yield from self.rows.draws(progress, generator)

    def batch_of(self, drawn: Any) -> Any:
        batch = self.rows.batch_of(drawn)
        self.seen.append({**batch, "inputs": tuple(view.double() for view in batch["inputs"])})
        return self.seen[-1]


def trained(spec: str) -> tuple[dict[str, Any], Any, Any, list[Any]]:
    """The state of an encoder before its training, its learner after that, its stage, and its batches."""
    stage = method(spec).stages(RECIPE)[0]
    before: dict[str, Any] = {}
    seen: list[Any] = []

    def build(data: TrainingSet, previous: Any) -> Any:
        built = stage.build(data, previous)
        before.update({name: value.clone() for name, value in built.learner.double().state_dict().items()})
        return built._replace(data=Noted(built.data, seen))

    training = Training([replace(stage, build=build)], TrainingSet(ROWS))
    assert len(list(training)) == EPOCHS
    return before, training.learner, stage, seen


def compared(state: dict[str, Any], learner: Any, **stored: Any) -> None:
    for name, value in learner.state_dict().items():
        last = name.rpartition(".")[2]
        if last == "num_batches_tracked":
            continue
        expected = stored.get(last, state[name])
        expected = expected.detach() if isinstance(expected, Tensor) else torch.tensor(expected, dtype=value.dtype)
        torch.testing.assert_close(value, expected.to(value.dtype), rtol=1e-7, atol=1e-7, msg=f"{name} differs")


def begun(spec: str) -> tuple[dict[str, Any], hand.Descent, Any, Any, list[Any]]:
    state, learner, stage, seen = trained(spec)
    names = [name for name, p in learner.named_parameters() if p.requires_grad]
    return state, hand.Descent(state, names, RECIPE.momentum, RECIPE.weight_decay), learner, stage, seen


def averaged(state: dict[str, Any], names: list[str], stay: float) -> None:
    for name in names:
        if name.startswith("network."):
            mean = f"average.{name.removeprefix('network.')}"
            state[mean] = stay * state[mean] + (1 - stay) * state[name].detach()


def test_moco_with_its_queue_and_its_average() -> None:
    state, descent, learner, stage, seen = begun("moco(queue=8, decay=0.7)")
    places: list[Any] = [(torch.zeros(128).double(), -1)] * 8
    following = 0
    for batch in seen:
        if isinstance(batch, float):
            lr = stage.lr(batch)
            continue
        (first, second), rows = batch["inputs"], batch["index"].tolist()
        k = hand.projected(state, learner.network, "average", second).detach()
        q = hand.projected(state, learner.network, "network", first)
        filled = [place for place in places if place[1] >= 0]
        losses = hand.against_queue(q, k, rows, filled, 0.2)
        descent.step(descent.gradient(torch.stack(losses).mean()), lr)
        averaged(state, descent.names, 0.7)
        for key, row in zip(k, rows, strict=True):
            places[following] = (key / key.norm(), row)
            following = (following + 1) % 8
    keys, owners = torch.stack([key for key, _ in places]), [row for _, row in places]
    compared(state, learner, keys=keys, rows=owners, next=following)


def test_byol_with_its_predictor_and_its_average() -> None:
    state, descent, learner, stage, seen = begun("byol(dim=8, decay=0.7)")
    for batch in seen:
        if isinstance(batch, float):
            lr = stage.lr(batch)
            continue
        z, k = (
            [hand.projected(state, learner.network, name, view) for view in batch["inputs"]]
            for name in ("network", "average")
        )
        p = [hand.passed(state, learner.host.predictor.layers, "host.predictor.layers", one) for one in z]
        losses = hand.distances(p[0], k[1].detach()) + hand.distances(p[1], k[0].detach())
        descent.step(descent.gradient(torch.stack(losses).sum() / len(z[0])), lr)
        averaged(state, descent.names, 0.7)
    compared(state, learner)


def test_bcl_over_a_pruned_branch() -> None:
    """The views are those that longtail changed (tests/data/test_further_change.py); the strengths are by hand."""
    state, descent, learner, stage, seen = begun("bcl(base='sdclr(fraction=0.5)')")
    branch, m, strength = learner.branch, {}, [0.0] * N
    to = {
        f"network.{place}.{part}": f"branch.norms.{k}.{part}"
        for k, place in enumerate(branch.places)
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    weights = [f"network.{layer}.weight" for layer in branch.layers]
    for batch in seen:
        if isinstance(batch, float):
            lr, masks = stage.lr(batch), hand.kept([state[name] for name in weights], 0.5)
            strength = hand.scores([m[i] for i in range(N)]) if m else strength
            continue
        pruned = hand.Renamed(state, to, {name: state[name] * mask for name, mask in zip(weights, masks, strict=True)})
        first = hand.projected(state, learner.network, "network", batch["inputs"][0])
        losses = hand.nt_xent(first, hand.projected(pruned, learner.network, "network", batch["inputs"][1]), 0.2)
        descent.step(descent.gradient(torch.stack(losses).mean()), lr)
        for row, loss in zip(batch["index"].tolist(), losses, strict=True):
            m[row] = 0.97 * m[row] + 0.03 * float(loss.detach()) if row in m else float(loss.detach())
    everywhere = torch.ones(N, dtype=torch.bool)
    pruning = {f"mask_{k}": mask for k, mask in enumerate(masks)}
    m_by_row = [m[i] for i in range(N)]
    compared(state, learner, losses=m_by_row, scores=strength, visited=everywhere, begun=everywhere, **pruning)


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_rwsam_over_gh_over_ts(rho: float) -> None:
    """A weighted ascent of the sum of both losses, whose temperature swings, beside the prior of the second half."""
    host = "gh(base='ts(cycles=2)', classes=5, ramp=0.5, refresh=0.25)"
    state, descent, learner, stage, seen = begun(f'rwsam(base="{host}", rho={rho}, bandwidth=0.5, refresh=0.5)')
    frame, prior = learner.auxiliary.frame, torch.full((5,), 0.2).double()
    stored: dict[int, Tensor] = {}
    a: list[float] = []

    def losses_of(batch: Any, p: float, record: bool) -> tuple[Tensor, Tensor]:
        both = hand.projected(state, learner.network, "network", torch.cat(batch["inputs"]), record)
        z1, z2 = both.chunk(2)
        own = torch.stack(hand.nt_xent(z1, z2, 0.1 + 0.9 * (1 + math.cos(4 * math.pi * p)) / 2))
        strength = 0.0 if p < 0.5 else min(1.0, 0.1 + (p - 0.5) / 0.5)
        return (own + strength * torch.stack(hand.swapped(z1, z2, frame, prior)) if strength else own), z1.detach()

    for batch in seen:
        if isinstance(batch, float):
            p = batch
            if p in (0.0, 0.5):
                x = (ROWS.inputs.double() - state["network.standardize.mean"]) / state["network.standardize.std"]
                features = hand.passed(state, learner.network.body, "network.body", x)  # it has no batch norms
                a = hand.density_weights(features.detach(), 0.5, 0.5)
            if p >= 0.5:
                counts = torch.bincount(torch.stack([stored[i] for i in range(N)]).argmax(1), minlength=5)
                prior = (counts / N).double()  # in float32 at first
            continue
        rows = batch["index"].tolist()
        losses, z1 = losses_of(batch, p, True)
        weights = torch.tensor([a[i] for i in rows], dtype=torch.float64)
        before = descent.climbed(descent.gradient((weights * losses).mean()), rho)
        gradient = descent.gradient(losses_of(batch, p, False)[0].mean())
        state.update(before)
        descent.step(gradient, stage.lr(p))
        stay = hand.EARLY if p < 0.5 else hand.LATE
        for row, q in zip(rows, hand.unit_logits(z1, frame), strict=True):
            stored[row] = stay * stored[row] + (1 - stay) * q if row in stored else q
    found = {"stored": torch.stack([stored[i] for i in range(N)]), "seen": torch.ones(N, dtype=torch.bool)}
    other = {"refreshed": 0.75, "done": 1, "h": 0.5, "weights": a}
    compared(state, learner, prior=prior, **found, **other)
