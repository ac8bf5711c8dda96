"""Every layout for the published configs: files, names, types and shapes as its programs ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.families.registry import FAMILIES, family_named
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.layouts.layout import Place, Port
from turbo_webnn.models.layouts.registry import LAYOUTS, layout_of
from turbo_webnn.models.precision import BOUNDARY_TYPE, FORMS, Precision
from turbo_webnn.models.synth import PRESETS

Boundary = dict[str, tuple[Any, ...]]
"""Type, then shape, by name."""

HALF, FULL = "float16", "float32"


def boundaries(name: str, preset: str, precision: Precision = "fp16", batch: int = 1) -> dict[str, Any]:
    """By file: what goes in, what comes out; for pictures of 512 by 512 and the component that the file holds."""
    family = {"sd-turbo": "stable-diffusion", "sdxl-turbo": "stable-diffusion-xl"}[preset]
    layout, size = layout_of(name, family, precision), Size(batch, 512, 512)
    found = {}
    for component in family_named(family, "the test").components:
        if component.name in layout.places:
            config = read_json(PRESETS[preset] / component.subfolder / "config.json")
            place = layout.places[component.name]
            found[place.path] = boundary(place, component, size, config, precision)
    return found


def boundary(place: Place, component: Component, size: Size, config: dict[str, Any], precision: Precision) -> Any:
    size = Size(place.batch or size.batch, size.height, size.width)

    def described(specs: tuple[TensorSpec, ...]) -> Boundary:
        ports = [place.ports.get(spec.name, Port(spec.name)) for spec in specs]
        own = [BOUNDARY_TYPE[precision] if spec.kind == "float" else "int32" for spec in specs]
        return {
            port.name: (port.dtype or dtype, *(() if port.scalar else spec.shape(size, config)))
            for port, dtype, spec in zip(ports, own, specs, strict=True)
        }

    traced = place.traced(component, config)
    return described(traced.inputs), described(traced.outputs)


def test_the_sd_turbo_page() -> None:
    assert boundaries("webnn-developer-preview", "sd-turbo") == {
        "text_encoder/model_layernorm.onnx": (
            {"input_ids": ("int32", 1, 77)},
            {"last_hidden_state": (HALF, 1, 77, 1024)},
        ),
        "unet/model_layernorm.onnx": (
            {
                "sample": (HALF, 1, 4, 64, 64),
                "timestep": (HALF, 1),
                "encoder_hidden_states": (HALF, 1, 77, 1024),
            },
            {"out_sample": (HALF, 1, 4, 64, 64)},
        ),
        "vae_decoder/model.onnx": (
            {"latent_sample": (FULL, 1, 4, 64, 64)},
            {"sample": (FULL, 1, 3, 512, 512)},
        ),
    }
    layout = layout_of("webnn-developer-preview", "stable-diffusion", "fp16")
    assert layout.inline
    checker = layout.places["safety_checker"]
    assert checker.path == "safety_checker/safety_checker_int32_reduceSum.onnx"
    assert checker.ports == {"has_nsfw_concepts": Port("has_nsfw_concepts", "bool")}
    assert checker.blanking is not None
    assert checker.blanking.pictures.shape(Size(), {}) == (1, 224, 224, 3)
    assert (checker.blanking.pictures.name, checker.blanking.blanked) == ("images", "out_images")


def test_the_sdxl_turbo_page() -> None:
    latents = (HALF, 4, 4, 64, 64)
    assert boundaries("webnn-developer-preview", "sdxl-turbo", batch=4) == {
        "onnx/text_encoder_model_qdq_q4f16.onnx": (
            {"input_ids": ("int32", 1, 77)},
            {"hidden_states.11": (HALF, 1, 77, 768)},
        ),
        "onnx/text_encoder_2_model_qdq_q4f16.onnx": (
            {"input_ids": ("int64", 1, 77)},
            {"hidden_states.31": (HALF, 1, 77, 1280), "text_embeds": (HALF, 1, 1280)},
        ),
        "onnx/unet_model_qdq_q4f16.onnx": (
            {
                "sample": latents,
                "timestep": (HALF, 1),
                "encoder_hidden_states": (HALF, 4, 77, 2048),
                "text_embeds": (HALF, 4, 1280),
                "time_ids": (HALF, 4, 6),
            },
            {"out_sample": latents},
        ),
        "onnx/vae_decoder_model_qdq_q4f16.onnx": ({"latent_sample": latents}, {"sample": (HALF, 4, 3, 512, 512)}),
    }
    layout = layout_of("webnn-developer-preview", "stable-diffusion-xl", "fp16")
    assert layout.inline
    assert layout.glue == {
        "concat": "onnx/concat_model_f16.onnx",
        "latents": "onnx/latents_model_f16.onnx",
        "scheduler": "onnx/scheduler_model_f16.onnx",
        "sc_prep": "onnx/sc_prep_model_f16.onnx",
    }
    checker = layout.places["safety_checker"]
    assert (checker.path, checker.blanking) == ("onnx/safety_checker_model_f16.onnx", None)
    assert checker.ports == {"has_nsfw_concepts": Port("has_nsfw_concepts", "bool")}


def test_the_sdxl_turbo_page_in_its_plain_form() -> None:
    """As it was published with MatMulNBits."""
    qdq, plain = (layout_of("webnn-developer-preview", "stable-diffusion-xl", "q4f16", form) for form in FORMS)
    assert [place.path for place in plain.places.values()] == [
        "onnx/text_encoder_model_q4f16.onnx",
        "onnx/text_encoder_2_model_q4f16.onnx",
        "onnx/unet_model_q4f16.onnx",
        "onnx/vae_decoder_model_q4f16.onnx",
        "onnx/safety_checker_model_f16.onnx",
    ]
    assert [place.ports for place in plain.places.values()] == [place.ports for place in qdq.places.values()]
    assert plain.glue == qdq.glue
    assert layout_of("webnn-developer-preview", "stable-diffusion-xl", "fp16") == qdq


def test_the_webgpu_demo() -> None:
    assert boundaries("ort-web-demo", "sd-turbo") == {
        "text_encoder/model.onnx": ({"input_ids": ("int32", 1, 77)}, {"last_hidden_state": (HALF, 1, 77, 1024)}),
        "unet/model.onnx": (
            {
                "sample": (FULL, 1, 4, 64, 64),
                "timestep": ("int64", 1),
                "encoder_hidden_states": (HALF, 1, 77, 1024),
            },
            {"out_sample": (FULL, 1, 4, 64, 64)},
        ),
        "vae_decoder/model.onnx": ({"latent_sample": (FULL, 1, 4, 64, 64)}, {"sample": (FULL, 1, 3, 512, 512)}),
    }


def test_optimum() -> None:
    found = boundaries("optimum", "sd-turbo", "fp32")
    assert list(found) == [f"{name}/model.onnx" for name in ("text_encoder", "unet", "vae_decoder", "vae_encoder")]
    assert found["unet/model.onnx"][0]["timestep"] == (FULL,)
    assert found["vae_encoder/model.onnx"] == (
        {"sample": (FULL, 1, 3, 512, 512)},
        {"latent_parameters": (FULL, 1, 8, 64, 64)},
    )
    # diffusers reads the pooled one from the first place, and all states by their number
    first, second = (boundaries("optimum", "sdxl-turbo")[f"text_encoder{n}/model.onnx"][1] for n in ("", "_2"))
    assert list(first) == ["last_hidden_state", *(f"hidden_states.{layer}" for layer in range(12))]
    assert list(second) == ["text_embeds", "last_hidden_state", *(f"hidden_states.{layer}" for layer in range(32))]
    assert second["text_embeds"] == (HALF, 1, 1280)
    assert set(list(second.values())[1:]) == {(HALF, 1, 77, 1280)}


def test_what_is_called_otherwise_is_told_by_the_contracts_name() -> None:
    config = {"num_hidden_layers": 5}
    told = {
        (layout.name, layout.family, component.name): layout.places[component.name].names(component, config)
        for layout in LAYOUTS
        for component in family_named(layout.family, "the test").components
        if component.name in layout.places
    }
    xl = "stable-diffusion-xl"
    assert {key: names for key, names in told.items() if names} == {
        ("webnn-developer-preview", xl, "text_encoder"): {"hidden_states": "hidden_states.11"},
        ("webnn-developer-preview", xl, "text_encoder_2"): {"hidden_states": "hidden_states.31"},
        ("optimum", xl, "text_encoder"): {"hidden_states": "hidden_states.4"},
        ("optimum", xl, "text_encoder_2"): {"hidden_states": "hidden_states.4"},
        ("optimum", xl, "vae_encoder"): {"latent_sample": "latent_parameters"},
        ("optimum", "stable-diffusion", "vae_encoder"): {"latent_sample": "latent_parameters"},
    }


def test_every_family_has_ours_and_each_layout_its_own_files() -> None:
    for family in FAMILIES:
        ours = layout_of("webnn", family.name, "fp32")
        assert list(ours.places) == [component.name for component in (*family.components, *family.optional)]
    for layout in LAYOUTS:
        paths = [*(place.path for place in layout.places.values()), *layout.glue.values()]
        assert len({*paths}) == len(paths), layout.name
        assert layout.reads_manifest == (layout.name == "webnn")


def test_what_is_chosen() -> None:
    layout = layout_of("webnn-developer-preview", "stable-diffusion-xl", "fp16")
    small, available = ("concat", "latents", "scheduler", "sc_prep"), ["unet", "text_encoder", "vae_encoder"]
    assert layout.chosen(["unet"], available) == ("unet",)
    assert layout.chosen([], available) == ("text_encoder", "unet", *small)
    named = ["safety_checker", "unet", "text_encoder"]  # one of them besides
    assert layout.chosen(named, available) == ("text_encoder", "unet", "safety_checker", *small)
    assert refusal(layout.chosen, ["vae_encoder"], ["vae_encoder"]) == (
        "the layout webnn-developer-preview has no component 'vae_encoder'; "
        "it has text_encoder, text_encoder_2, unet, vae_decoder, safety_checker"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("wbnn", "stable-diffusion", "fp16"), "there is no layout 'wbnn'; stable-diffusion has webnn in fp32 or fp16"),
        (
            ("ort-web-demo", "stable-diffusion-xl", "fp16"),
            "the layout ort-web-demo is none for stable-diffusion-xl; stable-diffusion-xl has webnn in fp32 or fp16",
        ),
        (
            ("webnn-developer-preview", "stable-diffusion", "fp32"),
            "the layout webnn-developer-preview has no stable-diffusion in fp32; stable-diffusion has webnn",
        ),
    ],
)
def test_a_layout_that_there_is_not(arguments: tuple[str, str, Precision], said: str) -> None:
    told = refusal(layout_of, *arguments)
    assert told.startswith(said)
    assert "; webnn-developer-preview in fp16" in told
    assert "; optimum in fp32 or fp16" in told


@pytest.mark.parametrize(("chains", "baked", "option"), [(True, False, "max-graph-bytes"), (False, True, "bake-time")])
def test_what_a_program_that_reads_no_manifest_cannot_follow(chains: bool, baked: bool, option: str) -> None:
    page = layout_of("webnn-developer-preview", "stable-diffusion-xl", "fp16")
    assert option in refusal(page.require_freedom, chains=chains, baked=baked)
    layout_of("webnn", "stable-diffusion-xl", "fp16").require_freedom(chains=chains, baked=baked)
    page.require_freedom(chains=False, baked=False)
