"""Search for the knobs of a method and of the recipe on validation rows (decision 23)."""
