from __future__ import annotations

import numpy as np
import pytest
import torch

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.draw.noise import NoiseSource

SEEDS = (0, 1, 42, 2**32 - 1, 2**32, 2**32 + 42, 2**63 + 7, 2**64 - 1, -1)

# whole blocks of 16, a tail, fewer than 16, the scalar's spare number left over from an odd count
SEQUENCE = ((1, 4, 64, 64), (3,), (2, 4, 3, 5), (16,), (17,), (1,), (15,), (), (0,), (1, 4, 8, 12))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_noise_is_torchs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    source = NoiseSource(seed)
    for shape in SEQUENCE:
        expected = torch.randn(shape, generator=generator).numpy()
        drawn = source.normal(shape)
        assert drawn.dtype == np.float32
        assert drawn.shape == expected.shape
        np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_that_torch_refuses(seed: int) -> None:
    with pytest.raises(RequestError, match="64 bits"):
        NoiseSource(seed)
