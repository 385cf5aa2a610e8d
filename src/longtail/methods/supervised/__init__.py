"""One label a row: plain training, re-weighting, re-sampling, deferral, logit adjustment."""
