"""Kinds of optimiser steps: the plain one and the sharpness-aware one."""

from longtail.updates.descend import Descend, StatelessUpdate
from longtail.updates.sam import SAM

__all__ = ["SAM", "Descend", "StatelessUpdate"]
