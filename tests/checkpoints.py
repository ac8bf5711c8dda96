"""Checkpoints in the forms in which people hold them, made from a diffusers folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from turbo_webnn.models.component import Component
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.modules import build, matched
from turbo_webnn.models.original_names import (
    Original,
    original_clip,
    original_open_clip,
    original_unet,
    original_vae,
)
from turbo_webnn.models.source import Source

Arrays = dict[str, np.ndarray]


def weights_in(folder: Path) -> Path:
    """The file with the weights of a component."""
    (path,) = folder.glob("*.safetensors")
    return path


def current(source: Source, component: Component) -> Arrays:
    """The arrays of a component under their published names."""
    with torch.device("meta"):
        module = build(component, source.config(component))
    tensors = matched(component, module, source.checkpoint(component)).tensors
    return {name: tensor.read().astype(np.float16) for name, tensor in tensors.items()}


def copied(folder: Path, to: Path, change: Mapping[str, Callable[[Arrays], Arrays]]) -> Path:
    """A copy of a diffusers folder, in which the weights of the subfolders in `change` are changed."""
    copy = Path(shutil.copytree(folder, to))
    for subfolder, function in change.items():
        path = weights_in(copy / subfolder)
        save_file(function(load_file(path)), path, metadata={"format": "pt"})
    return copy


def packed(
    source: Source,
    path: Path,
    *,
    only: Sequence[str] = (),
    prefix: str | None = None,
    open_clip: bool | None = None,
    extra: Arrays | None = None,
) -> Path:
    """Write a single file with the components of `source` under the original names.

    Args:
        source: the checkpoint.
        path: the file.
        only: the subfolders of its components; all where empty.
        prefix: of all names, instead of the published ones.
        open_clip: whether the text encoders have OpenCLIP's names; by default those with gelu.
        extra: more arrays for the file.
    """
    arrays: Arrays = dict(extra or {})
    for component in {component.subfolder: component for component in source.family.components}.values():
        if not only or component.subfolder in only:
            start = component.prefixes[0] if prefix is None else prefix
            arrays |= _original_arrays(source, component, start, open_clip)
    save_file(arrays, path, metadata={"format": "pt"})
    return path


def _original_arrays(source: Source, component: Component, prefix: str, open_clip: bool | None) -> Arrays:
    arrays = current(source, component)
    shapes = {name: array.shape for name, array in arrays.items()}
    config = read_json(source.folder / component.subfolder / "config.json")
    if component.tokenizer is not None:
        is_open = config["hidden_act"] == "gelu" if open_clip is None else open_clip
        rename = original_open_clip if is_open else original_clip
        originals: Sequence[Original] = rename(shapes, prefix)
    elif component.subfolder == "unet":
        originals = original_unet(shapes, config["layers_per_block"], prefix)
    else:
        originals = original_vae(shapes, prefix)
    return {original.name: _joined(original, arrays) for original in originals}


def _joined(original: Original, arrays: Arrays) -> np.ndarray:
    parts = [arrays[key].T if original.transposed else arrays[key] for key in original.keys]
    return np.ascontiguousarray(np.concatenate(parts).reshape(original.shape))
