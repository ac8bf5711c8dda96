"""Names each node after its module, and removes the exporter's metadata.

For example `down_blocks.0.resnets.0.conv1/Conv`: the name of a node in a finding shows its place in the model. Names
are unique: the second node of the same module and operator ends in `_1`. Values keep their names.
"""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir
from onnx_ir.passes import common

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.places import place_of


class NameNodes(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Name every node and clear all metadata."""
        counts: Counter[str] = Counter()
        for node in model.graph:
            place = place_of(node)
            name = f"{place}/{node.op_type}" if place else node.op_type
            count = counts[name]
            counts[name] += 1
            node.name = f"{name}_{count}" if count else name
        common.ClearMetadataAndDocStringPass()(model)
        return ir.passes.PassResult(model, modified=True)

    def ensures(self, model: ir.Model) -> None:
        """Names are unique, and no node has metadata."""
        counts = Counter(node.name for node in model.graph)
        ensure(model, (f"{count} nodes have the name {name}" for name, count in counts.items() if count > 1))
        with_metadata = (node for node in model.graph if node.metadata_props)
        ensure(model, (f"{node.name} has metadata" for node in with_metadata))
