"""Tensors and the arithmetic between components: on the host, or in slots on the device of the graphs."""
