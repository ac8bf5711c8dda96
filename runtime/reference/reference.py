"""The reference: diffusers and transformers in PyTorch, with one component in memory at a time.

In the runtime, only `runtime.reference` and `runtime.bench.pytorch_side` import torch. Results are numpy arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from turbo_webnn.models.clip_tokenizer import open_clip_tokenizer
from turbo_webnn.models.component import Size
from turbo_webnn.models.parts.autoencoder_kl import AutoencoderKLEncoder
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.conditions import TokenIds
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.reference.loading import load
from turbo_webnn.runtime.reference.sampler import DiffusersSampler
from turbo_webnn.runtime.reference.source_drawer import SourceDrawer
from turbo_webnn.runtime.reference.tokens import tokenize
from turbo_webnn.runtime.reference.torch_modules import (
    TYPES,
    Float16Products,
    OutputWatch,
    as_request_error,
    silence_libraries,
    to_numpy,
    watch_outputs,
)
from turbo_webnn.runtime.tensors.host import HostTensors
from turbo_webnn.runtime.verification.evidence import RecordingSide


class Reference(SourceDrawer[Array], RecordingSide):
    """The modules of `source`, run one by one by PyTorch.

    It is the reference in float16, inside components, and of families whose pipeline diffusers lacks. For the others
    `PipelineReference` is the reference in float32.

    Sampling uses diffusers' scheduler with the checkpoint's config, and noise from a torch generator. Sampling is
    always in float32, as with the bundle. `precision` is that of the modules.

    Raises:
        RequestError: by each method, where the source lacks the component, or its files cannot be read.
    """

    description = "modules of PyTorch, run one by one"

    def __init__(self, source: Source, size: Size, precision: Precision = "fp32") -> None:
        super().__init__(source, size)
        self._type = TYPES[precision]
        self.tensors = HostTensors()
        self._modules: dict[str, Any] = {}

    def token_ids(self, prompt: str) -> TokenIds:
        """Tokenize `prompt` as diffusers' pipelines do.

        Returns:
            Ids [1, 77] by the name of the text encoder.
        """
        return tokenize(self._tokenizers, prompt)

    def run(self, component: str, inputs: Mapping[str, Array], /, keep: OutputWatch | None = None) -> dict[str, Array]:
        """Run `component`.

        Args:
            component: the name of the component.
            inputs: arrays by name.
            keep: called with the path and the output of every submodule that returns one tensor.

        Returns:
            All outputs by name. The VAE encoder also gives its moments.
        """
        module, contract = self._module(component), self.source.family.component(component)
        part = contract.part
        moments = (part.moments,) if isinstance(part, AutoencoderKLEncoder) else ()
        extended = replace(contract, outputs=(*contract.outputs, *moments))
        tensors = {name: self._tensor(array) for name, array in inputs.items()}
        task = f"run {component} of {self.source.name}"
        with Float16Products(), watch_outputs(module, keep), as_request_error(task):
            outputs = part.reference(module, extended, tensors)
        arrays = {spec.name: to_numpy(output) for spec, output in zip(extended.outputs, outputs, strict=True)}
        if self.record is not None:
            self.record(component, inputs, {spec.name: arrays[spec.name] for spec in contract.outputs})
        return arrays

    def sampler(self, sampling: Sampling) -> DiffusersSampler[Array]:
        """Make a sampler with diffusers' scheduler, in float32."""
        return DiffusersSampler(self.source, sampling, self._latent_shape, torch.from_numpy, to_numpy)

    def release(self, component: str | None = None) -> None:
        """Free the memory of `component`, or of all. Components of the same module, as in a VAE, are freed together."""
        if component is None:
            self._modules.clear()
            return
        self._modules.pop(self.source.family.component(component).subfolder, None)

    @cached_property
    def _tokenizers(self) -> dict[str, Any]:
        encoders, folder = self.source.family.text_encoders, self.source.folder
        with silence_libraries():
            return {encoder.name: open_clip_tokenizer(folder / str(encoder.tokenizer)) for encoder in encoders}

    def _tensor(self, array: Array) -> Any:
        tensor = torch.from_numpy(array)
        return tensor.to(self._type) if tensor.is_floating_point() else tensor.long()

    def _module(self, name: str) -> Any:
        component = self.source.family.component(name)
        if component.subfolder not in self._modules:
            self._modules[component.subfolder] = load(self.source, component, self._type)
        return self._modules[component.subfolder]
