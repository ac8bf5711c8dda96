"""Example inputs for timing. Their numbers do not matter, but all sides get the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.chain import Chain

PROMPT = "a photograph of a lighthouse on a cliff at dusk"

InputSpecs = Sequence[tuple[str, str, Sequence[int]]]
"""Name, type and shape of each input, in the form of the JSON messages between processes."""


def input_specs(chain: Chain) -> InputSpecs:
    """The specs of the inputs of `chain`."""
    return [(tensor.name, tensor.dtype, tensor.shape) for tensor in chain.inputs]


def arrays(inputs: InputSpecs) -> Mapping[str, NDArray[Any]]:
    """Make example arrays by input name.

    Floats are seeded normal numbers in float32. Token ids count up from 0, because every vocabulary has the first ids.
    The timestep is 999.
    """
    random = np.random.default_rng(0)
    arrays_by_name: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in inputs:
        if name == "timestep":
            arrays_by_name[name] = np.full(shape, 999, np.float32)
        elif np.issubdtype(dtype, np.integer):
            arrays_by_name[name] = np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % 77
        else:
            arrays_by_name[name] = random.standard_normal(shape, np.float32)
    return arrays_by_name
