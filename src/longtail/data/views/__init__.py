"""Views of a batch: augmentation on the device of the inputs, every random number from a given CPU generator."""

from longtail.data.views.crop_flip import CropFlip

__all__ = ["CropFlip"]
