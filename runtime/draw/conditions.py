"""Types for the way from prompts to the denoiser: token ids, outputs of text encoders, conditions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.draw.noise import Float32Array

TokenIds = Mapping[str, NDArray[np.int32]]
"""Token ids [batch, tokens] by the name of the text encoder, in the order of the family."""

Encoded = Mapping[str, Float32Array]
"""The outputs of one text encoder by name, in the order of its contract."""

Conditions = Mapping[str, Float32Array]
"""Inputs of the denoiser by name, without latents and timestep."""
