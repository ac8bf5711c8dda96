"""Running a bundle: onnxruntime sessions, pipelines, and their comparison with PyTorch.

>>> from runtime import Pipeline
>>> Pipeline.open("bundle").draw("a lighthouse at dusk", steps=4, seed=7).save("lighthouse.png")
"""

from runtime.images import open_image
from runtime.pipeline import Pipeline, Result
from runtime.report import ParityReport
from runtime.settings import Settings
from runtime.verify import verify

__all__ = ["ParityReport", "Pipeline", "Result", "Settings", "open_image", "verify"]
