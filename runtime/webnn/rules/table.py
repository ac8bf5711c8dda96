"""The rules, one entry each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from turbo_webnn.models.errors import LIBRARY_ERRORS
from turbo_webnn.runtime.webnn.graph import Graph
from turbo_webnn.runtime.webnn.rules import operators, values, whole_graph
from turbo_webnn.runtime.webnn.rules.finding import Complaint, Effect, Finding
from turbo_webnn.runtime.webnn.target import Target
from turbo_webnn.runtime.webnn.weightless import unsound


@dataclass(frozen=True)
class Rule:
    """A rule on nodes: what it is called, what its complaints mean, and the function that makes them."""

    name: str
    effect: Effect
    complaints: Callable[[ir.Node, Target], Iterator[Complaint]]


RULES: tuple[Rule, ...] = (
    Rule("operator", Effect.OFF_WEBNN, values.operator_is_lowered),
    Rule("static-shape", Effect.OFF_WEBNN, values.values_are_static),
    Rule("rank", Effect.OFF_WEBNN, values.ranks_are_taken),
    Rule("type", Effect.OFF_WEBNN, values.types_are_taken),
    Rule("mixed-types", Effect.OFF_WEBNN, values.types_agree),
    Rule("constant", Effect.OFF_WEBNN, values.options_are_constant),
    Rule("outputs", Effect.OFF_WEBNN, values.outputs_are_given),
    Rule("attribute", Effect.OFF_WEBNN, operators.attributes_are_taken),
    Rule("tensor-size", Effect.FAILS, values.tensors_are_small),
    Rule("build", Effect.FAILS, operators.builds),
    Rule("meaning", Effect.WRONG, operators.means_the_same),
)
GRAPH_RULES: tuple[Callable[[Graph], Iterator[Finding]], ...] = (
    whole_graph.inputs_reach_outputs,
    whole_graph.nodes_reach_outputs,
    whole_graph.shards_fit,
)


def find(graph: Graph, target: Target) -> Iterator[Finding]:
    """All that is wrong with `graph` on `target`, in the order of its nodes, then for the whole of it.

    Raises:
        RequestError: where a node lacks what its operator needs.
    """
    for node in graph.model.graph:
        if node.op_type == "Constant":  # an initializer in another dress
            continue
        for rule in RULES:
            for reason, remedy in _complaints(rule, node, target, graph.path):
                yield Finding(node.name or "", node.op_type, rule.name, rule.effect, reason, remedy)
    for graph_rule in GRAPH_RULES:
        yield from graph_rule(graph)


def _complaints(rule: Rule, node: ir.Node, target: Target, path: Path) -> list[Complaint]:
    try:
        return list(rule.complaints(node, target))
    except LIBRARY_ERRORS as error:  # too few inputs, or an attribute of another type than the operator's
        raise unsound(path, f"{node.op_type} {node.name or ''} is not as its operator is ({error})") from error
