"""Views of a batch: augmentation on the device of the inputs, every random number from a given CPU generator."""

from longtail.data.views.contrastive import Contrast
from longtail.data.views.crop_flip import CropFlip
from longtail.data.views.cutout import Cutout
from longtail.data.views.masking import Masking
from longtail.data.views.mixing import Mixing
from longtail.data.views.noise import Noise
from longtail.data.views.pixels import InTurn, InUint8
from longtail.data.views.rand_augment import RandAugment
from longtail.data.views.types import Augmentation

__all__ = [
    "Augmentation",
    "Contrast",
    "CropFlip",
    "Cutout",
    "InTurn",
    "InUint8",
    "Masking",
    "Mixing",
    "Noise",
    "RandAugment",
]
