"""Methods for labelled rows and rows without labels."""
