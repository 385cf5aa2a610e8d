"""Small networks for features and small images, and how to build them from JSON.

Every network here is a `Network`: standardisation, a body that makes features, and a linear `head`, answering
with `types.Outputs`.
"""

from __future__ import annotations

from longtail.models.build import BUILDERS, RESIDUAL, build, choose
from longtail.models.network import Network
from longtail.models.standardize import Standardize

__all__ = ["BUILDERS", "RESIDUAL", "Network", "Standardize", "build", "choose"]
