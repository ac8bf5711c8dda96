from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.arithmetic import Arithmetic
from turbo_webnn.runtime.tensors.host import HostTensors
from turbo_webnn.runtime.tensors.slots import Slot, Slots

CPU = Settings("cpu")
RANDOM = np.random.default_rng(5)


@pytest.fixture
def slots() -> Slots:
    return Slots(CPU)


@pytest.fixture
def arithmetic(slots: Slots) -> Arithmetic:
    return Arithmetic(CPU, slots)


def filled(slots: Slots, name: str, array: Array) -> Slot:
    slot = slots.at(name, array.dtype.name, array.shape)
    slot.put(array)
    return slot


def test_the_sampler_s_numbers(slots: Slots, arithmetic: Arithmetic) -> None:
    x, z = RANDOM.standard_normal((2, 1, 4, 8, 8), np.float32) * np.float32(9)
    by = 14.648771
    latents, eps = filled(slots, "latents", x), filled(slots, "eps", z.astype(np.float16))
    narrow, wide = slots.at("narrow", "float16", x.shape), slots.at("wide", "float32", x.shape)

    arithmetic.multiply(latents, 1 / by, narrow)
    np.testing.assert_array_equal(narrow.get(), (x * np.float32(1 / by)).astype(np.float16))
    arithmetic.multiply(latents, 2, wide)
    np.testing.assert_array_equal(wide.get(), x * 2)
    arithmetic.add(latents, eps, -by, wide)
    np.testing.assert_array_equal(wide.get(), x + np.float32(-by) * z.astype(np.float16).astype(np.float32))
    arithmetic.multiply(eps, by, wide)
    np.testing.assert_array_equal(wide.get(), z.astype(np.float16).astype(np.float32) * np.float32(by))


def test_states_of_two_encoders_lie_side_by_side(slots: Slots, arithmetic: Arithmetic) -> None:
    first, second = RANDOM.standard_normal((1, 3, 2), np.float32), RANDOM.standard_normal((1, 3, 5), np.float32)
    pooled = RANDOM.standard_normal((1, 5), np.float32)
    whole, copied = slots.at("whole", "float16", (1, 3, 7)), slots.at("copied", "float16", (1, 5))
    arithmetic.concatenate([filled(slots, "first", first), filled(slots, "second", second)], whole)
    arithmetic.copy([(filled(slots, "pooled", pooled), copied)])
    np.testing.assert_array_equal(whole.get(), np.concatenate([first, second], -1).astype(np.float16))
    np.testing.assert_array_equal(copied.get(), pooled.astype(np.float16))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_latents_are_sampled_as_on_the_host(slots: Slots, arithmetic: Arithmetic, dtype: type) -> None:
    moments: Array = np.linspace(-30, 20, 2 * 8 * 3 * 5, dtype=np.float32).reshape(2, 8, 3, 5).astype(dtype)
    noise = RANDOM.standard_normal((2, 4, 3, 5), np.float32)
    both, z = filled(slots, "moments", moments), filled(slots, "noise", noise)
    mean, sampled = (slots.at(name, "float32", noise.shape) for name in ("mean", "sampled"))
    arithmetic.mean(both, mean)
    arithmetic.sample(both, z, sampled)
    np.testing.assert_array_equal(mean.get(), HostTensors().mean(moments))
    np.testing.assert_allclose(sampled.get(), HostTensors().sample(moments, noise), rtol=1e-6)
    posterior = DiagonalGaussianDistribution(torch.from_numpy(moments.astype(np.float32)))
    expected = posterior.mean + posterior.std * torch.from_numpy(noise)
    np.testing.assert_allclose(sampled.get(), expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_pixels_are_those_of_the_host(slots: Slots, arithmetic: Arithmetic, dtype: type) -> None:
    sample: Array = np.linspace(-1.2, 1.2, 2 * 3 * 16 * 24, dtype=np.float32).reshape(2, 3, 16, 24).astype(dtype)
    pixels = slots.at("pixels", "uint8", (2, 16, 24, 3))
    arithmetic.to_pixels(filled(slots, "sample", sample), pixels)
    np.testing.assert_array_equal(pixels.get(), images.to_pixels(sample))
    assert (pixels.get().min(), pixels.get().max()) == (0, 255)


@pytest.mark.parametrize(("value", "finite"), [(65504, True), (np.nan, False), (np.inf, False), (-np.inf, False)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_no_number_is_found(
    slots: Slots, arithmetic: Arithmetic, dtype: type, value: float, finite: bool
) -> None:
    array: Array = np.full((3, 5), -7, dtype)
    array[1, 2] = value
    assert arithmetic.is_finite(filled(slots, "array", array)) is finite


def test_a_slot_takes_its_own_shape_only_and_casts(slots: Slots) -> None:
    slot = slots.at("slot", "float16", (2, 2))
    with pytest.raises(ValueError, match=r"slot has shape \[2, 2\], not \[4\]"):
        slot.put(np.zeros(4, np.float16))
    slot.put(np.array([[1, 2], [3, 1e6]], np.float32).T)  # not contiguous, and beyond float16
    assert slot.get().tolist() == [[1, 3], [2, np.inf]]


def test_onnx_that_is_not_installed(slots: Slots, arithmetic: Arithmetic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx.parser", None)
    slot = filled(slots, "slot", np.zeros(3, np.float32))
    with pytest.raises(RequestError, match=r"onnx.*turbo-webnn\[cuda\]"):
        arithmetic.is_finite(slot)
