"""Bodies: standardised inputs -> features (N, D)."""

from longtail.models.bodies.small import convnet, linear, mlp

__all__ = ["convnet", "linear", "mlp"]
