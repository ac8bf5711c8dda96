"""Small graphs as ONNX text: made, looked at, run."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnxruntime as ort

HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'


def graph(text: str) -> ir.Model:
    """The model whose graph `text` describes, every value with its inferred shape."""
    model = onnx.parser.parse_model(HEADER + text)
    return ir.from_proto(onnx.shape_inference.infer_shapes(model, data_prop=True))


def operators(model: ir.Model) -> list[str]:
    """The operators in the order of the graph."""
    return [node.op_type for node in model.graph]


def place(model: ir.Model, *paths: str) -> None:
    """Note for each node, as the exporter does, the module of the component that it comes from."""
    for node, path in zip(model.graph, paths, strict=True):
        node.metadata_props["pkg.torch.onnx.name_scopes"] = str(["", "module", f"module.{path}", "the_operator_itself"])


def run(model: ir.Model, **inputs: Any) -> list[np.ndarray]:
    """What onnxruntime computes, with its own optimiser off."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, inputs)  # type: ignore[no-any-return]


def constant(model: ir.Model, name: str, numbers: np.ndarray) -> None:
    """Give the graph an initializer; a graph input of that name becomes it."""
    tensor = ir.tensor(numbers, name=name)
    for value in list(model.graph.inputs):
        if value.name == name:
            model.graph.inputs.remove(value)
            value.const_value = tensor
            model.graph.initializers[name] = value
            return
    raise KeyError(name)
