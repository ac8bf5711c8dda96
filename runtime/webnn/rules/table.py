"""The table of all rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from turbo_webnn.models.errors import LIBRARY_ERRORS
from turbo_webnn.runtime.webnn.graph import Graph
from turbo_webnn.runtime.webnn.rules import operators, values, whole_graph
from turbo_webnn.runtime.webnn.rules.finding import Effect, Finding, Problem
from turbo_webnn.runtime.webnn.target import Target
from turbo_webnn.runtime.webnn.weightless import invalid_graph_error


@dataclass(frozen=True)
class Rule:
    """A rule on nodes.

    Attributes:
        name: the name of the rule.
        effect: the effect of the problems that it reports.
        check: a function that yields the problems of a node.
    """

    name: str
    effect: Effect
    check: Callable[[ir.Node, Target], Iterator[Problem]]


RULES: tuple[Rule, ...] = (
    Rule("operator", Effect.OFF_WEBNN, values.operator_is_lowered),
    Rule("static-shape", Effect.OFF_WEBNN, values.values_are_static),
    Rule("rank", Effect.OFF_WEBNN, values.ranks_are_supported),
    Rule("type", Effect.OFF_WEBNN, values.types_are_supported),
    Rule("mixed-types", Effect.OFF_WEBNN, values.types_agree),
    Rule("constant", Effect.OFF_WEBNN, values.options_are_constant),
    Rule("outputs", Effect.OFF_WEBNN, values.outputs_are_supported),
    Rule("attribute", Effect.OFF_WEBNN, operators.attributes_are_supported),
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
    """Find all problems of `graph` on `target`: of each node in order, then of the whole graph.

    Raises:
        RequestError: where the inputs or attributes of a node do not match its operator.
    """
    for node in graph.model.graph:
        if node.op_type == "Constant":  # the same as an initializer
            continue
        for rule in RULES:
            for reason, remedy in _problems(rule, node, target, graph.path):
                yield Finding(node.name or "", node.op_type, rule.name, rule.effect, reason, remedy)
    for graph_rule in GRAPH_RULES:
        yield from graph_rule(graph)


def _problems(rule: Rule, node: ir.Node, target: Target, path: Path) -> list[Problem]:
    try:
        return list(rule.check(node, target))
    except LIBRARY_ERRORS as error:  # too few inputs, or an attribute of another type than the operator's
        raise invalid_graph_error(
            path, f"{node.op_type} {node.name or ''} is not as its operator is ({error})"
        ) from error
