"""Other kinds of step over any base: the loss stays that of the base."""
