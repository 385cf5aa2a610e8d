"""What the runs of a comparison show: paired differences, intervals that hold for all methods, the verdict."""
