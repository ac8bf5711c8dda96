"""Adds pictures as an input and an output to a safety checker: the pictures that it flags become black.

Left alone: what the checker computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure, require
from turbo_webnn.export.passes.editing import add_initializer, add_ints
from turbo_webnn.models.layouts.layout import Blanking


class BlankPictures(ir.passes.InPlacePass):
    """See the module. `shape` is the shape of the pictures, the batch first."""

    def __init__(self, blanking: Blanking, shape: Sequence[int]) -> None:
        super().__init__()
        self._blanking = blanking
        self._shape = tuple(shape)

    def requires(self, model: ir.Model) -> None:
        """The flag is an output, the first input has a type, and the names of the pictures are not in use."""
        outputs = [str(value.name) for value in model.graph.outputs]
        if outputs.count(self._blanking.flag) != 1:
            require(model, [f"{self._blanking.flag} is no output"])
        if model.graph.inputs[0].dtype is None:
            require(model, [f"{model.graph.inputs[0].name} has no type"])
        ends = {*outputs, *(str(value.name) for value in model.graph.inputs)}
        names = (self._blanking.pictures.name, self._blanking.blanked)
        require(model, (f"{name} is there already" for name in names if name in ends))

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Add the input, the output, and pictures · (1 − flag) between them."""
        graph, names = model.graph, self._blanking
        (flag,) = (value for value in graph.outputs if value.name == names.flag)
        dtype = graph.inputs[0].dtype
        assert dtype is not None
        pictures = ir.Value(name=names.pictures.name, type=ir.TensorType(dtype), shape=ir.Shape(self._shape))
        one = add_initializer(graph, "one", ir.tensor(np.array(1, dtype.numpy())))
        factor_shape = (self._shape[0], *[1] * (len(self._shape) - 1))
        factor_dims = add_ints(graph, f"{names.blanked}.shape", factor_shape)
        flagged = _append(graph, "Cast", [flag], dtype, self._shape[:1], to=dtype)
        unflagged = _append(graph, "Sub", [one, flagged], dtype, self._shape[:1])
        factor = _append(graph, "Reshape", [unflagged, factor_dims], dtype, factor_shape)
        blanked = _append(graph, "Mul", [pictures, factor], dtype, self._shape)
        blanked.name = names.blanked
        graph.inputs.append(pictures)
        graph.outputs.append(blanked)
        return ir.passes.PassResult(model, modified=True)

    def ensures(self, model: ir.Model) -> None:
        """Pictures are the last input and the last output, with the same type and shape."""
        pictures, blanked = model.graph.inputs[-1], model.graph.outputs[-1]
        if (pictures.name, blanked.name) != (self._blanking.pictures.name, self._blanking.blanked):
            ensure(model, [f"the last input is {pictures.name}, the last output {blanked.name}"])
        if (pictures.dtype, pictures.shape) != (blanked.dtype, blanked.shape):
            ensure(model, [f"{pictures.name} and {blanked.name} are of two types or shapes"])


def _append(
    graph: ir.Graph,
    operator: str,
    operands: Sequence[ir.Value],
    dtype: ir.DataType,
    shape: Sequence[int],
    **attributes: ir.DataType,
) -> ir.Value:
    node = ir.node(operator, operands, attributes, name=f"blanking/{operator}")
    output = node.outputs[0]
    output.name, output.dtype, output.shape = f"blanking.{operator.lower()}", dtype, ir.Shape(shape)
    graph.append(node)
    return output
