"""Weights that follow from the losses: ABSGD and its relatives."""

from longtail.methods.robust.weights import absgd, eg, small_loss, term

__all__ = ["absgd", "eg", "small_loss", "term"]
