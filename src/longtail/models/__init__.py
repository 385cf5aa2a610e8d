"""Small networks for features and small images, and how to build them from JSON.

Every network here is a `Network`: standardisation, a body that makes features, and a linear `head`, answering
with `types.Outputs`.
"""

from __future__ import annotations

from longtail.facts.default_network import choose
from longtail.models.build import BUILDERS, RESIDUAL, body_arguments, build
from longtail.models.network import HALVES, Network, copy_body
from longtail.models.own import Factory, OwnNetwork, build_own
from longtail.models.standardize import Standardize

__all__ = [
    "BUILDERS", "HALVES", "RESIDUAL", "Factory", "Network", "OwnNetwork", "Standardize", "body_arguments", "build",
    "build_own", "choose", "copy_body",
]  # fmt: skip
