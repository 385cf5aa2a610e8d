"""ABSGD and its relatives as optimisers: `optimizer.step(closure)`, the closure returns the loss vector; and LARS.

Everything else in this package weighs losses with `longtail.instance_weights`, under any optimiser.
"""

from longtail.optim.abadam import ABAdam, UncorrectedAdam
from longtail.optim.absgd import ABSGD
from longtail.optim.adaptive import ABAdaGrad, ABRMSProp
from longtail.optim.lars import LARS

__all__ = ["ABSGD", "LARS", "ABAdaGrad", "ABAdam", "ABRMSProp", "UncorrectedAdam"]
