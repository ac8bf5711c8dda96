"""Checks whether a graph runs wholly on WebNN."""
