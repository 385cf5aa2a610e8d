"""scikit-learn estimators of our own: for anyone's pipelines, and the catalogue's classical methods."""

from __future__ import annotations

from longtail.classical.balanced_votes import BalancedVotes
from longtail.classical.folds import DealtFolds
from longtail.classical.kernel_root import KernelRoot
from longtail.classical.local_decomposition import LocalDecomposition
from longtail.classical.plugin import PlugInClassifier
from longtail.classical.self_paced import SelfPacedEnsemble
from longtail.classical.smote import SmallClassSMOTE

__all__ = [
    "BalancedVotes",
    "DealtFolds",
    "KernelRoot",
    "LocalDecomposition",
    "PlugInClassifier",
    "SelfPacedEnsemble",
    "SmallClassSMOTE",
]
