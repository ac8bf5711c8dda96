"""Stable Diffusion: one CLIP text encoder, a UNet, a VAE."""

from __future__ import annotations

from turbo_webnn.models.component import Component
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.parts.autoencoder_kl import AutoencoderKLDecoder, AutoencoderKLEncoder
from turbo_webnn.models.parts.clip_text import TOKENS, ClipText
from turbo_webnn.models.parts.safety_checker import SafetyChecker
from turbo_webnn.models.parts.unet_2d_condition import UNet2DCondition
from turbo_webnn.models.wiring import Wiring

VAE_FOLDER = "vae"
"""The subfolder of the VAE in a diffusers folder, for decoder and encoder."""

UNET_PREFIXES = ("model.diffusion_model.",)
VAE_PREFIXES = ("first_stage_model.", "vae.")

TEXT_ENCODER = Component.of(ClipText(), "text_encoder", tokenizer="tokenizer", prefixes=("cond_stage_model.",))
UNET = Component.of(UNet2DCondition(tokens=TOKENS), "unet", prefixes=UNET_PREFIXES)
VAE_DECODER = Component.of(AutoencoderKLDecoder(), "vae_decoder", VAE_FOLDER, prefixes=VAE_PREFIXES)
VAE_ENCODER = Component.of(AutoencoderKLEncoder(), "vae_encoder", VAE_FOLDER, prefixes=VAE_PREFIXES)
SAFETY_CHECKER = Component.of(SafetyChecker(), "safety_checker")

STABLE_DIFFUSION = Family(
    name="stable-diffusion",
    pipeline="StableDiffusionPipeline",
    components=(TEXT_ENCODER, UNET, VAE_DECODER, VAE_ENCODER),
    optional=(SAFETY_CHECKER,),
    wiring=Wiring(
        denoiser=UNET.name,
        decoder=VAE_DECODER.name,
        encoder=VAE_ENCODER.name,
        checker=SAFETY_CHECKER.name,
        conditions={"encoder_hidden_states": ("text_encoder.last_hidden_state",)},
    ),
)
