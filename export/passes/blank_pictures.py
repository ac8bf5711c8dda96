"""A safety checker also takes pictures, and gives back black those in which it finds something.

Left alone: what the checker computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.passes.editing import add_initializer, ints
from turbo_webnn.models.layout import Blanking


class BlankPictures(ir.passes.InPlacePass):
    """See the module. `shape` is that of the pictures, the batch first."""

    def __init__(self, blanking: Blanking, shape: Sequence[int]) -> None:
        super().__init__()
        self._blanking = blanking
        self._shape = tuple(shape)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Add the input, the output, and pictures · (1 − flag) between them."""
        graph, names = model.graph, self._blanking
        (flag,) = (value for value in graph.outputs if value.name == names.flag)
        dtype = graph.inputs[0].dtype
        assert dtype is not None
        pictures = ir.Value(name=names.pictures.name, type=ir.TensorType(dtype), shape=ir.Shape(self._shape))
        one = add_initializer(graph, "one", ir.tensor(np.array(1, dtype.numpy())))
        each = ints(graph, f"{names.blanked}.shape", (self._shape[0], *[1] * (len(self._shape) - 1)))
        found = _append(graph, "Cast", [flag], dtype, self._shape[:1], to=dtype)
        kept = _append(graph, "Sub", [one, found], dtype, self._shape[:1])
        factor = _append(graph, "Reshape", [kept, each], dtype, (self._shape[0], *[1] * (len(self._shape) - 1)))
        blanked = _append(graph, "Mul", [pictures, factor], dtype, self._shape)
        blanked.name = names.blanked
        graph.inputs.append(pictures)
        graph.outputs.append(blanked)
        return ir.passes.PassResult(model, modified=True)


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
