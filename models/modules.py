"""The torch modules of the components, and the tensors of checkpoints under their names. Imports torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from turbo_webnn.models.checkpoint import Checkpoint, StoredTensor
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.printable import printable

_HARMLESS = re.compile(r"(^|\.)(position_ids|num_batches_tracked)$")
"""Buffers that older libraries saved and newer ones make anew: they say nothing that a config does not."""


def matched(component: Component, module: torch.nn.Module, checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with its tensors under the names that `component.keys` gives, the published form first.

    Older names and shapes are brought up to date as the part says. Nothing is read.

    Args:
        component: the component that the checkpoint holds.
        module: of `component`, on the meta device or fake.
        checkpoint: its tensors, unread.

    Raises:
        RequestError: names a tensor that no parameter of the module reads, because the config is of another model or
            the file has the parameter under two names: the picture would be another too.
    """
    tensors = component.part.renamed(module, checkpoint.tensors)
    ours: dict[str, StoredTensor] = {}
    for name, parameter in module.state_dict().items():
        keys = component.keys(name)
        key = next((key for key in keys if key in tensors), None)
        if key is not None:
            ours[keys[0]] = component.part.adapted(name, tensors[key], tuple(parameter.shape))
    read = {stored.name for stored in ours.values()}
    patterns = [*(getattr(module, "_keys_to_ignore_on_load_unexpected", None) or ()), _HARMLESS]
    unread = [
        name for name in checkpoint.tensors.keys() - read if not any(re.search(pattern, name) for pattern in patterns)
    ]
    if unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        raise RequestError(
            f"{checkpoint.where} holds {printable(min(unread))}{more}, which the config of {component.name} has no "
            f"place for",
            "give the config that the weights were saved with",
        )
    return Checkpoint(checkpoint.where, ours)


def build(component: Component, config: Mapping[str, Any]) -> Any:
    """The component's module in eval mode, its parameters made by whatever torch mode is active.

    Under `FakeTensorMode` or the `meta` device no parameter takes memory.

    Raises:
        RequestError: where the library cannot build a module from `config`.
    """
    try:
        return component.part.build(config)
    except (*LIBRARY_ERRORS, StrictDataclassError) as error:
        raise RequestError(f"the config of {component.name} makes no {component.module}: {error}") from error
