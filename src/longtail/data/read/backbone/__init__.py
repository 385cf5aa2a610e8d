"""Images through a pretrained network in a local folder: its own preprocessing, one vector of features an image."""

from longtail.data.read.backbone.embedding import Embedded, embed
from longtail.data.read.backbone.encoder import Encoder
from longtail.data.read.backbone.folder import Backbone, backbone

__all__ = ["Backbone", "Embedded", "Encoder", "backbone", "embed"]
