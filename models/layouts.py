"""The layouts, each one entry: ours, and those that published programs load.

Names, types and shapes are those programs' own. They go by the name of the program, or of the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turbo_webnn.models.component import Component, TensorSpec
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.registry import FAMILIES, find_family
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.layout import TOKENIZER_FILES, Blanking, Layout, Place, Port
from turbo_webnn.models.parts.autoencoder_kl import AutoencoderKLEncoder
from turbo_webnn.models.parts.safety_checker import SAFETY_PIXELS
from turbo_webnn.models.precision import BOUNDARY_TYPE, PRECISIONS, Form, Precision

DEFAULT = "webnn"

_HALF: tuple[Precision, ...] = tuple(each for each in PRECISIONS if BOUNDARY_TYPE[each] == "float16")


def _moments(component: Component, _config: Mapping[str, Any]) -> dict[str, TensorSpec]:
    assert isinstance(component.part, AutoencoderKLEncoder)
    return {component.outputs[0].name: component.part.moments}


def _every_state(component: Component, config: Mapping[str, Any]) -> dict[str, TensorSpec]:
    """What goes into each layer, of which the last is what the contract gives, and what comes out of all.

    The pooled embeddings come first where there are any: diffusers looks for them by their place.
    """
    states, *pooled = component.outputs
    last = config["num_hidden_layers"] - 1
    named = [replace(states, name=name) for name in ("last_hidden_state", *(f"hidden_states.{i}" for i in range(last)))]
    given = {spec.name: spec for spec in (*pooled, *named)}
    return {**given, states.name: replace(states, name=f"hidden_states.{last}")}


def _contract(family: Family) -> Layout:
    """The layout that has the contract's names, types and shapes."""
    places = {component.name: Place(f"{component.name}/model.onnx") for component in family.known}
    return Layout(DEFAULT, family.name, places, reads_manifest=True)


_SD_PAGE = Layout(
    # one file each, fetched whole: the page passes no external data
    "webnn-developer-preview",
    STABLE_DIFFUSION.name,
    {
        "text_encoder": Place("text_encoder/model_layernorm.onnx"),
        "unet": Place("unet/model_layernorm.onnx"),
        "vae_decoder": Place(
            "vae_decoder/model.onnx",
            {"latent_sample": Port("latent_sample", "float32"), "sample": Port("sample", "float32")},
        ),
        "safety_checker": Place(
            "safety_checker/safety_checker_int32_reduceSum.onnx",
            {"has_nsfw_concepts": Port("has_nsfw_concepts", "bool")},
            blanking=Blanking(
                "has_nsfw_concepts",
                TensorSpec("images", "float", ("batch", SAFETY_PIXELS, SAFETY_PIXELS, 3)),
                "out_images",
            ),
        ),
    },
    precisions=_HALF,
    inline=True,
)

_XL_PAGE = Layout(
    # It asks for these names whatever the precision: `q4f16` is what it was published with. Each graph's outputs are
    # bound as the next one's inputs, and its text encoders read one prompt for all pictures.
    "webnn-developer-preview",
    STABLE_DIFFUSION_XL.name,
    {
        "text_encoder": Place(
            "onnx/text_encoder_model_qdq_q4f16.onnx", {"hidden_states": Port("hidden_states.11")}, batch=1
        ),
        "text_encoder_2": Place(
            "onnx/text_encoder_2_model_qdq_q4f16.onnx",
            {"input_ids": Port("input_ids", "int64"), "hidden_states": Port("hidden_states.31")},
            batch=1,
        ),
        "unet": Place("onnx/unet_model_qdq_q4f16.onnx"),
        "vae_decoder": Place("onnx/vae_decoder_model_qdq_q4f16.onnx"),
        "safety_checker": Place(
            "onnx/safety_checker_model_f16.onnx", {"has_nsfw_concepts": Port("has_nsfw_concepts", "bool")}
        ),
    },
    glue={name: f"onnx/{name}_model_f16.onnx" for name in ("concat", "latents", "scheduler", "sc_prep")},
    precisions=_HALF,
    forms=("qdq",),
    inline=True,
)

_XL_PAGE_NBITS = replace(
    _XL_PAGE,
    places={name: replace(place, path=place.path.replace("_qdq_", "_")) for name, place in _XL_PAGE.places.items()},
    forms=("nbits",),
)

_WEBGPU_DEMO = Layout(
    "ort-web-demo",
    STABLE_DIFFUSION.name,
    {
        "text_encoder": Place("text_encoder/model.onnx"),
        "unet": Place(
            "unet/model.onnx",
            {
                "sample": Port("sample", "float32"),
                "timestep": Port("timestep", "int64"),
                "out_sample": Port("out_sample", "float32"),
            },
        ),
        "vae_decoder": Place(
            "vae_decoder/model.onnx",
            {"latent_sample": Port("latent_sample", "float32"), "sample": Port("sample", "float32")},
        ),
    },
    inline=True,
)

_OPTIMUM_UNET = Place("unet/model.onnx", {"timestep": Port("timestep", scalar=True)})

_OPTIMUM_VAE = {
    "vae_decoder": Place("vae_decoder/model.onnx"),
    "vae_encoder": Place("vae_encoder/model.onnx", outputs=_moments, adapters={"latent_sample": "first_half"}),
}

_SD_OPTIMUM = Layout(
    "optimum",
    STABLE_DIFFUSION.name,
    {"text_encoder": Place("text_encoder/model.onnx"), "unet": _OPTIMUM_UNET, **_OPTIMUM_VAE},
    # its transformers (below 4.58) splits words with the tokenizer that reads these two
    tokenizer_files=(*TOKENIZER_FILES, "vocab.json", "merges.txt"),
    diffusers_files=True,
)

_XL_OPTIMUM = replace(
    _SD_OPTIMUM,
    family=STABLE_DIFFUSION_XL.name,
    places={
        "text_encoder": Place("text_encoder/model.onnx", outputs=_every_state),
        "text_encoder_2": Place("text_encoder_2/model.onnx", outputs=_every_state),
        "unet": _OPTIMUM_UNET,
        **_OPTIMUM_VAE,
    },
)

LAYOUTS = (*map(_contract, FAMILIES), _SD_PAGE, _XL_PAGE, _XL_PAGE_NBITS, _WEBGPU_DEMO, _SD_OPTIMUM, _XL_OPTIMUM)


def layout_of(name: str, family: str, precision: Precision, form: Form | None = None) -> Layout:
    """The layout `name` of a bundle of `family` in `precision`; of the forms of quantised products, in `form`.

    Raises:
        RequestError: where there is none; says which the family has, and in what precisions.
    """
    installed = None if family in {known.name for known in FAMILIES} else find_family(family)
    layouts = LAYOUTS if installed is None else (*LAYOUTS, _contract(installed))
    named = [layout for layout in layouts if layout.name == name]
    for layout in named:
        if layout.family == family and precision in layout.precisions and (form or layout.forms[0]) in layout.forms:
            return layout
    there = dict.fromkeys(f"{each.name} in {' or '.join(each.precisions)}" for each in layouts if each.family == family)
    if not named:
        wrong = f"there is no layout {name!r}"
    elif family not in {layout.family for layout in named}:
        wrong = f"the layout {name} is none for {family}"
    else:
        wrong = f"the layout {name} has no {family} in {precision}"
    raise RequestError(wrong, f"{family} has {'; '.join(there)}")
