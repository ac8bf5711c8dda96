"""Builds the torch modules of components, and matches the tensors of checkpoints to their parameters. Imports torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from turbo_webnn.models.checkpoint import Checkpoint, Tensor
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.loras.fusing import fuse
from turbo_webnn.models.printable import printable
from turbo_webnn.models.source import Source

_HARMLESS = re.compile(r"(^|\.)(position_ids|num_batches_tracked)$")
"""Buffers that older libraries saved and newer ones compute: they contain nothing that a config does not state."""


def weights_of(source: Source, component: Component, module: torch.nn.Module) -> Checkpoint:
    """The tensors of `component` in `source` under current names, with the differences of the LoRAs.

    No weight is read.

    Args:
        source: the checkpoint and its LoRAs.
        component: the component to read.
        module: its module, on the meta device or with fake tensors.

    Raises:
        RequestError: as `matched`, or if a LoRA does not fit.
    """
    checkpoint = matched(component, module, source.checkpoint(component))
    if not source.loras:
        return checkpoint
    family = source.family
    # diffusers renumbers the blocks of SDXL's UNet by this value; 2 is the default of its class
    layers = source.config(family.denoiser).get("layers_per_block", 2)
    return fuse(
        checkpoint,
        component,
        module,
        source.loras,
        pipeline=family.pipeline,
        subfolders={known.subfolder for known in family.known},
        unet_config=SimpleNamespace(layers_per_block=layers),
    )


def matched(component: Component, module: torch.nn.Module, checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with each tensor under the first name that `component.keys` gives for its parameter.

    The part converts older names and shapes. No numbers are read.

    Args:
        component: the component of the checkpoint.
        module: the component's module, on the meta device or with fake tensors.
        checkpoint: the tensors, whose numbers are not read yet.

    Raises:
        RequestError: names a tensor that no parameter of the module reads, because the config is of another model, or
            because the file has the parameter under two names. In both cases the picture would be wrong.
    """
    tensors = component.part.renamed(module, checkpoint.tensors)
    matched_tensors: dict[str, Tensor] = {}
    for name, parameter in module.state_dict().items():
        keys = component.keys(name)
        key = next((key for key in keys if key in tensors), None)
        if key is not None:
            matched_tensors[keys[0]] = component.part.adapted(name, tensors[key], tuple(parameter.shape))
    read_names = {stored.name for stored in matched_tensors.values()}
    ignored = [*(getattr(module, "_keys_to_ignore_on_load_unexpected", None) or ()), _HARMLESS]
    unread = [
        name
        for name in checkpoint.tensors.keys() - read_names
        if not component.part.ignores(name) and not any(re.search(pattern, name) for pattern in ignored)
    ]
    if unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        raise RequestError(
            f"{checkpoint.where} holds {printable(min(unread))}{more}, which the config of {component.name} has no "
            f"place for",
            "give the config that the weights were saved with",
        )
    return Checkpoint(checkpoint.where, matched_tensors)


def build_meta(component: Component, config: Mapping[str, Any]) -> Any:
    """Build the component's module on the meta device: its parameters have shapes and no numbers.

    Raises:
        RequestError: as `build`.
    """
    with torch.device("meta"):
        return build(component, config)


def build(component: Component, config: Mapping[str, Any]) -> Any:
    """Build the component's module in eval mode. The active torch mode makes its parameters.

    With `FakeTensorMode` or on the `meta` device the parameters need no memory.

    Raises:
        RequestError: if the library cannot build a module from `config`.
    """
    try:
        return component.part.build(config)
    except (*LIBRARY_ERRORS, StrictDataclassError) as error:
        raise RequestError(f"the config of {component.name} makes no {component.module}: {error}") from error
