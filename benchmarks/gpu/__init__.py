"""Everything that is measured on a GPU, as one script for whatever card is at hand: `python -m benchmarks.gpu`."""
