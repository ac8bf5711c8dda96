"""Conditions of passes. A condition that does not hold is a defect of the pass or of the order, never a user error."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir


def require(model: ir.Model, wrong: Iterable[str]) -> None:
    """Check what a pass requires.

    Args:
        model: the model before the pass.
        wrong: a text for each condition that does not hold.

    Raises:
        PreconditionError: names the graph and the first condition.
    """
    for text in wrong:
        raise ir.passes.PreconditionError(f"graph {model.graph.name}: {text}")


def ensure(model: ir.Model, wrong: Iterable[str]) -> None:
    """Check what a pass ensures.

    Args:
        model: the model after the pass.
        wrong: a text for each condition that does not hold.

    Raises:
        PostconditionError: names the graph and the first condition.
    """
    for text in wrong:
        raise ir.passes.PostconditionError(f"graph {model.graph.name}: {text}")


def values_of(graph: ir.Graph) -> Iterable[ir.Value]:
    """The inputs of `graph` and the outputs of its nodes."""
    yield from graph.inputs
    for node in graph:
        yield from node.outputs
