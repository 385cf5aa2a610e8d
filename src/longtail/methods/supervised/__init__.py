"""Methods for one label per row: plain training, re-weighting, re-sampling, deferral, logit adjustment."""
