"""What `tiny` and `tiny-xl` are made of: the classes and options of SD-Turbo and SDXL-Turbo, few channels.

Everything here is untrained; `scripts.train_tiny` gives the weights their meaning.
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

# SD-Turbo's scheduler_config.json; SDXL-Turbo's is the same under another class.
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
    """One embedded model: the parts that a pipeline is assembled from."""

    name: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    text_encoder_2: CLIPTextModelWithProjection | None = None
    tokenizer_2: CLIPTokenizer | None = None

    def pipeline(self) -> DiffusionPipeline:
        """The parts as the pipeline class that draws with them."""
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
        """Writes a diffusers folder in float16; the modules in memory stay as they are."""
        pipeline = deepcopy(self).pipeline()
        for part in pipeline.components.values():
            if isinstance(part, nn.Module):
                part.half()
        pipeline.save_pretrained(folder)
        save_vocabulary(self.tokenizer, folder / "tokenizer")
        if self.tokenizer_2 is not None:
            save_vocabulary(self.tokenizer_2, folder / "tokenizer_2")
        for part in folder.glob("text_encoder*"):
            _as_published(part)


def _as_published(text_encoder: Path) -> None:
    """Makes a saved text encoder what published folders hold: transformers 5 differs in two points."""
    weights = text_encoder / "model.safetensors"
    # Checkpoints name the tensors of both classes alike; CLIPTextModel now leaves the prefix out.
    tensors = {
        name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}": tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(tensors, weights, metadata={"format": "pt"})
    # The type named here is the one it loads in: unless told, all parts have to load in the same.
    config = text_encoder / "config.json"
    config.write_text(config.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))


def build(name: str, seed: int) -> TinyModel:
    """The untrained `tiny` or `tiny-xl`, the same for the same seed."""
    torch.manual_seed(seed)
    return {"tiny": _tiny, "tiny-xl": _tiny_xl}[name]()


def load(name: str, folder: Path) -> TinyModel:
    """The model that `save` wrote, in float32."""
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
            cross_attention_dim=48 + 64,  # both encoders' hidden states, side by side
            transformer_layers_per_block=(1, 1, 2),
            addition_embed_type="text_time",
            addition_time_embed_dim=16,
            projection_class_embeddings_input_dim=6 * 16 + 64,  # six time ids, and the pooled text
        ),
        vae=build_vae(),
    )


# In these classes `attention_head_dim` counts the heads of a block, whatever its name says.
_UNET = {
    "sample_size": LATENT,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "use_linear_projection": True,
}


def build_vae() -> AutoencoderKL:
    """The VAE of both models, untrained."""
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
        vae.quant_conv.bias[4:].fill_(-4)  # the log variances: untrained, a posterior would be all noise
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


def let_noise_through(unet: UNet2DConditionModel) -> None:
    """Sets an untrained UNet to answer with its input, which at the first timestep is all but right.

    There the noise is 14.6 times the picture, so the answer is the input less a fifteenth of a picture, and
    a network of this size would spend most of its training on the noise. The way is the skip from `conv_in`
    to the last resnet. In each of the first two norm groups it carries two latent channels, x as x and -x,
    and constants that outweigh them, so that the group's deviation, hence the gain, is the same for any
    noise; after the norm silu(x) - silu(-x) is x again. All other channels start out saying nothing.
    """
    loud, constant = 4.0, 24.0  # loud: what training shakes on the way is small beside it
    deviation = ((loud**2 + constant**2) / 2) ** 0.5  # half a group's channels hold each
    last, width = unet.up_blocks[-1], unet.conv_in.out_channels
    layers = [unet.conv_in, last.resnets[-1].conv_shortcut, last.resnets[-1].conv2]
    layers += [attention.proj_out for attention in list(getattr(last, "attentions", ()))[-1:]]
    with torch.no_grad():
        for layer in layers:
            layer.weight[:16] = 0
            layer.bias[:16] = 0
        unet.conv_in.bias[_NOISE_WAY["constants"]] = constant * torch.tensor([1.0, -1.0] * 4)
        last.resnets[-1].conv_shortcut.weight[range(16), range(width, width + 16)] = 1  # the skip comes second
        unet.conv_norm_out.weight.fill_(0.1)
        unet.conv_norm_out.weight[:16] = 1
        unet.conv_norm_out.weight[_NOISE_WAY["constants"]] = 0
        unet.conv_out.weight.zero_()
        unet.conv_out.bias.zero_()
        for sign, places in ((1, _NOISE_WAY["plus"]), (-1, _NOISE_WAY["minus"])):
            unet.conv_in.weight[places, range(4), 1, 1] = sign * loud
            unet.conv_out.weight[range(4), places, 1, 1] = sign * deviation / loud


# Where in the first two groups of eight channels each latent channel goes.
_NOISE_WAY = {"plus": [0, 2, 8, 10], "minus": [1, 3, 9, 11], "constants": [4, 5, 6, 7, 12, 13, 14, 15]}
