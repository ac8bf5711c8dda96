"""Measure latency and memory of a bundle, of PyTorch and of other exporters' graphs, each in its own process."""
