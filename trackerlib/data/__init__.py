"""Sequences and data sets."""
