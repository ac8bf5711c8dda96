"""LoRAs, added to the weights of a pipeline's modules by diffusers itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import safetensors.torch

from turbo_webnn.models.component import Component
from turbo_webnn.models.loras import Lora
from turbo_webnn.models.modules import build_meta
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.reference.torch_modules import as_request_error, silence_libraries


def fuse_loras(pipeline: Any, source: Source, components: Sequence[Component]) -> None:
    """Load the LoRAs of `source` into `pipeline`, and fuse them with the weights of `components`.

    Raises:
        RequestError: where diffusers cannot read a LoRA, or it does not fit the modules.
    """
    task = f"load the LoRAs of {source.name}"
    names = [f"lora_{number}" for number, _ in enumerate(source.loras)]
    with silence_libraries(), as_request_error(task, "give LoRAs that fit the checkpoint"):
        with _stand_ins(pipeline, source):
            for name, lora in zip(names, source.loras, strict=True):
                weights, options = _weights(lora)
                pipeline.load_lora_weights(weights, adapter_name=name, **options)
            pipeline.set_adapters(names, [lora.weight for lora in source.loras])
        loadable = {component.subfolder for component in components}.intersection(pipeline._lora_loadable_modules)
        if loadable:
            pipeline.fuse_lora(components=sorted(loadable), adapter_names=names)
        pipeline.unload_lora_weights()


def _weights(lora: Lora) -> tuple[Any, dict[str, Any]]:
    """The arguments of `load_lora_weights` for the file of `lora`, or for its tensors where its alphas differ.

    Alphas that differ are multiplied into the matrices.

    diffusers 0.42 gives attention layers the most frequent alpha of a file, whatever the file states for them
    (`get_peft_kwargs` makes patterns that match no attention layer).
    """
    tensors: dict[str, Any] = safetensors.torch.load_file(lora.path)
    alphas = {name.removesuffix(".alpha"): float(value) for name, value in tensors.items() if name.endswith(".alpha")}
    if len(set(alphas.values())) < 2:
        options = {"weight_name": lora.path.name, "use_safetensors": True, "local_files_only": True}
        return lora.path.parent, options
    for stem, alpha in alphas.items():
        rank = tensors[f"{stem}.lora_down.weight"].shape[0]
        tensors[f"{stem}.lora_up.weight"] = tensors[f"{stem}.lora_up.weight"].float() * (alpha / rank)
        del tensors[f"{stem}.alpha"]
    return tensors, {}


@contextmanager
def _stand_ins(pipeline: Any, source: Source) -> Iterator[None]:
    """In the block, `pipeline` has modules without numbers in the places of those that it lacks.

    diffusers loads a LoRA into all modules of a pipeline at once, and cannot do without one that the LoRA changes.
    """
    absent = [
        component
        for component in source.family.components
        if component.subfolder in pipeline._lora_loadable_modules and getattr(pipeline, component.subfolder) is None
    ]
    for component in absent:
        setattr(pipeline, component.subfolder, build_meta(component, source.config(component)))
    try:
        yield
    finally:
        for component in absent:
            setattr(pipeline, component.subfolder, None)
