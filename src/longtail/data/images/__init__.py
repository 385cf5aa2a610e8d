"""Images in: a folder of them or a data set of the hub, decoded by stated rules, as a pool."""

from longtail.data.images.folder import image_pool
from longtail.data.images.hub import hub_pool
from longtail.data.images.preparation import FeaturePreparation, ImagePreparation

__all__ = ["FeaturePreparation", "ImagePreparation", "hub_pool", "image_pool"]
