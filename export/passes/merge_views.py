"""Merges chains of Reshape, merges chains of Transpose, and removes views that change nothing.

Unsqueeze, Squeeze, Flatten, and a Transpose that moves only axes of size 1 count as Reshape. Left alone: views of a
value whose shape is unknown. onnxscript's rules of the same name do not handle axes of size 1, and leave an Identity.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import add_ints, bypass, operand, replace, shape_of

_RESHAPES = frozenset({"Reshape", "Unsqueeze", "Squeeze", "Flatten"})


class MergeViews(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Merge until nothing changes: a merge can make two other views adjacent."""
        modified = False
        while sum([_merge(model.graph, node) for node in tuple(model.graph)]):
            modified = True
        common.RemoveUnusedNodesPass()(model)  # the first view of a pair, if nothing else reads it
        return ir.passes.PassResult(model, modified)

    def ensures(self, model: ir.Model) -> None:
        """No view reads another view of its kind, except views that are outputs of the graph."""
        inner = (node for node in model.graph if not node.outputs[0].is_graph_output())
        mergeable = (node for node in inner if _reads_same_kind(node))
        ensure(model, (f"{node.op_type} {node.name} reads another view" for node in mergeable))


def _reads_same_kind(node: ir.Node) -> bool:
    kind = next((kind for kind in (_RESHAPES, {"Transpose"}) if node.op_type in kind), None)
    if kind is None or shape_of(node.outputs[0]) is None or shape_of(node.inputs[0]) is None:
        return False
    before = operand(node, 0).producer()
    return before is not None and before.op_type in kind


def _merge(graph: ir.Graph, node: ir.Node) -> bool:
    if node.op_type in _RESHAPES:
        return _merge_reshape(graph, node)
    if node.op_type == "Transpose":
        return _merge_transpose(graph, node)
    return False


def _merge_reshape(graph: ir.Graph, node: ir.Node) -> bool:
    source, shape = operand(node, 0), shape_of(node.outputs[0])
    before = source.producer()
    if shape is None or shape_of(source) is None:
        return False
    if shape == shape_of(source):
        return bypass(node, source)
    reads_reshape = before is not None and before.op_type in _RESHAPES
    if node.op_type == "Reshape" and not reads_reshape:
        return False
    origin = operand(before, 0) if reads_reshape and before is not None else source
    replace(node, _reshape(graph, node, origin, shape))
    return True


def _merge_transpose(graph: ir.Graph, node: ir.Node) -> bool:
    source, shape = operand(node, 0), shape_of(node.outputs[0])
    source_shape = shape_of(source)
    if shape is None or source_shape is None:
        return False
    permutation = _permutation(node, len(shape))
    before = source.producer()
    if before is not None and before.op_type == "Transpose":
        first = _permutation(before, len(shape))
        merged = [first[axis] for axis in permutation]
        replace(node, ir.node("Transpose", [before.inputs[0]], {"perm": merged}, name=node.name))
        return True
    long_axes = [axis for axis in permutation if source_shape[axis] != 1]
    if long_axes != sorted(long_axes):
        return False
    replace(node, _reshape(graph, node, source, shape))
    return True


def _reshape(graph: ir.Graph, node: ir.Node, source: ir.Value, shape: tuple[int, ...]) -> ir.Node:
    return ir.node("Reshape", [source, add_ints(graph, f"{node.outputs[0].name}.shape", shape)], name=node.name)


def _permutation(node: ir.Node, rank: int) -> list[int]:
    return list(node.attributes.get_ints("perm", list(reversed(range(rank)))))
