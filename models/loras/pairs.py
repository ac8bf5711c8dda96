"""The pairs of matrices of a LoRA by the weight that they change, with names converted by diffusers' own functions."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from turbo_webnn.models.checkpoint import Tensor
from turbo_webnn.models.checkpoint.tensor import NUMBER_TYPES
from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.loras.lora import DAMAGED, Lora
from turbo_webnn.models.parts.stand_in import convert
from turbo_webnn.models.printable import printable

_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
"""The ends of the names in PEFT, to which diffusers converts all others."""

_RAW_DOWN = re.compile(r"[._](lora_down|lora_A|lora\.down|lora_linear_layer\.down)\.weight$")
"""The end of the name of a first matrix in a file; the alpha has the same name before it."""


@dataclass(frozen=True)
class Pair:
    """The difference factor·alpha·up·down of one weight.

    Attributes:
        lora: the file, for messages.
        down: [rank, inputs], or [rank, inputs, rows, columns] for a convolution.
        up: [outputs, rank], or [outputs, rank, 1, 1].
        factor: 1/rank, or without an alpha in the file the whole factor.
        alpha: one number, or None if the file has none.
    """

    lora: str
    down: Tensor
    up: Tensor
    factor: float
    alpha: Tensor | None

    def scale(self) -> float:
        """Read alpha, and multiply the factor by it; RequestError if it is no number."""
        if self.alpha is None:
            return self.factor
        if math.prod(self.alpha.shape) != 1 or self.alpha.dtype not in NUMBER_TYPES:
            kind = f"{self.alpha.dtype} of shape {list(self.alpha.shape)}"
            stated = f"{self.lora}: {printable(self.alpha.name)} is {kind}, not one number"
            raise RequestError(stated, DAMAGED)
        alpha = float(self.alpha.read().reshape(()))
        if not math.isfinite(alpha):
            raise RequestError(f"{self.lora} states an alpha of {alpha}", DAMAGED)
        return self.factor * alpha


def pairs_of(lora: Lora, pipeline: str, subfolders: Collection[str], unet_config: Any) -> dict[str, dict[str, Pair]]:
    """Find the pairs of `lora` by subfolder of the component and by path of the module in it.

    Args:
        lora: the file.
        pipeline: the name of the pipeline class in diffusers, which converts the names.
        subfolders: of the pipeline's components.
        unet_config: the config of the UNet's module; SDXL's blocks are renumbered by it.

    Raises:
        RequestError: names the first tensor that belongs to no component, or that makes no pair.
    """
    tensors = lora.header.tensors
    alphas = {name for name in tensors if name.endswith(".alpha")}
    matrices = {name: tensor for name, tensor in tensors.items() if name not in alphas}
    converted = _converted(lora, pipeline, matrices, unet_config)
    pairs: dict[str, dict[str, Pair]] = {}
    used: set[str] = set()
    for name, down in converted.items():
        subfolder, _, path = name.partition(".")
        up = converted.get(name.removesuffix(_DOWN) + _UP)
        if subfolder not in subfolders or not name.endswith(_DOWN) or up is None:
            continue
        if not down.shape or not down.shape[0]:
            raise RequestError(
                f"{lora.name}: {printable(down.name)} has shape {list(down.shape)}",
                DAMAGED,
            )
        alpha_name = _RAW_DOWN.sub("", down.name) + ".alpha"
        used |= {down.name, up.name, alpha_name}
        module, alpha = path.removesuffix(_DOWN), tensors.get(alpha_name)
        factor = _factor(lora, subfolder, module, down.shape[0]) if alpha is None else 1 / down.shape[0]
        pairs.setdefault(subfolder, {})[module] = Pair(lora.name, down, up, factor, alpha)
    unused = tensors.keys() - used
    if unused:
        more = f" and {len(unused) - 1} more" if len(unused) > 1 else ""
        raise RequestError(
            f"{lora.name} holds {printable(min(unused))}{more}, which {pipeline} has no place for",
            "give a LoRA for this pipeline",
        )
    return pairs


def _converted(lora: Lora, pipeline: str, tensors: Mapping[str, Tensor], unet_config: Any) -> Mapping[str, Tensor]:
    """The matrices under PEFT's names, each with the subfolder of its component in front."""
    import diffusers
    from diffusers.utils.state_dict_utils import (
        convert_state_dict_to_diffusers,
        convert_state_dict_to_peft,
        convert_unet_state_dict_to_peft,
    )

    def of_pipeline(state: dict[str, Any]) -> Mapping[str, Any]:
        named, _ = getattr(diffusers, pipeline).lora_state_dict(state, unet_config=unet_config)
        unet = {name: value for name, value in named.items() if name.startswith("unet.")}
        others = {name: value for name, value in named.items() if name not in unet}
        if not any(_DOWN in name for name in unet):
            unet = convert_unet_state_dict_to_peft(unet)
        if others and not all(name.endswith((_DOWN, _UP)) for name in others):
            others = convert_state_dict_to_peft(convert_state_dict_to_diffusers(others))
        return {**unet, **others}

    try:
        return convert(of_pipeline, tensors)
    except LIBRARY_ERRORS as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RequestError(
            f"diffusers cannot read the names of {lora.name} ({printable(first)})", f"give a LoRA for a {pipeline}"
        ) from error


def _factor(lora: Lora, subfolder: str, module: str, rank: int) -> float:
    """alpha/rank, as PEFT's config states alpha. Without a config alpha equals the rank."""
    config = lora.config(subfolder)
    if not config:
        return 1.0
    if config.get("use_dora") or config.get("lora_bias"):
        raise RequestError(f"{lora.name} is a DoRA or has biases", "give a LoRA without them")
    patterns = config.get("alpha_pattern") or {}
    try:
        alpha = next(
            (value for pattern, value in patterns.items() if re.match(rf"(.*\.)?({pattern})$", module)),
            config.get("lora_alpha", rank),
        )
    except (AttributeError, re.error):
        alpha = patterns
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise RequestError(f"{lora.name} states the alpha {printable(repr(alpha))}", "give a LoRA with a number")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)
