"""Graphs whose weight is a lazy one, as a checkpoint's are."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.graphs import constant, graph
from turbo_webnn.export.weights import LazyWeight, as_lazy_weight


def bound(text: str, weight: np.ndarray, *, turned: bool = False) -> ir.Model:
    """The graph with `weight` as its lazy initializer w; `turned` as one that the checkpoint holds transposed."""
    model = graph(text)
    constant(model, "w", weight)
    held = as_lazy_weight(ir.tensor(weight.T.copy() if turned else weight))
    view = held.permuted([1, 0]) if turned else held
    assert view is not None
    model.graph.initializers["w"].const_value = LazyWeight(view._stored, view._view, "w")
    return model
