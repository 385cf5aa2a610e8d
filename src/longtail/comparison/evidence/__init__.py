"""The statistics of a comparison: paired differences, simultaneous confidence intervals, the verdict."""
