"""Partial labels: each row has a set of candidates, one of which is true."""
