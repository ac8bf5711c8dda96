"""Running a bundle: onnxruntime sessions, pipelines, and their comparison with PyTorch."""
