"""The 20 superclasses of CIFAR-100, five classes each (Krizhevsky 2009)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CIFAR100 = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}


def superclasses(classes: Sequence[str]) -> Tensor:
    """Return (C,) int64, the superclass of each class.

    Raises:
        ValueError: a class that CIFAR-100 does not have.
    """
    known = {name: k for k, names in enumerate(CIFAR100.values()) for name in names.split()}
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise ValueError(
            f'ambiguity "superclass:..." (--ambiguity) needs the classes of cifar100, got {unknown[0]!r}; '
            'take "pair:0.3" or 0.3'
        )
    return torch.tensor([known[name] for name in classes])
