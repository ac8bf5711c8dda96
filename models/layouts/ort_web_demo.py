"""onnxruntime-web's WebGPU demo of SD-Turbo. Names, types and shapes are those of the published program."""

from __future__ import annotations

from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.layouts.layout import Layout, Place, Port

ORT_WEB_DEMO = Layout(
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
