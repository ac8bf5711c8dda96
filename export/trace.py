"""Traces a component to an ONNX graph without weights, from its config.

The module is built and traced on fake tensors. The trace is always in float32: a pass over the finished graph sets the
bundle's precision (`export.passes.lower_precision`).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from turbo_webnn.export.forwards import Forward
from turbo_webnn.export.translations import TRANSLATIONS
from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.modules import build
from turbo_webnn.models.printable import printable

OPSET = 20
"""The first opset with Gelu. onnxruntime-web's WebNN provider supports it."""

_TORCH_TYPES = {"float": torch.float32, "int": torch.int32}


def trace(component: Component, config: Mapping[str, Any], size: Size) -> ir.Model:
    """Trace the component's graph for `size`. Initializers have the module's parameter names and no values.

    Raises:
        RequestError: if the config builds no module, or a module that does not run.
    """
    with _quiet(), FakeTensorMode(), torch.no_grad():
        forward = Forward(component, build(component, config), size)
        inputs = tuple(
            torch.empty(spec.shape(size, config), dtype=_TORCH_TYPES[spec.kind]) for spec in component.inputs
        )
        try:
            program = torch.export.export(forward, inputs, strict=False)
        except (*LIBRARY_ERRORS, AssertionError) as error:  # for example blocks whose widths do not fit each other
            wrong = f"the config of {component.name} makes a module that does not run ({printable(str(error))})"
            raise RequestError(wrong, "give the config that its weights were saved with") from error
        exported = torch.onnx.export(
            program,
            dynamo=True,
            optimize=False,
            verbose=False,
            opset_version=OPSET,
            input_names=[spec.name for spec in component.inputs],
            output_names=[spec.name for spec in component.outputs],
            custom_translation_table=TRANSLATIONS,
        )
    assert exported is not None
    model: ir.Model = exported.model
    for value in list(model.graph.initializers.values()):
        value.const_value = None
        value.name = str(value.name).removeprefix("module.")
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's hints (torchvision is absent, a tree spec is deprecated): users cannot act on them."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
