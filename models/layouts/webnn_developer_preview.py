"""The pages of webnn-developer-preview: SD-Turbo, and SDXL-Turbo with small graphs between the components.

Names, types and shapes are those of the published program.
"""

from __future__ import annotations

from dataclasses import replace

from turbo_webnn.models.component import TensorSpec
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.layouts.layout import Blanking, Layout, Place, Port
from turbo_webnn.models.parts.safety_checker import SAFETY_PIXELS
from turbo_webnn.models.precision import BOUNDARY_TYPE, PRECISIONS, Precision

_HALF: tuple[Precision, ...] = tuple(precision for precision in PRECISIONS if BOUNDARY_TYPE[precision] == "float16")

STABLE_DIFFUSION_PAGE = Layout(
    # one file per graph: the page does not pass external data to onnxruntime-web
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

XL_PAGE = Layout(
    # The page loads these file names for every precision; it was published with `q4f16`. The outputs of a graph are
    # bound as inputs of the next graph. The text encoders read one prompt for all pictures.
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

XL_PAGE_NBITS = replace(
    XL_PAGE,
    places={name: replace(place, path=place.path.replace("_qdq_", "_")) for name, place in XL_PAGE.places.items()},
    forms=("nbits",),
)

WEBNN_DEVELOPER_PREVIEW = (STABLE_DIFFUSION_PAGE, XL_PAGE, XL_PAGE_NBITS)
