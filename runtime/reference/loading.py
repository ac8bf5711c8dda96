"""The components of a checkpoint as diffusers and transformers load them: single modules, or a pipeline object.

A pipeline object may have a part of its modules only, so that text encoders and denoiser need not be in memory
together. Nothing is downloaded, and no pickle is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch

from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.clip_tokenizer import open_clip_tokenizer
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.modules import build, build_meta, matched
from turbo_webnn.models.parts.clip_text import TOKENS
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.reference.loras import fuse_loras
from turbo_webnn.runtime.reference.sampler import make_scheduler
from turbo_webnn.runtime.reference.torch_modules import as_request_error, silence_libraries

_COMPLETE = "give a complete diffusers folder"

SWITCHES: Mapping[str, Any] = {"requires_safety_checker": False, "add_watermarker": False}
"""Options of pipeline classes that would change the pictures after they are decoded."""


def pipeline_class(family: Family) -> Any:
    """The class of diffusers that `family` names; None where diffusers lacks it, or it does not call a part."""
    found = getattr(diffusers, family.pipeline, None)
    is_pipeline = isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)
    return found if is_pipeline and all(component.part.called for component in family.components) else None


def open_pipeline(
    source: Source, components: Sequence[Component], dtype: Any = torch.float32, *, tokenizers: bool = False
) -> Any:
    """Open a pipeline object of diffusers that has the modules of `components` only.

    The scheduler and the values of `model_index.json` are read by diffusers. Safety checker and watermark are off.

    Args:
        source: the checkpoint, of a family with a `pipeline_class`.
        components: the components to load, in `dtype`.
        dtype: the type of the modules.
        tokenizers: whether the pipeline has the tokenizers too.

    Raises:
        RequestError: as `load`, and where diffusers cannot make the pipeline.
    """
    pipeline_type, family = pipeline_class(source.family), source.family
    names, options = pipeline_type._get_signature_keys(pipeline_type)
    modules: dict[str, Any] = {
        component.subfolder: _load_module(source, component, dtype)
        for component in {component.subfolder: component for component in components}.values()
        if source.file is None or component.subfolder in source.parts
    }
    if source.scheduler:
        modules["scheduler"] = make_scheduler(source)
    given = {
        **{name: None for name in names if name != "scheduler"},
        **{name: value for name, value in SWITCHES.items() if name in options},
        **modules,
    }
    if tokenizers:
        given |= {str(encoder.tokenizer): _tokenizer(source, encoder) for encoder in family.text_encoders}
    task = f"load the pipeline of {source.name}"
    with silence_libraries(), as_request_error(task, _COMPLETE):
        if source.file is None:
            pipeline = pipeline_type.from_pretrained(
                source.folder, use_safetensors=True, local_files_only=True, torch_dtype=dtype, **given
            )
        else:
            for component in components:  # whatever is not passed is read from the file
                if component.subfolder not in modules:
                    given.pop(component.subfolder)
            pipeline = pipeline_type.from_single_file(
                str(source.file), config=str(source.folder), local_files_only=True, torch_dtype=dtype, **given
            )
    for component in components:
        _require_whole(source, component, getattr(pipeline, component.subfolder))
    if source.loras:
        fuse_loras(pipeline, source, components)
    return pipeline


def load(source: Source, component: Component, dtype: Any = torch.float32) -> Any:
    """Load the component's module in `dtype`, ready to run.

    Raises:
        RequestError: where the config or the weights are missing, corrupt, or of another architecture, or the
            checkpoint contains more than the module reads.
    """
    if source.file is None and not source.loras:
        return _load_module(source, component, dtype)
    return getattr(open_pipeline(source, [component], dtype), component.subfolder)


def _load_module(source: Source, component: Component, dtype: Any) -> Any:
    """Load the component's module from its own folder."""
    config, checkpoint = source.config(component), source.checkpoint(component)
    matching = matched(component, build_meta(component, config), checkpoint)
    if any(stored.shape != checkpoint.tensors[stored.name].shape for stored in matching.tensors.values()):
        return _assemble(component, config, matching, dtype)
    file = source.file_of(component)
    if file is not None:
        return _load_file(source, component, file, matching, dtype)
    folder, variant = source.folder_of(component)
    with silence_libraries(), as_request_error(f"load {component.name} of {source.name}", _COMPLETE):
        module, missing = component.part.load(folder, variant, dtype)
    if missing:  # the libraries only warn, and initialise these weights with random numbers
        raise _missing(source, component, min(missing))
    return module.eval().requires_grad_(False)


def _load_file(source: Source, component: Component, file: Path, matching: Checkpoint, dtype: Any) -> Any:
    """Load the component's module from the file `file` of a part."""
    module_type, folder = getattr(diffusers, component.module), source.folder_of(component)[0]
    if all(tensor.name == name for name, tensor in matching.tensors.items()) or any(
        name.startswith(component.prefixes) for name in source.checkpoint(component).tensors
    ):
        with silence_libraries(), as_request_error(f"load {component.name} of {source.name}", _COMPLETE):
            module = module_type.from_single_file(
                str(file), config=str(folder), local_files_only=True, torch_dtype=dtype, low_cpu_mem_usage=True
            )
        _require_whole(source, component, module)
        return module
    # diffusers opens no UNet under the original names without their prefix
    return _assemble(component, source.config(component), matching, dtype)


def _assemble(component: Component, config: Mapping[str, Any], checkpoint: Checkpoint, dtype: Any) -> Any:
    """Build the module and copy the tensors of `checkpoint`, where diffusers cannot load their shapes on disk."""
    module = build(component, config)
    for name, parameter in module.named_parameters():
        stored = checkpoint.tensor(tuple(parameter.shape), *component.keys(name))
        parameter.data.copy_(torch.from_numpy(stored.read()))
    return module.to(dtype).requires_grad_(False)


def _tokenizer(source: Source, encoder: Component) -> Any:
    """The tokenizer of `encoder`, which pads to `TOKENS` also where its config states no length."""
    tokenizer = open_clip_tokenizer(source.folder / str(encoder.tokenizer))
    tokenizer.model_max_length = TOKENS
    return tokenizer


def _require_whole(source: Source, component: Component, module: Any) -> None:
    """Refuse a module that a file gave no numbers for some parameters: diffusers leaves them on the meta device."""
    missing = [name for name, parameter in module.named_parameters() if parameter.is_meta]
    if missing:
        raise _missing(source, component, min(missing))
    module.eval().requires_grad_(False)


def _missing(source: Source, component: Component, name: str) -> RequestError:
    return RequestError(f"{component.name} of {source.name} has no tensor {name}", "give a complete checkpoint")
