"""How a step is taken; sharpness-aware and meta-learned steps are files here."""

from longtail.updates.descend import Descend

__all__ = ["Descend"]
