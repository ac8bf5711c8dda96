"""Stable Diffusion XL: two CLIP text encoders, a UNet that also reads the size, a VAE."""

from __future__ import annotations

from turbo_webnn.models.component import Component
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.stable_diffusion import SAFETY_CHECKER, UNET_PREFIXES, VAE_FOLDER, VAE_PREFIXES
from turbo_webnn.models.parts.autoencoder_kl import AutoencoderKLDecoder, AutoencoderKLEncoder
from turbo_webnn.models.parts.clip_text import TOKENS, ClipText, ClipTextWithProjection
from turbo_webnn.models.parts.unet_2d_condition import UNet2DCondition
from turbo_webnn.models.wiring import Wiring

TEXT_ENCODER_XL = Component.of(
    ClipText("hidden_states"), "text_encoder", tokenizer="tokenizer", prefixes=("conditioner.embedders.0.",)
)
TEXT_ENCODER_2 = Component.of(
    ClipTextWithProjection("hidden_states"),
    "text_encoder_2",
    tokenizer="tokenizer_2",
    prefixes=("conditioner.embedders.1.",),
)
UNET_XL = Component.of(UNet2DCondition(tokens=TOKENS, text_time=True), "unet", prefixes=UNET_PREFIXES)
VAE_DECODER_XL = Component.of(
    AutoencoderKLDecoder(latent_statistics=True), "vae_decoder", VAE_FOLDER, prefixes=VAE_PREFIXES
)
VAE_ENCODER_XL = Component.of(
    AutoencoderKLEncoder(latent_statistics=True), "vae_encoder", VAE_FOLDER, prefixes=VAE_PREFIXES
)

STABLE_DIFFUSION_XL = Family(
    name="stable-diffusion-xl",
    pipeline="StableDiffusionXLPipeline",
    components=(TEXT_ENCODER_XL, TEXT_ENCODER_2, UNET_XL, VAE_DECODER_XL, VAE_ENCODER_XL),
    optional=(SAFETY_CHECKER,),
    wiring=Wiring(
        denoiser=UNET_XL.name,
        decoder=VAE_DECODER_XL.name,
        encoder=VAE_ENCODER_XL.name,
        checker=SAFETY_CHECKER.name,
        conditions={
            "encoder_hidden_states": ("text_encoder.hidden_states", "text_encoder_2.hidden_states"),
            "text_embeds": ("text_encoder_2.text_embeds",),
        },
    ),
)
