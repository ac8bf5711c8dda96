"""The reference of a verification: diffusers' own pipelines, called as a user of diffusers calls them.

Nothing of this project computes between the modules: prompts, sampling, scales and pictures are those of the
pipelines' `__call__`. The calls of the modules are watched, and become the evidence of the components.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput

from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.models.source import Source
from turbo_webnn.models.wiring import Wiring
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.conditions import TokenIds
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.reference.calls import watch_calls
from turbo_webnn.runtime.reference.loading import SWITCHES, open_pipeline
from turbo_webnn.runtime.reference.tokens import tokenize
from turbo_webnn.runtime.reference.torch_modules import as_request_error, silence_libraries
from turbo_webnn.runtime.verification.drawing import Drawing
from turbo_webnn.runtime.verification.evidence import Evidence, Recorder, picture_of, up_to_last

Embeds = Mapping[str, Any]
"""The encoded prompt, by the names of the pipelines' arguments."""


class PipelineReference:
    """The pipelines of `source` in float32, with pictures of `size`.

    The text encoders are in memory first, then the denoiser and the VAE.

    Attributes:
        description: the pipeline class, for the report.
    """

    def __init__(self, source: Source, size: Size) -> None:
        self.source = source
        self.description = f"{source.family.pipeline} of diffusers {diffusers.__version__}"
        self._size = size
        self._wiring: Wiring = source.family.wiring

    def token_ids(self, prompt: str) -> TokenIds:
        """Tokenize `prompt` as the pipelines do.

        Returns:
            Ids [1, 77] by the name of the text encoder.
        """
        return tokenize(self._tokenizers, prompt)

    @cached_property
    def _tokenizers(self) -> dict[str, Any]:
        pipeline = open_pipeline(self.source, [], tokenizers=True)
        return {encoder.name: getattr(pipeline, str(encoder.tokenizer)) for encoder in self.source.family.text_encoders}

    def gather(self, drawings: Sequence[Drawing], components: Iterable[str], report: ReportRuns) -> Evidence:
        """Draw all `drawings`, and record the runs of the components that they measure.

        Drawings end with the last component that any of `components` needs. Image-to-image drawings start from the
        first picture drawn from text.

        Raises:
            RequestError: where the checkpoint lacks a component, or diffusers cannot read or run it.
        """
        family, evidence = self.source.family, Evidence(list(drawings))
        from_text = [drawing for drawing in drawings if drawing.case.sampling.strength is None]
        from_image = [drawing for drawing in drawings if drawing.case.sampling.strength is not None]
        needed = family.text_to_image if from_image else up_to_last(family.text_to_image, frozenset(components))
        embeds = self._encode(evidence, report)
        gc.collect()  # libraries may keep the text encoders in cycles of references
        modules = [family.component(name) for name in needed if name in (self._wiring.denoiser, self._wiring.decoder)]
        if not modules:
            return evidence
        pipeline = open_pipeline(self.source, modules)
        self._draw(pipeline, modules, from_text, evidence, embeds, report)
        if from_image:
            picture = picture_of(from_text[0])
            for drawing in from_image:
                drawing.picture = picture
            with silence_libraries(), as_request_error(f"make the image-to-image pipeline of {self.source.name}"):
                switches = {name: value for name, value in SWITCHES.items() if name in _options(pipeline)}
                pipeline = diffusers.AutoPipelineForImage2Image.from_pipe(pipeline, **switches)
            modules = [family.component(str(self._wiring.encoder)), *modules]
            self._draw(pipeline, modules, from_image, evidence, embeds, report)
        return evidence

    def _encode(self, evidence: Evidence, report: ReportRuns) -> dict[str, Embeds]:
        """Encode the prompts of all drawings; free the text encoders."""
        encoders = self.source.family.text_encoders
        pipeline = open_pipeline(self.source, encoders, tokenizers=True)
        names = [name for name in inspect.signature(pipeline.encode_prompt).parameters if name.endswith("embeds")]
        prompts = list(dict.fromkeys(drawing.case.prompt for drawing in evidence.drawings))
        encoded: dict[str, Embeds] = {}
        for done, prompt in enumerate(prompts):
            _report_all(report, encoders, done, len(prompts))
            recorders = [evidence.recorder(item.case) for item in evidence.drawings if item.case.prompt == prompt]
            with ExitStack() as stack:
                # one row is encoded, and the pipeline repeats it for the pictures of a batch
                self._enter(stack, pipeline, encoders, recorders, repeat=self._size.batch)
                results = pipeline.encode_prompt(
                    prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
                )
            # the results have the order of the arguments of the same names
            embeds = zip(names, results, strict=True)
            encoded[prompt] = {name: value for name, value in embeds if value is not None}
        _report_all(report, encoders, len(prompts), len(prompts))
        return encoded

    def _draw(
        self,
        pipeline: Any,
        components: Sequence[Component],
        drawings: Sequence[Drawing],
        evidence: Evidence,
        embeds: Mapping[str, Embeds],
        report: ReportRuns,
    ) -> None:
        """Call `pipeline` for each drawing; watch `components`. Without a decoder the pictures stay latents."""
        decodes = any(component.name == self._wiring.decoder for component in components)
        for done, drawing in enumerate(drawings):
            _report_all(report, components, done, len(drawings))
            sampling = drawing.case.sampling
            arguments: dict[str, Any] = (
                {"height": self._size.height, "width": self._size.width}
                if drawing.picture is None
                else {"image": images.to_images(drawing.picture), "strength": sampling.strength}
            )
            with ExitStack() as stack:
                recorders = [evidence.recorder(drawing.case)]
                self._enter(stack, pipeline, components, recorders, posterior=sampling.posterior)
                (pictures, *_flags) = pipeline(
                    **embeds[drawing.case.prompt],
                    **arguments,
                    num_inference_steps=sampling.steps,
                    guidance_scale=0.0,
                    num_images_per_prompt=self._size.batch,
                    generator=torch.Generator().manual_seed(sampling.seed),
                    output_type="pt" if decodes else "latent",
                    return_dict=False,
                )
            if decodes:
                drawing.sample = _to_array(2 * pictures - 1)
        _report_all(report, components, len(drawings), len(drawings))

    def _enter(
        self,
        stack: ExitStack,
        pipeline: Any,
        components: Sequence[Component],
        recorders: Sequence[Recorder],
        *,
        repeat: int = 1,
        posterior: bool = False,
    ) -> None:
        """Enter the contexts of a call of `pipeline`: its errors, no gradients, and the watches of `components`."""
        stack.enter_context(as_request_error(f"run the pipeline of {self.source.name}"))
        stack.enter_context(silence_libraries())
        stack.enter_context(torch.no_grad())
        pipeline.set_progress_bar_config(disable=True)
        for component in components:
            module, method = getattr(pipeline, component.subfolder), component.part.called
            takes_mean = component.name == self._wiring.encoder and not posterior
            watch = self._watch(module, component, recorders, repeat, takes_mean=takes_mean)
            stack.enter_context(watch_calls(module, str(method), watch))

    def _watch(
        self, module: Any, component: Component, recorders: Sequence[Recorder], repeat: int, *, takes_mean: bool
    ) -> Any:
        def watch(arguments: Sequence[Any], named: Mapping[str, Any], result: Any) -> Any:
            inputs, outputs = component.part.observed(module, component, arguments, named, result)
            input_arrays = {name: np.repeat(_to_array(tensor), repeat, axis=0) for name, tensor in inputs.items()}
            output_arrays = {
                spec.name: np.repeat(_to_array(tensor), repeat, axis=0)
                for spec, tensor in zip(component.outputs, outputs, strict=True)
            }
            for record in recorders:
                record(component.name, input_arrays, output_arrays)
            return mean_latents(result) if takes_mean else result

        return watch


def mean_latents(encoded: Any) -> Any:
    """The result of a VAE's encoder with the mean of the latents in place of their distribution.

    A pipeline then starts from the mean, as bundles do, and its generator is not used before the noise. Scales and
    statistics of latents are still applied by the pipeline.
    """
    return AutoencoderTinyOutput(latents=encoded.latent_dist.mode())


def _options(pipeline: Any) -> set[str]:
    _, options = pipeline._get_signature_keys(type(pipeline))
    return set(options)


def _report_all(report: ReportRuns, components: Sequence[Component], done: int, total: int) -> None:
    for component in components:
        report(component.name, done, total)


def _to_array(tensor: Any) -> Array:
    """Copy `tensor` to an array: the library may write to its memory later."""
    array: Array = tensor.to(torch.float32 if tensor.is_floating_point() else torch.int32).numpy().copy()
    return array
