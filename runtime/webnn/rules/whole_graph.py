"""Rules on the whole graph: inputs and nodes that reach no output, and the size of shards."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from turbo_webnn.runtime.webnn.graph import Graph
from turbo_webnn.runtime.webnn.rules.finding import Effect, Finding

# Chromium limits an ArrayBuffer to slightly less than 2 GiB, and each shard is loaded into one ArrayBuffer. The WebNN
# samples use this limit too.
MAX_SHARD_BYTES = 1_900_000_000


def inputs_reach_outputs(graph: Graph) -> Iterator[Finding]:
    """Every input reaches an output. Otherwise dispatch fails, because it counts the bound tensors."""
    live = _live_nodes(graph.model.graph)
    for value in graph.model.graph.inputs:
        if value.is_graph_output() or any(usage.node in live for usage in value.uses()):
            continue
        yield Finding(
            node=value.name or "",
            operator="input",
            rule="unused-input",
            effect=Effect.FAILS,
            reason="it reaches no output: dispatch counts one tensor too many",
            remedy="leave it out, or let it take part (times zero, added)",
        )


def nodes_reach_outputs(graph: Graph) -> Iterator[Finding]:
    """Every node reaches an output of the graph."""
    live = _live_nodes(graph.model.graph)
    for node in graph.model.graph:
        if node not in live:
            yield Finding(
                node=node.name or "",
                operator=node.op_type,
                rule="dead-node",
                effect=Effect.WASTE,
                reason="its outputs reach no output of the graph",
                remedy="remove it",
            )


def shards_fit(graph: Graph) -> Iterator[Finding]:
    """Each shard of external data fits into one ArrayBuffer."""
    for shard in graph.shards:
        if shard.bytes > MAX_SHARD_BYTES:
            yield Finding(
                node=shard.name,
                operator="shard",
                rule="shard-size",
                effect=Effect.FAILS,
                reason=f"{shard.bytes} bytes do not fit into one ArrayBuffer",
                remedy=f"write shards of at most {MAX_SHARD_BYTES} bytes",
            )


def _live_nodes(graph: ir.Graph) -> set[ir.Node]:
    """The nodes from which an output is reached, including nodes whose values are read in bodies."""
    live: set[ir.Node] = set()
    pending = [node for value in graph.outputs if (node := value.producer()) is not None]
    while pending:
        node = pending.pop()
        if node in live:
            continue
        live.add(node)
        pending += node.predecessors()
    return live
