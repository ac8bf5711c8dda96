from __future__ import annotations

from tests.graphs import graph
from turbo_webnn.export.passes.name_nodes import NameNodes

SCOPES = "pkg.torch.onnx.name_scopes"


def test_nodes_bear_the_module_they_come_from() -> None:
    model = graph("g (float[1] x) => (float[1] y) { a = Relu(x) b = Relu(a) c = Neg(b) y = Abs(c) }")
    scopes = ["module.mid.resnets.0", "module.mid.resnets.0", None, "module"]
    for node, scope in zip(model.graph, scopes, strict=True):
        if scope:
            node.metadata_props[SCOPES] = str(["", scope, "the_operator_itself"])
    NameNodes()(model)
    # a node that a pass made takes the place of its neighbour
    assert [node.name for node in model.graph] == [
        "mid.resnets.0/Relu",
        "mid.resnets.0/Relu_1",
        "mid.resnets.0/Neg",
        "Abs",
    ]
    assert not any(node.metadata_props for node in model.graph)
