"""onnxruntime: its providers, its settings, and sessions over a bundle's graphs."""
