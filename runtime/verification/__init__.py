"""Verification of a bundle against PyTorch: the comparisons, their figures and the report."""
