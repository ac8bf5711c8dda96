"""What passes from prompts to the denoiser: token ids, and what the text encoders make of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.draw.noise import Float32Array

TokenIds = Mapping[str, NDArray[np.int32]]
"""Ids [batch, tokens] by the text encoder that reads them, in the order of the family."""

Encoded = Mapping[str, Float32Array]
"""The outputs of one text encoder, by name and in order."""

Conditions = Mapping[str, Float32Array]
"""Arrays by the name of the denoiser's input."""
