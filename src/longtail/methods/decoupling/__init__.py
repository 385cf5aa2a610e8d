"""Another classifier on the features of a finished training."""
