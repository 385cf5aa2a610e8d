"""Margins that depend on the class."""
