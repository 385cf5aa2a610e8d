"""Views of a batch: augmentation on the device of the inputs, every random number from a given CPU generator."""

from longtail.data.views.contrastive import Contrast
from longtail.data.views.crop_flip import CropFlip

__all__ = ["Contrast", "CropFlip"]
