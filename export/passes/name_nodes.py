"""Each node is named after the module it comes from, and the exporter's notes about itself go.

`down_blocks.0.resnets.0.conv1/Conv`: a finding that names a node says where in the model it stands. Names are
unique: a second one of the same place and operator ends in `_1`. Values keep their names.
"""

from __future__ import annotations

import ast
from collections import Counter

import onnx_ir as ir
from onnx_ir.passes import common

_SCOPES = "pkg.torch.onnx.name_scopes"


class NameNodes(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Name every node and clear all metadata."""
        seen: Counter[str] = Counter()
        for node in model.graph:
            place = _place(node)
            name = f"{place}/{node.op_type}" if place else node.op_type
            count = seen[name]
            seen[name] += 1
            node.name = f"{name}_{count}" if count else name
        common.ClearMetadataAndDocStringPass()(model)
        return ir.passes.PassResult(model, modified=True)


def _place(node: ir.Node) -> str:
    """The innermost module that the exporter noted for `node`, or for what it reads or is read by."""
    for near in (node, *node.predecessors(), *node.successors()):
        noted = near.metadata_props.get(_SCOPES)
        if noted:
            scopes = [scope for scope in ast.literal_eval(noted)[:-1] if scope]
            return str(scopes[-1]).removeprefix("module").removeprefix(".") if scopes else ""
    return ""
