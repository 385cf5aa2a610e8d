"""`Recipe(compile=True)`: the same training up to rounding, and one clear line where it cannot be had."""

from __future__ import annotations

import importlib
import shutil

import pytest
import torch
from torch import nn

from longtail.data import Examples, Splits
from longtail.engine import Recipe
from longtail.models import build
from longtail.models.compiled import compile_body
from longtail.runs.train import Fit


def splits() -> Splits:
    inputs = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    part = Examples(inputs, torch.arange(40) % 2, ("a", "b"))
    return Splits("noise", part, part)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor itself, when it is loaded
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_learns_the_same() -> None:
    losses = {}
    for compiled in (False, True):
        recipe = Recipe(epochs=2, batch_size=20, model="convnet", compile=compiled)
        losses[compiled] = [record["loss"] for record in Fit("ce", splits(), recipe=recipe)]
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch, of its own looking
@pytest.mark.parametrize("name", ["resnet32", "densenet"])
def test_every_layer_of_a_deep_network_is_compiled_for_every_shape(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = importlib.import_module("torch._dynamo")
    compiler.reset()
    in_place = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: in_place(self, backend="eager", dynamic=False))
    arguments = {"resnet32": {"widths": (2, 4, 8), "blocks": 2}, "densenet": {"depth": 22, "growth": 2}}[name]
    network = build(name, input_shape=(3, 8, 8), num_classes=2, **arguments)
    limits = {limit: getattr(compiler.config, limit) for limit in ("recompile_limit", "accumulated_recompile_limit")}
    with compiler.config.patch(**limits, fail_on_recompile_limit_hit=True):
        compile_body(network, "default")
        for rows in (4, 3):
            network.train()(torch.rand(rows, 3, 8, 8)).logits.sum().backward()
            with torch.no_grad():
                network.eval()(torch.rand(rows + 4, 3, 8, 8))


def test_without_a_compiler_it_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="compile needs a C\\+\\+ compiler"):
        Recipe(model="convnet", compile=True).check(splits().train)


def test_compile_is_yes_or_no() -> None:
    with pytest.raises(TypeError, match="compile must be True or False, got 'yes'"):
        Recipe(compile="yes")  # type: ignore[arg-type]
