"""What a training is for: a network with everything that inference needs, saved as tensors and JSON."""

from __future__ import annotations

import copy
import json
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from longtail import posthoc as rules
from longtail.engine import packing
from longtail.engine.recipe import build
from longtail.models.fused import fold
from longtail.types import as_outputs

SCHEMA = 1
EVALUATED = 256
POSTHOC = ("LogitAdjustment", "TunedLogitAdjustment")
"""The post-hoc rules that a saved model may name; nothing else is ever built from a file."""


class Predictor(nn.Module):
    """Inputs -> scores (N, C), and scores -> adjusted scores and probabilities.

    Args:
        network: inputs -> `Outputs` or logits.
        classes: the C class names.
        class_counts: (C,) of the training part: the prior that the probabilities refer to.
        scale: what the loss multiplies the logits by (30 for margin losses on cosines).
        link: "softmax", or "sigmoid" where the loss is a sum of binary ones.
        posthoc: scores -> adjusted scores, or None.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: tuple[str, ...],
        class_counts: Tensor,
        *,
        scale: float = 1.0,
        link: str = "softmax",
        posthoc: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = classes
        self.scale = scale
        self.link = link
        self.posthoc = posthoc
        self._folded = None
        self.class_counts: Tensor
        self.register_buffer("class_counts", class_counts.clone())

    @torch.no_grad()
    def scores(self, inputs: Tensor, batch_size: int = EVALUATED) -> Tensor:
        """Scores (N, C) float32 of inputs as the data layer gives them; always in eval mode."""
        network, device = self._evaluated(), self.class_counts.device
        parts = [as_outputs(network(x.to(device))).logits.float() for x in torch.split(inputs, batch_size)]
        logits = torch.cat(parts)
        return logits if self.scale == 1.0 else logits * self.scale

    def _evaluated(self) -> nn.Module:
        """The network in eval mode with its batch norms folded away; made anew when a weight has changed."""
        self.network.eval()
        versions = tuple(t._version for t in chain(self.network.parameters(), self.network.buffers()))
        if self._folded is None or self._folded[0] != versions:
            self._folded = (versions, fold(copy.deepcopy(self.network)))
        return self._folded[1]

    @torch.no_grad()
    def adjusted(self, scores: Tensor) -> Tensor:
        """The scores that decide: after the post-hoc rule, where there is one."""
        return scores if self.posthoc is None else torch.as_tensor(self.posthoc(scores))

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """Log-probabilities (N, C) float64 whose rows sum to 1; sigmoid models are normalised over classes."""
        scores = scores.double()
        return F.log_softmax(F.logsigmoid(scores) if self.link == "sigmoid" else scores, dim=1)

    def predict(self, inputs: Tensor) -> list[str]:
        """The class names decided for."""
        chosen = self.adjusted(self.scores(inputs)).argmax(1).tolist()
        return [self.classes[j] for j in chosen]

    def save(self, folder: Path) -> None:
        """model.safetensors and meta.json; meta.json names the builders, their arguments and the classes."""
        meta = {
            "schema_version": SCHEMA,
            "network": getattr(self.network, "builder", None),
            "classes": list(self.classes),
            "scale": self.scale,
            "link": self.link,
            "posthoc": None if self.posthoc is None else type(self.posthoc).__name__,
        }
        state = {k: v.detach().cpu().contiguous().clone() for k, v in self.state_dict().items()}
        packing.write_bytes(folder / "model.safetensors", safetensors.save(state))
        packing.write_json(folder / "meta.json", meta)

    @classmethod
    def load(cls, folder: Path, network: nn.Module | None = None) -> Predictor:
        """Read back what `save` wrote.

        Args:
            folder: holds model.safetensors and meta.json.
            network: the network, where it was one of the user's own and meta.json cannot name its builder.
        """
        meta, state = _read(folder)
        if network is None and meta["network"] is None:
            raise ValueError(f"the network in {folder} is not one of longtail's; pass network= to load it")
        counts = state["class_counts"]
        predictor = cls(
            network if network is not None else build(meta["network"]),
            tuple(meta["classes"]),
            counts,
            scale=meta["scale"],
            link=meta["link"],
            posthoc=_rule(meta["posthoc"], counts),
        )
        predictor.load_state_dict(state)
        return predictor.eval()


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        meta = json.loads((folder / "meta.json").read_text())
        state = safetensors.load((folder / "model.safetensors").read_bytes())
    except FileNotFoundError as error:
        raise ValueError(f"{folder} holds no finished model ({Path(error.filename).name} is missing)") from None
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"the model in {folder} is damaged ({error}); train it again in a new folder") from None
    return meta, state


def _rule(name: str | None, counts: Tensor) -> nn.Module | None:
    if name is None:
        return None
    if name not in POSTHOC:
        raise ValueError(
            f"the model's post-hoc rule must be one of {', '.join(POSTHOC)}, got {name!r}; "
            "load it with the version that saved it"
        )
    rule: nn.Module = getattr(rules, name)(counts)
    return rule
