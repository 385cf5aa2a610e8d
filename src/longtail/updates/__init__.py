"""Kinds of optimiser steps; sharpness-aware and meta-learned ones are files here."""

from longtail.updates.descend import Descend, StatelessUpdate

__all__ = ["Descend", "StatelessUpdate"]
