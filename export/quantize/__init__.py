"""Weights as integers of 8 and 4 bits: where they are, which grid each gets, and how the graph reads them."""
