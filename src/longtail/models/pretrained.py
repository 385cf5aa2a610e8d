"""The body of an encoder that was trained before, from which the networks of another training start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from longtail.facts.messages import visible

PARTS = ("standardize", "body")
NOT_OF_THE_BODY = frozenset({"name", "input_shape", "num_classes", "head", "head_args", "precision"})
OF_A_METHOD = frozenset({"branches", "late", "narrow"})
"""Arguments of a body that a method of experts has set, not the recipe."""


@dataclass(frozen=True)
class PretrainedBody:
    """Standardisation and body of a trained network.

    Args:
        folder: where it was read, for messages.
        method: what trained it, for messages.
        builder: how its network was built, as in meta.json.
        state: name -> tensor, of the modules `PARTS`.
        preparation: what the preparation of a table's columns is known by; None for other data.
    """

    folder: str
    method: str
    builder: Mapping[str, Any]
    state: Mapping[str, Tensor] = field(compare=False, repr=False)
    preparation: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @cached_property
    def weights(self) -> str:
        """SHA-256 of all values, with their names: what a training that starts from it is identified by."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state.items()):
            array = tensor.detach().cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    @property
    def words(self) -> str:
        """What it is, for messages."""
        return f"the encoder of {visible(self.method)} in {visible(self.folder)}"

    def structure(self) -> dict[str, Any]:
        """Return the fields of a recipe, `model` and `model_args`, that make a network with this body."""
        left_out = NOT_OF_THE_BODY | OF_A_METHOD
        arguments = {name: value for name, value in self.builder.items() if name not in left_out}
        return {"model": self.builder["name"], "model_args": arguments}

    def check_inputs(self, shape: Sequence[int]) -> None:
        """Raise ValueError where it takes inputs of another shape than these."""
        taken = tuple(self.builder["input_shape"])
        if taken != tuple(shape):
            raise ValueError(
                f"pretrained (--pretrained) must take the inputs of the data, of shape {tuple(shape)}, got "
                f"{self.words}, which takes {taken}; give the data that shape (images: --size), or train an encoder "
                "on such data"
            )

    def refuses(self, network: nn.Module) -> str | None:
        """Return why a network cannot start from it; None where it can.

        Args:
            network: with the modules `PARTS`; shapes are enough.
        """
        wanted = {name: tuple(t.shape) for name, t in _parts(network).items()}
        given = {name: tuple(t.shape) for name, t in self.state.items()}
        if wanted == given:
            return None
        mine, theirs = getattr(network, "builder", {}).get("name"), self.builder["name"]
        if mine != theirs:
            return f"has another network than {self.words} ({mine} in place of {theirs}), and cannot start from it"
        name = next(name for name in sorted({*wanted, *given}) if wanted.get(name) != given.get(name))
        return (
            f"has another network than {self.words} ({name}: {wanted.get(name, 'none')} in place of "
            f"{given.get(name, 'none')}), and cannot start from it"
        )

    def copy_into(self, network: nn.Module) -> None:
        """Copy the body and its standardisation into a network that fits; its head stays as it is."""
        for part in PARTS:
            prefix = f"{part}."
            state = {k.removeprefix(prefix): v for k, v in self.state.items() if k.startswith(prefix)}
            network.get_submodule(part).load_state_dict(state)


def _parts(network: nn.Module) -> dict[str, Tensor]:
    return {k: v for k, v in network.state_dict().items() if k.split(".")[0] in PARTS}
