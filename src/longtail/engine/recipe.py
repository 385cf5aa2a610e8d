"""The recipe: network, optimiser, learning rate and length of a training. One for all methods of a comparison."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import nn

from longtail import models
from longtail.data import Part
from longtail.engine.networks import build, sketch
from longtail.engine.precision import PRECISIONS
from longtail.facts.checks import two_shares
from longtail.facts.knobs import Range
from longtail.facts.messages import quoted
from longtail.facts.schedules import cosine, steps, warmup
from longtail.learners.probe_protocols import OURS, check_protocol, shown_probes
from longtail.learners.probes import DEFAULT_PROBE, Probe, verdict_probe
from longtail.models.compiled import compile_body
from longtail.models.own import OWN
from longtail.models.pretrained import PretrainedBody
from longtail.optim import LARS

DROPS = (0.8, 0.9)
"""Shares of the epochs after which the learning rate drops, by default: epochs 160 and 180 of 200."""
LATER: dict[str, Any] = {"drops": DROPS}
CHECKED = 2  # rows that a network of the user's is checked on
SGD = ("sgd", "sgd-nesterov")
USUAL, STRONG = "usual", "strong"
"""Augmentation: what supervised training does to rows of this kind, or the view "strong" (`data.views.policies`)."""
MOST_EPOCHS = 1_000_000
"""Upper limit of epochs; a larger number is taken for a typing error."""

RANGES = {
    "epochs": Range(1, integer=True),
    "batch_size": Range(2, integer=True),
    "lr": Range(0, open_low=True, open_high=True),
    "drop": Range(0, 1),
    "momentum": Range(0, 1, open_high=True),
    "weight_decay": Range(0, open_high=True),
    "warmup": Range(0, integer=True),
    "steps": Range(1, integer=True),
}


@dataclass(frozen=True)
class Recipe:
    """Network, optimiser and length of a training.

    Args:
        epochs: E, passes over the training part.
        batch_size: examples a step; the last partial batch is used.
        optimizer: "sgd", "sgd-nesterov", "lars" (all with `momentum`) or "adamw".
        lr: base learning rate.
        weight_decay: on all parameters, batch norm and bias included, as in the LDAM recipe.
        decay: "steps" (x `drop` at the first share of `drops`, x `drop`^2 at the second) or "cosine" (to 0).
        drops: the two shares of the epochs, ascending; (0.8, 0.9) is usual.
        drop: 0.01 is the LDAM recipe's (two drops of 100x, as in its code; the paper does not say).
        warmup: epochs of linear warm-up; None means max(2, round(5 E / 200)).
        warmup_from: "first": (e + 1) / epochs; "zero": e / epochs, for a learning rate that changes per step.
        lr_per: "epoch" or "step".
        model: name of a network, or "auto": chosen by the shape of the inputs.
        model_args: further arguments of that network.
        standardize: (mean, std) per channel of inputs in [0, 1]; None fits them on the training rows.
        precision: "float32", "bfloat16" or "float16" (the network's body under autocast, gradients in float16 scaled
            by themselves), or "auto" (see `engine.precision`).
        compile: whether the network's body is compiled (`torch.compile`): other last bits, and time to compile at
            the start. On the CPU it made a bfloat16 ResNet-32 slower (docs/performance.md).
        capture: whether steps on a GPU are recorded as CUDA graphs (`engine.capture`); False is for debugging.
        deterministic: on a GPU, the same bytes from the same command (`engine.determinism`), which costs time; on a
            CPU they are the same anyway.
        steps: optimiser steps of an epoch, for every method alike; None means a pass over the rows that it trains on.
        augmentation: of training rows: "usual", or "strong": RandAugment and cutout after crop and flip for images,
            masked columns for tables, noise for features.
        probe: the classifier on frozen features by which self-supervised methods are compared, as
            `learners.probes.probe` names it.
        protocol: whose probes a table shows, one of `learners.probe_protocols.PROTOCOLS`.
        pretrained: standardisation and body that every network starts from; None for new ones.
        kind: "common": this recipe for every method; "own": with each method's paper's changes to it.
        own: a network of the user's in place of `model`; `with_network` sets it.
    """

    epochs: int = 200
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 2e-4
    decay: str = "steps"
    drop: float = 0.01
    warmup: int | None = None
    warmup_from: str = "first"
    lr_per: str = "epoch"
    model: str = "auto"
    model_args: dict[str, Any] = field(default_factory=dict)
    standardize: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    precision: str = "float32"
    compile: bool = False
    capture: bool = True
    deterministic: bool = False
    steps: int | None = None
    augmentation: str = USUAL
    probe: str = DEFAULT_PROBE
    protocol: str = OURS
    kind: str = "common"
    own: models.OwnNetwork | None = None
    pretrained: PretrainedBody | None = None
    drops: tuple[float, float] = DROPS

    def __post_init__(self) -> None:
        """Check every value before anything is loaded."""
        for name, choices in (
            ("optimizer", (*SGD, "lars", "adamw")),
            ("decay", ("steps", "cosine")),
            ("warmup_from", ("first", "zero")),
            ("lr_per", ("epoch", "step")),
            ("precision", PRECISIONS),
            ("kind", ("common", "own")),
            ("augmentation", (USUAL, STRONG)),
            ("model", ("auto", *models.BUILDERS)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}; choose one of these"
                )
        object.__setattr__(self, "probe", verdict_probe(self.probe).name)
        check_protocol(self.protocol)
        for name, rule in RANGES.items():
            if not (name in ("warmup", "steps") and getattr(self, name) is None):
                rule.check(name, getattr(self, name))
        object.__setattr__(self, "drops", two_shares("drops", self.drops, DROPS))
        if self.epochs > MOST_EPOCHS:
            raise ValueError(f"epochs must be at most {MOST_EPOCHS:,}, got {quoted(self.epochs)}; 200 is usual")
        for name in ("compile", "capture", "deterministic"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The probes of a table of self-supervised methods."""
        return shown_probes(self.probe, self.protocol)

    def learning_rate(self, progress: float) -> float:
        """Return lr x warm-up x decay at this progress."""
        length = max(2, round(5 * self.epochs / 200)) if self.warmup is None else self.warmup
        decay = steps(self.drops, (1.0, self.drop, self.drop**2)) if self.decay == "steps" else cosine(1.0, 0.0)
        if self.warmup_from == "zero" and length > 0:
            ramp = min(1.0, progress * self.epochs / length)
        else:
            ramp = warmup(length, self.epochs)(progress)
        return float(self.lr * ramp * decay(progress))

    def make_optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """Return the optimiser over parameter groups; the engine sets the learning rate."""
        usual: Any = {"lr": self.lr, "weight_decay": self.weight_decay, "foreach": True}
        if self.optimizer == "lars":
            return LARS(parameters, self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        if self.optimizer not in SGD:
            return torch.optim.AdamW(parameters, **usual)
        nesterov = self.optimizer == SGD[1] and self.momentum > 0  # without momentum they are one
        return torch.optim.SGD(parameters, momentum=self.momentum, nesterov=nesterov, **usual)

    def network(self, data: Part, head: str = "linear", like: nn.Module | None = None, **head_args: Any) -> nn.Module:
        """Return a new network for these inputs, its standardisation fitted on these training rows.

        Args:
            data: the rows.
            head: name of the head; `head_args` its further arguments.
            like: the network of an earlier stage, to copy standardisation and body from; head and added layers are new.
                Without it they are those of `pretrained`, where that is given.
        """
        builder = self.builder(data, head, **head_args)
        structure: Any = {} if like is None else like.builder
        same = builder.keys() <= structure.keys() | {"head_args"}  # else `model_args` add layers to the body
        builder |= {name: value for name, value in structure.items() if name not in ("head", "head_args")}
        network = build(builder, None if self.own is None else self.own.factory)
        standardize: Any = network.standardize
        if like is not None:
            models.copy_body(like, network, strict=same)
        elif self.pretrained is not None:
            self.pretrained.copy_into(network)
        elif self.standardize is None:
            standardize.fit(data.chunks)
        else:
            for buffer, values in zip((standardize.mean, standardize.std), self.standardize, strict=True):
                buffer.copy_(torch.tensor(values))
        if self.compile:
            # without capture by CUDA graphs of its own
            compile_body(network, "default" if self.capture else "reduce-overhead")
        return network

    def builder(self, data: Part, head: str = "linear", **head_args: Any) -> dict[str, Any]:
        """Return the network's name and arguments, as `build` takes them and meta.json stores them."""
        if self.own is not None and self.model_args:
            raise ValueError(
                f"network must be one of longtail's to take {', '.join(self.model_args)}, got {self.own.name}; "
                "leave out network="
            )
        if self.own is not None:
            network = {"name": OWN, "factory": self.own.name, "structure": self.own.structure}
        else:
            network = {"name": models.choose(data.input_shape) if self.model == "auto" else self.model}
        return {
            **network,
            "input_shape": list(data.input_shape),
            "num_classes": len(data.classes),
            "head": head,
            **({"head_args": head_args} if head_args else {}),
            **({"precision": self.precision} if self.precision in models.HALVES else {}),
            **self.model_args,
        }

    def check(self, data: Part) -> None:
        """Raise ValueError where the network cannot take these inputs, before anything is trained."""
        if self.compile and not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))):
            raise ValueError("compile needs a C++ compiler (g++ or clang++, or CXX names it), got none; leave it out")
        if self.own is None:  # `with_network` checked the user's
            self.sketch(data)

    def sketch(self, data: Part) -> nn.Module:
        """Return the network with shapes only: no memory, no random numbers."""
        return sketch(self.builder(data), None if self.own is None else self.own.factory)

    def to_json(self) -> dict[str, Any]:
        """Return the fields that belong to a training's identity: all, and of the later ones those that are set."""
        default = {"steps": None, "probe": DEFAULT_PROBE, "own": None, "capture": True, "deterministic": False}
        default |= {"augmentation": USUAL, "protocol": OURS, "pretrained": None} | LATER
        values = asdict(replace(self, own=None, pretrained=None))
        fields = {name: value for name, value in values.items() if name not in default or value != default[name]}
        start = {} if self.pretrained is None else {"pretrained": {"weights": self.pretrained.weights}}
        return {**fields, **start, **({} if self.own is None else {"network": self.own.identity()})}

    def with_network(self, factory: models.Factory, data: Part) -> Recipe:
        """Return the recipe with the user's own networks in place of `model`, checked on rows of the data.

        Raises:
            TypeError: as `OwnNetwork.of`.
            ValueError: as there, and where the recipe names a model.
        """
        if self.model != "auto" or self.model_args:
            raise ValueError(
                f'network and the recipe\'s model both name the network, got model {self.model!r}; leave it at "auto"'
            )
        own = models.OwnNetwork.of(factory, next(data.chunks(CHECKED)), len(data.classes))
        return replace(self, own=own)
