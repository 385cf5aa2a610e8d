"""A backbone, loaded: images -> features. From its folder alone, without the network and without code of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.read.backbone import pooling
from longtail.data.read.backbone.folder import CONFIG, NEEDS, Backbone
from longtail.data.read.optional_packages import optional
from longtail.facts import json_documents
from longtail.facts.messages import quoted, visible

log = logging.getLogger(__name__)

Inputs = dict[str, Tensor]
LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class Encoder:
    """Images -> (N, D) float32 on the CPU, in evaluation mode and float32 arithmetic.

    `pooling` says which output the features are, `size` is D, `processor` the class that prepares images. A model of
    images and texts gives its image embedding; any other the first that `pooling.pooled` finds.

    Args:
        folder: of the model.

    Raises:
        ValueError: a folder that transformers cannot load, that needs code of its own, whose weights are not whole, or
            whose features are random.
    """

    def __init__(self, folder: Backbone) -> None:
        self._where = f"backbone (--backbone) {quoted(str(folder.path))}"
        self._device = folder.device
        self._check_code(folder)
        with _quiet_and_offline():
            try:
                self._prepare, self._model, report = _loaded(folder)
            except Exception as error:  # transformers raises anything of a damaged folder
                raise ValueError(f"{self._where} cannot be loaded ({_reason(error)}); save it again") from None
        missing = sorted(str(name) for name in report["missing_keys"])
        self._pooler = not any(pooling.POOLER in name for name in missing)
        lacking = [name for name in missing if pooling.POOLER not in name]
        if lacking or report["mismatched_keys"]:
            wrong = lacking or sorted(str(one) for one in report["mismatched_keys"])
            raise ValueError(
                f"{self._where} lacks {len(wrong)} of its weights, such as {visible(wrong[0])[:80]}, which would be "
                "random; save the model again"
            )
        self._model.requires_grad_(False).eval().float().to(self._device)
        self.processor = type(self._prepare).__name__
        self.pooling, self.size = self._tried()

    def prepared(self, image: Any) -> Inputs:
        """Return one RGB image of Pillow, of any size, as its own preprocessing makes it: tensors (1, ...) by name.

        Raises:
            ValueError: an image that the preprocessing cannot take.
        """
        with self._refusing():
            made = self._prepare(images=[image], return_tensors="pt")
            return {name: value for name, value in made.items() if isinstance(value, Tensor)}

    @torch.no_grad()
    def __call__(self, images: Sequence[Inputs]) -> Tensor:
        """Return the features (N, D) of N images as `prepared` returns them.

        Raises:
            ValueError: features that are not finite; images that the preprocessing did not bring to one size.
        """
        features, _ = self._features(images)
        if not bool(torch.isfinite(features).all()):
            raise ValueError(f"{self._where} gives features that are not finite; check its weights")
        return features

    def _features(self, images: Sequence[Inputs]) -> tuple[Tensor, str]:
        with self._refusing():
            given = {name: torch.cat([one[name] for one in images]).to(self._device) for name in images[0]}
            if (embedding := getattr(self._model, "get_image_features", None)) is not None:
                found = embedding(pixel_values=given["pixel_values"])
                features, words = pooling.image_embedding(found), "image embedding"
            else:
                features, words = pooling.pooled(self._model, self._model(**given), pooler=self._pooler)
            return features.float().cpu().contiguous(), words

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn whatever a processor or a network raises of images that it was not made for into one line."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{self._where} cannot embed these images ({_reason(error)})") from None

    @torch.no_grad()
    def _tried(self) -> tuple[str, int]:
        """Return which output the features are and how many; refuse those that differ from one time to the next."""
        from PIL import Image

        # squares of many colours: of a plain image a network that drops patches at random sees the same each time
        squares = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3) * np.uint8(37)
        image = self.prepared(Image.fromarray(squares).resize((64, 48), Image.Resampling.NEAREST))
        (once, words), (again, _) = self._features([image]), self._features([image])
        if once.ndim != 2 or not torch.allclose(once, again, rtol=1e-5, atol=1e-7, equal_nan=True):
            raise ValueError(
                f"{self._where} gives other features of the same image the second time, as masked autoencoders do; "
                "embed yourself and pass --features"
            )
        return words, once.shape[1]

    def _check_code(self, folder: Backbone) -> None:
        """Raise ValueError where the model is none of those that transformers has itself."""
        known = optional("transformers.models.auto.configuration_auto", NEEDS).CONFIG_MAPPING
        try:
            config = json_documents.parse((folder.path / CONFIG).read_bytes())
            kind, own = config.get("model_type"), "auto_map" in config
        except (OSError, ValueError, AttributeError):
            raise ValueError(f"{self._where} has a {CONFIG} that cannot be read; save it again") from None
        if kind not in known:
            why = "needs code of its own (auto_map), which is never run" if own else "is unknown to this transformers"
            raise ValueError(f"{self._where} has model_type {quoted(kind)}, which {why}; embed yourself (--features)")


def _loaded(folder: Backbone) -> tuple[Any, Any, dict[str, Any]]:
    """Return image processor, model, and what of its weights was missing."""
    transformers = optional("transformers", NEEDS)
    path, newer = str(folder.path), int(transformers.__version__.split(".")[0]) >= 5
    # by Pillow on every machine, whether torchvision is installed or not
    by_pillow: dict[str, Any] = {"backend": "pil"} if newer else {"use_fast": False}
    processor = transformers.AutoImageProcessor.from_pretrained(path, **LOCAL, **by_pillow)
    config = transformers.AutoConfig.from_pretrained(path, **LOCAL)
    of_maps = any(str(name).endswith("Backbone") for name in getattr(config, "architectures", None) or ())
    auto = transformers.AutoBackbone if of_maps else transformers.AutoModel
    model, report = auto.from_pretrained(path, use_safetensors=True, output_loading_info=True, **LOCAL)
    return processor, model, report


@contextmanager
def _quiet_and_offline() -> Iterator[None]:
    """Keep transformers from its bars and tables, and its hub client from the network."""
    hub, words = optional("huggingface_hub", NEEDS), optional("transformers.utils.logging", NEEDS)
    before, level, bars = hub.constants.HF_HUB_OFFLINE, words.get_verbosity(), words.is_progress_bar_enabled()
    hub.constants.HF_HUB_OFFLINE = True
    words.set_verbosity_error()
    words.disable_progress_bar()
    try:
        yield
    finally:
        hub.constants.HF_HUB_OFFLINE = before
        words.set_verbosity(level)
        if bars:
            words.enable_progress_bar()


def _reason(error: Exception) -> str:
    """The first line of an error, short."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return visible(line)[:160].rstrip(" .;")
