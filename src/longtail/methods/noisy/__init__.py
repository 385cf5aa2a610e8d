"""Methods for wrong labels: robust losses, selection and correction of labels, and what does both under a long tail."""
