"""State goes to a file and comes back as it was; a damaged file is one clear line; nothing is half written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from longtail.engine import state_files


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and left.dtype == right.dtype and left.equal(right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and (left == right or (left != left and right != right))


TREE = {
    "optimizer": {"state": {0: {"momentum": torch.randn(2, 3)}, 1: {}}, "groups": [{"params": [0, 1], "lr": 0.1}]},
    "tuple": (1, (2.5, "a"), None),
    "empty": [{}, [], ()],
    "flags": torch.tensor([True, False]),
    "number": torch.tensor(7),
    "nothing": torch.zeros(0, 4),
    "half": torch.randn(3).to(torch.bfloat16),
    "numbers": [math.inf, -math.inf, math.nan, True, False, 10**12],
    "text": 'ü\n"quoted"',
}


def test_a_nested_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state_files.save(tmp_path / "state", TREE)
    assert same(state_files.load(tmp_path / "state"), TREE)


def test_keys_that_look_alike_stay_apart(tmp_path: Path) -> None:
    tree = {"a.b": torch.tensor(1), "a": {"b": torch.tensor(2)}, 0: torch.tensor(3), "0": torch.tensor(4)}
    state_files.save(tmp_path / "state", tree)
    assert same(state_files.load(tmp_path / "state"), tree)


def test_tensors_that_share_memory_or_lie_across_it_are_saved(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    tree = {"whole": base, "again": base, "turned": base.T, "part": base[1:, ::2]}
    state_files.save(tmp_path / "state", tree)
    assert same(state_files.load(tmp_path / "state"), {k: v.contiguous() for k, v in tree.items()})


def test_anything_else_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"state at \.a\.0 must be tensors and plain values, got set"):
        state_files.pack({"a": [{1, 2}]})


@pytest.mark.parametrize("damage", ["empty", "cut", "garbled", "another kind of file", "no skeleton"])
def test_a_damaged_file_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state"
    state_files.save(path, TREE)
    whole = path.read_bytes()
    if damage == "no skeleton":
        from safetensors.torch import save

        path.write_bytes(save({"x": torch.zeros(1)}))
    else:
        path.write_bytes(
            {"empty": b"", "cut": whole[:-20], "garbled": b"\xff" * len(whole), "another kind of file": b"{}"}[damage]
        )
    with pytest.raises(ValueError, match=r"state is damaged \(.*\); delete it and run the same command again") as found:
        state_files.load(path)
    assert "\n" not in str(found.value)


def test_a_changed_header_is_noticed_where_the_bytes_of_the_tensors_are_not(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state_files.save(path, {"weight": torch.arange(6.0).reshape(2, 3)})
    whole = path.read_bytes()
    for there, other in ((b"[2,3]", b"[3,2]"), (b'"F32"', b'"I32"'), (b'"checksum"', b'"checksam"')):
        assert whole.count(there) == 1
        path.write_bytes(whole.replace(there, other))
        with pytest.raises(ValueError, match=r"is damaged \("):
            state_files.load(path)


def test_a_clone_no_longer_follows() -> None:
    tree = {"a": [torch.zeros(2)], "b": (1, {"c": torch.ones(1)})}
    clone = state_files.cloned(tree)
    tree["a"][0].add_(1)
    tree["b"][1]["c"].add_(1)  # type: ignore[index]
    assert same(clone, {"a": [torch.zeros(2)], "b": (1, {"c": torch.ones(1)})})


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), torch.optim.Adam, torch.optim.RMSprop]
)
def test_the_averages_of_an_optimiser_are_laid_out_as_its_parameters(make: Any, tmp_path: Path) -> None:
    """A fused step on a GPU refuses others."""

    def stepped(optimizer: torch.optim.Optimizer, network: torch.nn.Module) -> None:
        network(torch.linspace(0, 1, 150).reshape(2, 3, 5, 5)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)

    one, two = network(), network()
    first, second = make(one.parameters()), make(two.parameters())
    stepped(first, one)
    state_files.save(tmp_path / "state", first.state_dict())
    two.load_state_dict(one.state_dict())
    state_files.restore(second, state_files.load(tmp_path / "state"))
    averages = [v for v in second.state[two.weight].values() if isinstance(v, torch.Tensor) and v.ndim]
    assert averages
    assert all(value.stride() == two.weight.stride() and not value.requires_grad for value in averages)
    stepped(first, one)
    stepped(second, two)
    assert torch.equal(one.weight, two.weight)
