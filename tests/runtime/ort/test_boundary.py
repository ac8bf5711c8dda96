from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from turbo_webnn.models.chain import BundleFile, Chain, Graph, Tensor
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.runtime.ort.boundary import Boundary


def chain(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], **names: str) -> Chain:
    return Chain(inputs, outputs, (Graph((BundleFile("model.onnx", 1, ""),), 1, inputs, outputs),), names)


IDS, TIME = Tensor("input_ids", "int32", (1, 3)), Tensor("timestep", "float32", ())
STATES, POOLED = Tensor("hidden_states.11", "float32", (1, 3, 2)), Tensor("text_embeds", "float32", (1, 2))


def test_a_graph_of_one_picture_runs_for_each_of_a_batch() -> None:
    held = chain((IDS,), (POOLED, STATES), hidden_states="hidden_states.11")
    encoder = Boundary(held, STABLE_DIFFUSION_XL.component("text_encoder_2"))
    feeds = list(encoder.feeds({"input_ids": np.arange(6, dtype=np.int32).reshape(2, 3)}))
    assert [feed["input_ids"].tolist() for feed in feeds] == [[[0, 1, 2]], [[3, 4, 5]]]
    runs = [{"text_embeds": np.full((1, 2), i), "hidden_states.11": np.full((1, 3, 2), 10 + i)} for i in range(2)]
    given = encoder.outputs(runs)
    assert list(given) == ["hidden_states", "text_embeds"]  # in the contract's order, whatever the layout's
    assert given["hidden_states"].tolist() == [[[10, 10]] * 3, [[11, 11]] * 3]
    assert given["text_embeds"].tolist() == [[0, 0], [1, 1]]


def test_a_number_loses_its_dimension() -> None:
    sample = Tensor("sample", "float32", (2, 4))
    unet = Boundary(chain((sample, TIME), (Tensor("out_sample", "float32", (2, 4)),)))
    (feed,) = unet.feeds({"sample": np.zeros((2, 4)), "timestep": np.array([999.0])})
    assert (feed["sample"].shape, feed["timestep"].shape, float(feed["timestep"])) == ((2, 4), (), 999)


def test_the_mean_of_moments() -> None:
    pixels, moments = Tensor("sample", "float32", (1, 3)), Tensor("latent_parameters", "float32", (1, 4))
    held = replace(
        chain((pixels,), (moments,), latent_sample="latent_parameters"), adapters={"latent_sample": "first_half"}
    )
    encoder = Boundary(held, STABLE_DIFFUSION.component("vae_encoder"))
    given = encoder.outputs([{"latent_parameters": np.array([[1, 2, 30, 40]])}])
    assert given["latent_sample"].tolist() == [[1, 2]]
    assert given["latent_parameters"].tolist() == [[1, 2, 30, 40]]  # for those who sample


def test_what_the_layout_takes_besides_is_zeros() -> None:
    images = Tensor("images", "float16", (1, 2))
    held = chain((Tensor("latent_sample", "float32", (1, 4)), images), (POOLED,))
    (feed,) = Boundary(held, STABLE_DIFFUSION.component("vae_decoder")).feeds({"latent_sample": np.ones((1, 4))})
    assert (feed["images"].tolist(), str(feed["images"].dtype)) == ([[0, 0]], "float16")
    assert feed["latent_sample"].tolist() == [[1, 1, 1, 1]]


def test_a_graph_without_a_contract_is_as_it_is() -> None:
    plain = Boundary(chain((IDS,), (POOLED,)))
    assert list(plain.outputs([{"text_embeds": np.ones((1, 2))}])) == ["text_embeds"]


@pytest.mark.parametrize("wrong", [{"input_ids": np.zeros((2, 4))}, {"ids": np.zeros((1, 3))}])
def test_what_does_not_fit_is_left_for_the_session_to_refuse(wrong: dict[str, np.ndarray]) -> None:
    (feed,) = Boundary(chain((IDS,), (POOLED,)), STABLE_DIFFUSION.component("text_encoder")).feeds(wrong)
    assert feed.keys() == wrong.keys()
    assert next(iter(feed.values())).shape == next(iter(wrong.values())).shape
