"""Arrays to time a component on: any do, if only all sides take the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.chain import Chain

PROMPT = "a photograph of a lighthouse on a cliff at dusk"

Described = Sequence[tuple[str, str, Sequence[int]]]
"""Name, type and shape of each input, as they go to another process in JSON."""


def described(chain: Chain) -> Described:
    """The inputs of `chain`."""
    return [(tensor.name, tensor.dtype, tensor.shape) for tensor in chain.inputs]


def arrays(inputs: Described) -> Mapping[str, NDArray[Any]]:
    """Seeded normal numbers in float32; ids count up, for every vocabulary has the first ones; one late timestep."""
    random = np.random.default_rng(0)
    made: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in inputs:
        if name == "timestep":
            made[name] = np.full(shape, 999, np.float32)
        elif np.issubdtype(dtype, np.integer):
            made[name] = np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % 77
        else:
            made[name] = random.standard_normal(shape, np.float32)
    return made
