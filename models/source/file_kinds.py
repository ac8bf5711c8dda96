"""What a single `.safetensors` file contains, by the names and shapes in its header.

The published pipelines are those that diffusers' `from_single_file` takes the configs of
(`diffusers.loaders.single_file_utils.DIFFUSERS_DEFAULT_PIPELINE_PATHS`). They are stated here because a request is
judged before PyTorch is loaded, and because diffusers takes every file that it does not know for Stable Diffusion 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from turbo_webnn.models.checkpoint import Tensor
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.printable import printable

Tensors = Mapping[str, Tensor]

_UNET = "model.diffusion_model."
_PIPELINE = "give a Stable Diffusion pipeline for text to image"


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        what: its name in messages.
        family: the family of the pipeline; None if it is no pipeline that is served.
        config: the id of the published pipeline whose configs fit.
        right: what would be right, if it is not served as a pipeline.
        part: the noun of the only part that it holds; None if it holds more, or another one.
    """

    what: str
    family: Family | None = None
    config: str = ""
    right: str = _PIPELINE
    part: str | None = None


_UNET_ALONE = FileKind("a UNet alone", right="give the pipeline as SOURCE and this file by --unet", part="UNet")
_VAE_ALONE = FileKind("a VAE alone", right="give the pipeline as SOURCE and this file by --vae", part="VAE")


def kind_of(tensors: Tensors) -> FileKind | None:
    """The kind of a file with `tensors`; None if nothing is known of it."""
    return next((kind for fits, kind in _KINDS if fits(tensors)), None)


def require_pipeline(tensors: Tensors, where: str) -> FileKind:
    """The kind of the file `where`, which must be a pipeline of a served family.

    Raises:
        RequestError: names what the file is instead.
    """
    kind = kind_of(tensors)
    if kind is None:
        first = printable(min(tensors, default="none"))
        raise RequestError(f"{where} is no Stable Diffusion checkpoint (its first tensor is {first})", _PIPELINE)
    if kind.family is None:
        raise RequestError(f"{where} is {kind.what}", kind.right)
    return kind


def require_component(tensors: Tensors, prefixes: tuple[str, ...], noun: str, where: str) -> None:
    """Refuse the file `where` as the source of one component if it holds none of this `noun`.

    Raises:
        RequestError: names what the file is.
    """
    if any(name.startswith(prefixes) for name in tensors):
        return
    kind = kind_of(tensors)
    if kind is None or kind.part != noun:
        first = printable(min(tensors, default="none"))
        wrong = f"{where} is {kind.what}" if kind else f"{where} holds no {noun} (its first tensor is {first})"
        raise RequestError(wrong, f"give a file with a {noun}")


def _has(*starts: str) -> Callable[[Tensors], bool]:
    return lambda tensors: any(name.startswith(starts) for name in tensors)


def _contains(pattern: str) -> Callable[[Tensors], bool]:
    compiled = re.compile(pattern)
    return lambda tensors: any(compiled.search(name) for name in tensors)


def _reads(channels: int) -> Callable[[Tensors], bool]:
    """Whether the UNet of the file reads `channels` channels."""
    names = (f"{_UNET}input_blocks.0.0.weight", "input_blocks.0.0.weight")

    def fits(tensors: Tensors) -> bool:
        first = next((tensors[name] for name in names if name in tensors), None)
        return first is not None and len(first.shape) == 4 and first.shape[1] == channels

    return fits


def _all(*conditions: Callable[[Tensors], bool]) -> Callable[[Tensors], bool]:
    return lambda tensors: all(condition(tensors) for condition in conditions)


_KINDS: tuple[tuple[Callable[[Tensors], bool], FileKind], ...] = (
    (
        _contains(r"lora_(down|up|A|B|mid)\b|\.lora\.|_lora\.|lora_controlnet|dora_scale|\.hada_w|\.lokr_w"),
        FileKind("a LoRA", right="give the pipeline as SOURCE and this file by --lora"),
    ),
    (_has("control_model.", "controlnet_", "input_hint_block."), FileKind("a ControlNet")),
    (_has("string_to_param", "emb_params", "clip_g", "clip_l"), FileKind("a textual inversion")),
    (_reads(9), FileKind("a checkpoint for inpainting: its UNet also reads a mask")),
    (_reads(8), FileKind("a checkpoint for editing: its UNet also reads a picture")),
    (_reads(7), FileKind("an upscaler")),
    (_reads(5), FileKind("a checkpoint that also reads a depth map")),
    (
        _all(_has("conditioner.embedders.0.model."), lambda tensors: not _has("conditioner.embedders.1.")(tensors)),
        FileKind("a refiner of SDXL: it needs the latents of another pipeline"),
    ),
    (
        _all(_has(_UNET), _has("edm_mean")),
        FileKind("Playground v2.5", STABLE_DIFFUSION_XL, "playgroundai/playground-v2.5-1024px-aesthetic"),
    ),
    (
        _all(_has(_UNET), _has("conditioner.embedders.1.")),
        FileKind("Stable Diffusion XL", STABLE_DIFFUSION_XL, "stabilityai/stable-diffusion-xl-base-1.0"),
    ),
    (
        _all(_has(_UNET), _has("cond_stage_model.model.")),
        FileKind("Stable Diffusion 2", STABLE_DIFFUSION, "stabilityai/stable-diffusion-2-1"),
    ),
    (
        _all(_has(_UNET), _has("cond_stage_model.transformer.")),
        FileKind("Stable Diffusion 1", STABLE_DIFFUSION, "stable-diffusion-v1-5/stable-diffusion-v1-5"),
    ),
    (_has("double_blocks.", f"{_UNET}double_blocks."), FileKind("a checkpoint of FLUX")),
    (_has("joint_blocks.", f"{_UNET}joint_blocks."), FileKind("a checkpoint of Stable Diffusion 3")),
    (_all(_has(_UNET), _contains("input_blocks")), _UNET_ALONE),
    (_has("input_blocks.0.", "down_blocks.0.resnets.0.time_emb_proj", "down_blocks.0.resnets.0.norm1"), _UNET_ALONE),
    (_has("decoder.conv_in.", "first_stage_model.decoder.", "vae.decoder."), _VAE_ALONE),
    (_has("text_model.", "transformer.resblocks.", "cond_stage_model.", "conditioner."), FileKind("a text encoder")),
    (
        _contains(r"^(model\.)?(language_model\.)?layers\.0\.|^transformer\.h\.0\.|^lm_head\.|^gpt_neox\."),
        FileKind("a language model"),
    ),
)
"""The kinds in order: the first that fits is chosen."""
