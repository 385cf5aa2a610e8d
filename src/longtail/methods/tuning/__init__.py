"""Search for knobs: spaces, searches, and methods that choose their own on validation rows."""
