"""Self-supervised methods: encoders trained without labels, compared by probes on their features."""
