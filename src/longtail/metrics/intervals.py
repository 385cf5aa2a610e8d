"""The Wilson score interval; its code is in `facts`, where the data package can import it, too."""

from longtail.facts.intervals import wilson

__all__ = ["wilson"]
