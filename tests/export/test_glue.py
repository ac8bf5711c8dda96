"""The small graphs: names and types as their programs bind them, and numbers against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from turbo_webnn.export.glue import GLUE, GlueParameters, make_glue
from turbo_webnn.models.component import Size
from turbo_webnn.models.schedule import Schedule
from turbo_webnn.models.schedulers.euler import euler_step

SIGMA, FACTOR = 14.6146, 0.13025
RNG = np.random.default_rng(2)

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def numbers(batch: int = 4, height: int = 512, width: int = 512) -> GlueParameters:
    schedule = Schedule(SIGMA, (euler_step(999.0, SIGMA, 0.0),))
    return GlueParameters(Size(batch, height, width), schedule, FACTOR, (768, 1280), 1280)


def session(name: str, made: GlueParameters) -> ort.InferenceSession:
    proto = ir.to_proto(make_glue(name, made))
    onnx.checker.check_model(proto, full_check=True)
    return ort.InferenceSession(proto.SerializeToString())


def run(name: str, made: GlueParameters, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
    return session(name, made).run(None, inputs)  # type: ignore[no-any-return]


def half(*shape: int) -> NDArray[np.float16]:
    return RNG.standard_normal(shape).astype(np.float16)


def test_names_types_and_shapes_are_those_that_the_page_binds() -> None:
    latents, pixels, clip = [4, 4, 64, 64], [4, 3, 512, 512], [4, 3, 224, 224]
    expected: dict[str, list[dict[str, Any]]] = {
        "concat": [
            {
                "hidden_states_1": [1, 77, 768],
                "hidden_states_2": [1, 77, 1280],
                "text_embeds": [1, 1280],
                "sample": "int32",
            },
            {"prompt_embeds": [4, 77, 2048], "pooled_prompt_embeds": [4, 1280]},
        ],
        "latents": [{"sample": latents}, {"latents": latents, "latentModelInput": latents}],
        "scheduler": [{"sample": latents, "out_sample": latents}, {"prevSample": latents}],
        "sc_prep": [{"sample": pixels}, {"clip_input": clip}],
    }
    assert expected.keys() == GLUE.keys()
    for name, (inputs, outputs) in expected.items():
        made = session(name, numbers())
        for found, wanted in ((made.get_inputs(), inputs), (made.get_outputs(), outputs)):
            assert [item.name for item in found] == list(wanted), name
            for item in found:
                if wanted[item.name] == "int32":
                    assert (item.type, item.shape) == ("tensor(int32)", [4])
                else:
                    assert (item.type, item.shape) == ("tensor(float16)", wanted[item.name]), name


def test_concat_reads_no_number_of_its_sample() -> None:
    first, second, embeds = half(1, 77, 768), half(1, 77, 1280), half(1, 1280)
    told = {"hidden_states_1": first, "hidden_states_2": second, "text_embeds": embeds}
    random = RNG.integers(-(2**31), 2**31, 4).astype(np.int32)
    states, pooled = run("concat", numbers(), **told, sample=random)
    np.testing.assert_array_equal(states, np.concatenate([first, second], axis=2).repeat(4, axis=0))
    np.testing.assert_array_equal(pooled, embeds.repeat(4, axis=0))


def test_every_input_reaches_an_output() -> None:
    for name in GLUE:
        model = make_glue(name, numbers())
        behind = {value.name for value in model.graph.outputs}
        for node in reversed(list(model.graph)):
            assert any(value.name in behind for value in node.outputs), f"{name}: {node.name}"
            behind.update(value.name for value in node.inputs if value is not None)
        assert {value.name for value in model.graph.inputs} <= behind, name


def test_concat_meets_its_sample_before_any_cast() -> None:
    model = make_glue("concat", numbers())
    (sample,) = (value for value in model.graph.inputs if value.name == "sample")
    assert [(node.op_type, node.outputs[0].dtype) for node in sample.consumers()] == [("Mul", ir.DataType.INT32)]


def test_latents_are_noise_of_the_first_sigma_and_scaled_as_they_are_rounded() -> None:
    empty = np.full((4, 4, 64, 64), np.nan, np.float16)
    made = session("latents", numbers())
    (drawn, scaled), (again, _) = (made.run(None, {"sample": empty}) for _ in range(2))
    assert np.std(drawn.astype(np.float32)) == pytest.approx(SIGMA, rel=0.02)
    assert np.mean(drawn.astype(np.float32)) == pytest.approx(0, abs=0.3)
    assert not np.array_equal(drawn, again)
    expected = (drawn.astype(np.float32) / np.float32((SIGMA**2 + 1) ** 0.5)).astype(np.float16)
    np.testing.assert_array_equal(scaled, expected)


def test_the_scheduler_takes_all_noise_away() -> None:
    clean = half(4, 4, 64, 64).astype(np.float32)
    noise = half(4, 4, 64, 64)
    latents = (clean + SIGMA * noise.astype(np.float32)).astype(np.float16)
    (given,) = run("scheduler", numbers(), sample=latents, out_sample=noise)
    expected = (latents.astype(np.float32) - np.float32(SIGMA) * noise.astype(np.float32)) / np.float32(FACTOR)
    np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(given * FACTOR, clean, atol=0.04)  # what float16 keeps of latents of about 60


def test_a_picture_is_seen_as_clip_sees_it() -> None:
    """Of a plain gradient every fair way of scaling gives the same, so that diffusers' own can be compared with."""
    from PIL import Image
    from transformers import CLIPImageProcessor

    rows, columns = np.mgrid[0:512, 0:512] / 511
    unit = np.stack([rows, columns, (rows + columns) / 2])[None]  # [1, 3, 512, 512] in 0…1
    (seen,) = run("sc_prep", numbers(batch=1), sample=(2 * unit - 1).astype(np.float16))
    picture = Image.fromarray(np.rint(unit[0] * 255).astype(np.uint8).transpose(1, 2, 0))
    expected = CLIPImageProcessor()(picture, return_tensors="np").pixel_values
    np.testing.assert_allclose(seen, expected, atol=0.03)


def test_pictures_are_cropped_about_their_centre_and_clipped() -> None:
    wide = np.full((1, 3, 64, 192), -3, np.float16)
    wide[..., 64:128] = 5  # beyond what a picture has
    (seen,) = run("sc_prep", numbers(1, 64, 192), sample=wide)
    white = (1 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(seen, np.broadcast_to(white.reshape(1, 3, 1, 1), seen.shape), atol=2e-3)


def test_fine_detail_is_averaged_not_skipped() -> None:
    checks = np.indices((512, 512)).sum(axis=0) % 2 * 2.0 - 1  # pixels of black and white in turn
    (seen,) = run("sc_prep", numbers(1), sample=np.broadcast_to(checks, (1, 3, 512, 512)).astype(np.float16))
    grey = (0.5 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(seen, np.broadcast_to(grey.reshape(1, 3, 1, 1), seen.shape), atol=2e-3)
