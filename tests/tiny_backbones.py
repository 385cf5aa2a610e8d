"""Tiny networks of transformers with a few thousand parameters, saved with their processors."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")


def vit_config(**changes: Any) -> Any:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return transformers.ViTConfig(**{**sizes, "image_size": 16, "patch_size": 8, **changes})


def vit(folder: Path, *, classifier: bool = False, seed: int = 0) -> Path:
    """A vision transformer with its pooler; with `classifier` as fine-tuned ones are saved, without a pooler."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = transformers.ViTForImageClassification if classifier else transformers.ViTModel
        saved(kind(vit_config()), folder)
    saved(transformers.ViTImageProcessor(size={"height": 16, "width": 16}), folder)
    return folder


def resnet(folder: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
        saved(transformers.ResNetModel(config), folder)
    saved(transformers.ConvNextImageProcessor(size={"shortest_edge": 32}), folder)
    return folder


def saved(part: Any, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part.save_pretrained(folder)
