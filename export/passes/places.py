"""Which module of the checkpoint a node comes from, as the exporter noted it."""

from __future__ import annotations

import ast

import onnx_ir as ir

_SCOPES = "pkg.torch.onnx.name_scopes"


def place_of(node: ir.Node) -> str:
    """The innermost module noted for `node`, or for what it reads or is read by; empty where there is none."""
    for near in (node, *node.predecessors(), *node.successors()):
        noted = near.metadata_props.get(_SCOPES)
        if noted:
            scopes = [scope for scope in ast.literal_eval(noted)[:-1] if scope]
            return path_of(str(scopes[-1])) if scopes else ""
    return ""


def path_of(scope: str) -> str:
    """A module's path in its component from that in the traced forward, whose `module` the component is."""
    return scope.removeprefix("module").removeprefix(".")
