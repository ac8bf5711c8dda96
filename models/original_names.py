"""The names and shapes of the original checkpoints, from which single files are made.

diffusers converts these names to its own (`diffusers.loaders.single_file_utils`); this is the other direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Original:
    """A tensor of a single file.

    Attributes:
        name: its name in the file.
        keys: the current names of the tensors that it consists of, one after another along the first axis.
        shape: its shape in the file.
        transposed: whether it is the transpose of the current tensor.
    """

    name: str
    keys: tuple[str, ...]
    shape: Shape
    transposed: bool = False


def original_unet(shapes: Mapping[str, Shape], layers: int, prefix: str = "model.diffusion_model.") -> list[Original]:
    """The tensors of a UNet.

    Args:
        shapes: of its parameters, by their current names.
        layers: `layers_per_block` of its config.
        prefix: starts every name.
    """
    return [Original(prefix + _unet_name(key, shapes, layers), (key,), shape) for key, shape in shapes.items()]


def original_vae(shapes: Mapping[str, Shape], prefix: str = "first_stage_model.") -> list[Original]:
    """The tensors of a VAE. The linear layers of its attention are 1×1 convolutions."""
    blocks = 1 + max(int(match[1]) for key in shapes if (match := re.search(r"up_blocks\.(\d+)\.", key)))
    return [
        Original(
            prefix + _vae_name(key, blocks),
            (key,),
            (*shape, 1, 1) if _is_projection(key, shape) else shape,
        )
        for key, shape in shapes.items()
    ]


def original_clip(shapes: Mapping[str, Shape], prefix: str) -> list[Original]:
    """The tensors of a text encoder of OpenAI's CLIP, whose current names start with `text_model.`."""
    return [Original(f"{prefix}transformer.{key}", (key,), shape) for key, shape in shapes.items()]


def original_open_clip(shapes: Mapping[str, Shape], prefix: str) -> list[Original]:
    """The tensors of a text encoder of OpenCLIP, in which queries, keys and values share one matrix."""
    return list(_open_clip(shapes, f"{prefix}model."))


_UNET_MODULES = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}

_UNET_LAYERS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}

_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}

_CLIP_TABLES = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}

_CLIP_LAYERS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def _unet_name(key: str, shapes: Mapping[str, Shape], layers: int) -> str:
    for module, original in _UNET_MODULES.items():
        if key.startswith(f"{module}."):
            return original + _resnet_rest(key.removeprefix(module), ".resnets." in key)
    match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)(\..+)", key)
    assert match is not None, key
    side, kind, rest = match[1], match[3], match[5]
    block, layer = int(match[2]), int(match[4])
    if kind == "downsamplers":
        return f"input_blocks.{(layers + 1) * (block + 1)}.0.op{rest.removeprefix('.conv')}"
    if kind == "upsamplers":
        has_attention = any(name.startswith(f"up_blocks.{block}.attentions.") for name in shapes)
        return f"output_blocks.{(layers + 1) * block + layers}.{2 if has_attention else 1}{rest}"
    number = (layers + 1) * block + layer + (side == "down")
    place = f"{'input' if side == 'down' else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}"
    return place + _resnet_rest(rest, kind == "resnets")


def _resnet_rest(rest: str, is_resnet: bool) -> str:
    """The name after the block, which begins with a dot."""
    if not is_resnet:
        return rest
    _, layer, number = rest.split(".")
    return f".{_UNET_LAYERS[layer]}.{number}"


def _vae_name(key: str, blocks: int) -> str:
    key = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", key)
    key = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda match: f"up.{blocks - 1 - int(match[1])}.block.", key)
    key = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda match: f"up.{blocks - 1 - int(match[1])}.upsample.", key)
    key = re.sub(r"mid_block\.resnets\.(\d)\.", lambda match: f"mid.block_{int(match[1]) + 1}.", key)
    if "mid_block.attentions.0." in key:
        for current, original in _VAE_ATTENTION.items():
            key = key.replace(f"attentions.0.{current}.", f"attentions.0.{original}.")
        key = key.replace("mid_block.attentions.0.", "mid.attn_1.")
    return key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")


def _is_projection(key: str, shape: Shape) -> bool:
    return ".attentions." in key and len(shape) == 2


def _open_clip(shapes: Mapping[str, Shape], prefix: str) -> Iterator[Original]:
    for key, shape in shapes.items():
        if key in _CLIP_TABLES:
            yield Original(prefix + _CLIP_TABLES[key], (key,), shape)
        elif key == "text_projection.weight":
            yield Original(f"{prefix}text_projection", (key,), shape[::-1], transposed=True)
        elif ".self_attn.q_proj." in key:
            fused = tuple(key.replace("q_proj", name) for name in ("q_proj", "k_proj", "v_proj"))
            layer, kind = _layer(key), key.rpartition(".")[2]
            yield Original(f"{prefix}{layer}.attn.in_proj_{kind}", fused, (3 * shape[0], *shape[1:]))
        elif not re.search(r"\.self_attn\.[kv]_proj\.", key):
            current = next(name for name in _CLIP_LAYERS if f".{name}." in key)
            yield Original(f"{prefix}{_layer(key)}.{_CLIP_LAYERS[current]}.{key.rpartition('.')[2]}", (key,), shape)


def _layer(key: str) -> str:
    match = re.search(r"encoder\.layers\.(\d+)\.", key)
    assert match is not None, key
    return f"transformer.resblocks.{match[1]}"
