"""Instance weights: per-example losses -> one weighted scalar, any loss, any optimiser.

`w(losses)` is the mean of p_i l_i with the weights p constant in the gradient; `w.weigh(losses)` returns the
weights alone, and `w.last` those of the latest call. A subclass of `InstanceWeighting` defines `weights(batch)`.
"""

from longtail.instance_weights.absgd import ABSGD
from longtail.instance_weights.eg import EG
from longtail.instance_weights.small_loss import SmallLoss
from longtail.instance_weights.term import TERM
from longtail.instance_weights.weighting import InstanceWeighting, LossBatch, Mean

__all__ = ["ABSGD", "EG", "TERM", "InstanceWeighting", "LossBatch", "Mean", "SmallLoss"]
