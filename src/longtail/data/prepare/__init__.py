"""From raw rows to the inputs of a network: fitted on training rows, saved with the model."""
