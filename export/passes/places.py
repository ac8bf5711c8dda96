"""The module of the checkpoint that a node belongs to, from the exporter's metadata."""

from __future__ import annotations

import ast

import onnx_ir as ir

_SCOPES = "pkg.torch.onnx.name_scopes"


def place_of(node: ir.Node) -> str:
    """The innermost module of `node`, or else of a node before or after it; empty if the metadata names none."""
    for neighbour in (node, *node.predecessors(), *node.successors()):
        name_scopes = neighbour.metadata_props.get(_SCOPES)
        if name_scopes:
            scopes = [scope for scope in ast.literal_eval(name_scopes)[:-1] if scope]
            return path_of(str(scopes[-1])) if scopes else ""
    return ""


def path_of(scope: str) -> str:
    """A module's path in its component, from its path `scope` in the traced forward (`export.forwards.Forward`)."""
    return scope.removeprefix("module").removeprefix(".")
