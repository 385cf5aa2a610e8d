"""What a training step costs an image, by network and size: milliseconds of one core's time, in batches of 16.

python -m benchmarks.image_steps --out benchmarks/results/classical/image-steps.json
"""

from __future__ import annotations

import time

import torch

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.models import build

BATCH, STEPS, CLASSES = 16, 3, 10
CASES = [(name, size) for size in (32, 96, 224) for name in ("convnet", "resnet18")]


def milliseconds(name: str, size: int) -> float:
    """Return the time of a step by the images in it, the least of a few."""
    torch.manual_seed(0)
    network = build(name, input_shape=(3, size, size), num_classes=CLASSES).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(BATCH, 3, size, size), torch.randint(CLASSES, (BATCH,))
    taken = []
    for _ in range(STEPS + 1):
        begun = time.process_time()
        optimiser.zero_grad()
        torch.autograd.backward(torch.nn.functional.cross_entropy(network(x).logits, y))
        optimiser.step()
        taken.append(time.process_time() - begun)
    return round(1000 * min(taken[1:]) / BATCH, 1)


def main() -> None:
    parser = argument_parser(__doc__, "classical/image-steps.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {f"{name}, {size} x {size}": milliseconds(name, size) for name, size in CASES}
    print(found)
    save(given.out, {"machine": facts(), "batch": BATCH, "milliseconds": found})


if __name__ == "__main__":
    main()
