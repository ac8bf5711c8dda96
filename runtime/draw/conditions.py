"""What the UNet is told besides latents and timestep: what the text encoders give, and what never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.draw.noise import Float32Array

TokenIds = Mapping[str, NDArray[np.int32]]
"""Ids [batch, 77] by the text encoder that reads them, in the order of the family."""

Encoded = Mapping[str, Float32Array]
"""The outputs of one text encoder, by name and in order."""

Conditions = Mapping[str, Float32Array]
"""Arrays by the name of the UNet's input."""


def join(encoded: Sequence[Encoded], constant: Mapping[str, Sequence[float]], batch: int) -> Conditions:
    """The conditions by the rule of `models.family.Family`.

    Args:
        encoded: of each text encoder.
        constant: one row of each input that is the same in every run.
        batch: how often the row is repeated.
    """
    states = [next(iter(outputs.values())) for outputs in encoded]  # each [batch, 77, its width]
    further = {name: array for outputs in encoded for name, array in list(outputs.items())[1:]}
    rows = {name: np.tile(np.array(row, np.float32), (batch, 1)) for name, row in constant.items()}
    return {"encoder_hidden_states": np.concatenate(states, axis=-1), **further, **rows}
