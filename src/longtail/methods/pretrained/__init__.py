"""Methods that begin with a training without labels."""
