"""Latency and memory of a bundle, beside PyTorch's and other exporters' graphs, each in a process of its own."""
