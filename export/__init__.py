"""The export of a checkpoint to a bundle: trace, passes, weights, writer."""
