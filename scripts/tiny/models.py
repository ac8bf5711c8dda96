"""The architecture of `tiny` and `tiny-xl`: the classes and options of SD-Turbo and SDXL-Turbo, with few channels.

The models here are untrained; `scripts.train_tiny` trains them.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from turbo_webnn.models.shapes import PICTURE
from turbo_webnn.scripts.tiny.tokenizer import END, START, build_tokenizer, save_vocabulary

LATENT = PICTURE // 8
MODELS = Path(__file__).parents[2] / "models"

# SD-Turbo's scheduler_config.json; SDXL-Turbo has the same values with another class.
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}


@dataclass(frozen=True)
class TinyModel:
    """One embedded model: the parts of its pipeline."""

    name: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    text_encoder_2: CLIPTextModelWithProjection | None = None
    tokenizer_2: CLIPTokenizer | None = None

    def pipeline(self) -> DiffusionPipeline:
        """Make the pipeline of the parts."""
        parts = {
            "unet": self.unet,
            "vae": self.vae,
            "text_encoder": self.text_encoder,
            "tokenizer": self.tokenizer,
        }
        if self.text_encoder_2 is None:
            scheduler = EulerDiscreteScheduler(**SCHEDULE)
            return StableDiffusionPipeline(
                **parts,
                scheduler=scheduler,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
        return StableDiffusionXLPipeline(
            **parts,
            text_encoder_2=self.text_encoder_2,
            tokenizer_2=self.tokenizer_2,
            scheduler=EulerAncestralDiscreteScheduler(**SCHEDULE),
            add_watermarker=False,
        )

    def save(self, folder: Path) -> None:
        """Write a diffusers folder in float16; the modules in memory stay unchanged."""
        pipeline = deepcopy(self).pipeline()
        for part in pipeline.components.values():
            if isinstance(part, nn.Module):
                part.half()
        pipeline.save_pretrained(folder)
        save_vocabulary(self.tokenizer, folder / "tokenizer")
        if self.tokenizer_2 is not None:
            save_vocabulary(self.tokenizer_2, folder / "tokenizer_2")
        for part in folder.glob("text_encoder*"):
            _convert_to_published(part)


def _convert_to_published(text_encoder: Path) -> None:
    """Convert a saved text encoder to the published form, from which transformers 5 differs in two points."""
    weights = text_encoder / "model.safetensors"
    # Checkpoints have the same tensor names for both classes; CLIPTextModel now omits the prefix.
    tensors = {
        name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}": tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(tensors, weights, metadata={"format": "pt"})
    # transformers loads the model in this type by default; all parts must load in the same type.
    config = text_encoder / "config.json"
    config.write_text(config.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))


def build(name: str, seed: int) -> TinyModel:
    """Build the untrained `tiny` or `tiny-xl`; the same seed gives the same weights."""
    torch.manual_seed(seed)
    return {"tiny": _tiny, "tiny-xl": _tiny_xl}[name]()


def load(name: str, folder: Path) -> TinyModel:
    """Load a model that `save` wrote, in float32."""
    model = build(name, 0)
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        module = getattr(model, part)
        if module is not None:
            saved = type(module).from_pretrained(folder / part).float()
            module.load_state_dict(saved.state_dict())
            module.eval()
    model.vae.register_to_config(scaling_factor=type(model.vae).load_config(folder / "vae")["scaling_factor"])
    return model


def _tiny() -> TinyModel:
    tokenizer = build_tokenizer(MODELS / "tiny" / "tokenizer", pad="!")
    return TinyModel(
        name="tiny",
        tokenizer=tokenizer,
        text_encoder=CLIPTextModel(_text_config(tokenizer, hidden=64, layers=2, activation="gelu")),
        unet=UNet2DConditionModel(
            **_UNET,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(32, 48, 64),
            attention_head_dim=(2, 3, 4),
            cross_attention_dim=64,
        ),
        vae=build_vae(),
    )


def _tiny_xl() -> TinyModel:
    tokenizer = build_tokenizer(MODELS / "tiny-xl" / "tokenizer", pad=END)
    tokenizer_2 = build_tokenizer(MODELS / "tiny-xl" / "tokenizer_2", pad="!")
    first = _text_config(tokenizer, hidden=48, layers=3, activation="quick_gelu")
    second = _text_config(tokenizer_2, hidden=64, layers=3, activation="gelu")
    return TinyModel(
        name="tiny-xl",
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        text_encoder=CLIPTextModel(first),
        text_encoder_2=CLIPTextModelWithProjection(second),
        unet=UNet2DConditionModel(
            **_UNET,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(32, 48, 48),
            attention_head_dim=(2, 3, 3),
            cross_attention_dim=48 + 64,  # the concatenated hidden states of both encoders
            transformer_layers_per_block=(1, 1, 2),
            addition_embed_type="text_time",
            addition_time_embed_dim=16,
            projection_class_embeddings_input_dim=6 * 16 + 64,  # six time ids, and the pooled text
        ),
        vae=build_vae(),
    )


# In these classes `attention_head_dim` is the number of heads of a block, despite its name.
_UNET = {
    "sample_size": LATENT,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "use_linear_projection": True,
}


def build_vae() -> AutoencoderKL:
    """Build the untrained VAE of both models."""
    vae = AutoencoderKL(
        sample_size=PICTURE,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 32, 32),
        layers_per_block=1,
        norm_num_groups=2,  # a group of few channels would lose the colour of a flat picture
        latent_channels=4,
        force_upcast=False,  # these weights are trained to stay in float16's range
    )
    with torch.no_grad():
        vae.quant_conv.bias[4:].fill_(-4)  # the log variances: without this an untrained posterior would be only noise
    return vae


def _text_config(tokenizer: CLIPTokenizer, *, hidden: int, layers: int, activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        projection_dim=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 16,
        max_position_embeddings=77,
        hidden_act=activation,
        bos_token_id=tokenizer.convert_tokens_to_ids(START),
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.pad_token_id,
    )


def initialize_as_identity(unet: UNet2DConditionModel) -> None:
    """Initialize a UNet so that its output is its input, which is almost correct at the first timestep.

    There the noise is 14.6 times larger than the picture, so the correct output is the input minus a fifteenth of a
    picture. Without this a network of this size would spend most of its training on the noise. The input passes
    through the skip connection from `conv_in` to the last resnet. Each of the first two norm groups carries two latent
    channels, x as x and -x, and larger constants, so that the group's deviation, and with it the gain, is the same for
    any noise. After the norm silu(x) - silu(-x) is x again. All other channels start with the output 0.
    """
    loud, constant = 4.0, 24.0  # loud: changes by the training are small in comparison
    deviation = ((loud**2 + constant**2) / 2) ** 0.5  # each in half of a group's channels
    last, width = unet.up_blocks[-1], unet.conv_in.out_channels
    layers = [unet.conv_in, last.resnets[-1].conv_shortcut, last.resnets[-1].conv2]
    layers += [attention.proj_out for attention in list(getattr(last, "attentions", ()))[-1:]]
    with torch.no_grad():
        for layer in layers:
            layer.weight[:16] = 0
            layer.bias[:16] = 0
        unet.conv_in.bias[_NOISE_CHANNELS["constants"]] = constant * torch.tensor([1.0, -1.0] * 4)
        # the skip connection is second in the concatenation
        last.resnets[-1].conv_shortcut.weight[range(16), range(width, width + 16)] = 1
        unet.conv_norm_out.weight.fill_(0.1)
        unet.conv_norm_out.weight[:16] = 1
        unet.conv_norm_out.weight[_NOISE_CHANNELS["constants"]] = 0
        unet.conv_out.weight.zero_()
        unet.conv_out.bias.zero_()
        for sign, positions in ((1, _NOISE_CHANNELS["plus"]), (-1, _NOISE_CHANNELS["minus"])):
            unet.conv_in.weight[positions, range(4), 1, 1] = sign * loud
            unet.conv_out.weight[range(4), positions, 1, 1] = sign * deviation / loud


# The positions of the latent channels in the first two groups of eight channels.
_NOISE_CHANNELS = {"plus": [0, 2, 8, 10], "minus": [1, 3, 9, 11], "constants": [4, 5, 6, 7, 12, 13, 14, 15]}
