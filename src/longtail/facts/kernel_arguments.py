"""The kernels of kernel machines, and what their width may be."""

from longtail.facts.knobs import Range, WordOrNumber

KERNELS = ("rbf", "linear", "poly")
WIDTH = WordOrNumber(("scale", "auto"), number=Range(0, open_low=True, open_high=True))
"""gamma: "scale" is 1 / (D var(X)), "auto" 1 / D, as in scikit-learn's SVC."""
