"""Quantisation of weights to integers of 8 and 4 bits: the choice of a grid for each weight, and the graph rewrite."""
