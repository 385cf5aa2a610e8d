"""Kinds of optimiser steps: the plain one, sharpness-aware ones, RECOVER; and any of them in a loop of your own."""

from longtail.updates.closure_step import ClosureStep
from longtail.updates.descend import Descend, StatelessUpdate
from longtail.updates.passes import ByClass, ByRow
from longtail.updates.perturbation import Perturbation
from longtail.updates.recover import RECOVER
from longtail.updates.sam import SAM, ImbSAM

__all__ = [
    "RECOVER",
    "SAM",
    "ByClass",
    "ByRow",
    "ClosureStep",
    "Descend",
    "ImbSAM",
    "Perturbation",
    "StatelessUpdate",
]
