"""Measurements that are too long for a test; what they print is committed under results/."""
