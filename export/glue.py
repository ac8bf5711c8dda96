"""The small graphs between the components, which some programs run in place of arithmetic of their own.

All compute in float32 between casts: latents of some 60 and their noise leave little of float16's precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import onnx.parser
import onnx.shape_inference
import onnx_ir as ir
from onnx_ir.passes import common
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from turbo_webnn.export.trace import OPSET
from turbo_webnn.export.writer import write_chain
from turbo_webnn.models.chain import Chain
from turbo_webnn.models.component import Size
from turbo_webnn.models.layouts.layout import Layout
from turbo_webnn.models.parts.clip_text import TOKENS
from turbo_webnn.models.parts.safety_checker import SAFETY_PIXELS
from turbo_webnn.models.schedule import Schedule
from turbo_webnn.models.source import Source


@dataclass(frozen=True)
class Numbers:
    """What the small graphs are made of.

    Attributes:
        size: of the bundle.
        schedule: of one step.
        scaling_factor: the VAE's.
        widths: of the states that the denoiser reads side by side, in order.
        embeds: width of the text embeddings.
    """

    size: Size
    schedule: Schedule
    scaling_factor: float
    widths: tuple[int, ...]
    embeds: int

    @classmethod
    def of(cls, source: Source, size: Size, schedule: Schedule, scaling_factor: float) -> Numbers:
        """Those of a checkpoint; RequestError where a config is missing or not served."""
        wired = [
            [spec.shape(size, source.config(encoder))[-1] for encoder, spec in map(source.family.output, outputs)]
            for outputs in source.family.wiring.conditions.values()
        ]
        states, *pooled = wired
        return cls(size, schedule, scaling_factor, tuple(states), sum(map(sum, pooled)))

    @property
    def latents(self) -> str:
        """The type of latents, in ONNX text."""
        return f"float16[{self.size.batch},4,{self.size.latent_height},{self.size.latent_width}]"


def concat(numbers: Numbers) -> str:
    """One prompt's states and embeddings side by side, once for each picture.

    `sample` has one number for each picture, of which none is initialised: it is multiplied by zero while it is
    int32, for no float is sure to give zero then, and added, for an input must reach an output.
    """
    batch, (first, second), embeds = numbers.size.batch, numbers.widths, numbers.embeds
    return f"""
    concat (float16[1,{TOKENS},{first}] hidden_states_1, float16[1,{TOKENS},{second}] hidden_states_2,
            float16[1,{embeds}] text_embeds, int32[{batch}] sample)
        => (float16[{batch},{TOKENS},{first + second}] prompt_embeds, float16[{batch},{embeds}] pooled_prompt_embeds)
    <int32 none = {{0}}, int64[3] like_states = {{{batch}, 1, 1}}, int64[2] like_embeds = {{{batch}, 1}}>
    {{
        blank = Mul(sample, none)
        zeros = Cast <to = 10> (blank)
        states = Concat <axis = 2> (hidden_states_1, hidden_states_2)
        for_states = Reshape(zeros, like_states)
        prompt_embeds = Add(states, for_states)
        for_embeds = Reshape(zeros, like_embeds)
        pooled_prompt_embeds = Add(text_embeds, for_embeds)
    }}"""


def latents(numbers: Numbers) -> str:
    """Noise of the shape of `sample`, as latents and scaled for the UNet. WebNN draws no random numbers.

    The UNet's input is made of the latents as they are rounded, so that the step from them is exact.
    """
    first = numbers.schedule.steps[0]
    return f"""
    latents ({numbers.latents} sample) => ({numbers.latents} latents, {numbers.latents} latentModelInput)
    <float sigma = {{{numbers.schedule.init_noise_sigma}}}, float spread = {{{1 / first.input_scale}}}>
    {{
        noise = RandomNormalLike <dtype = 1> (sample)
        noisy = Mul(noise, sigma)
        latents = Cast <to = 10> (noisy)
        rounded = Cast <to = 1> (latents)
        scaled = Div(rounded, spread)
        latentModelInput = Cast <to = 10> (scaled)
    }}"""


def scheduler(numbers: Numbers) -> str:
    """The one Euler step, down to no noise, and the division that the VAE decoder's input asks for."""
    (step,) = numbers.schedule.steps
    return f"""
    scheduler ({numbers.latents} sample, {numbers.latents} out_sample) => ({numbers.latents} prevSample)
    <float down = {{{step.next.output}}}, float factor = {{{numbers.scaling_factor}}}>
    {{
        latents = Cast <to = 1> (sample)
        noise = Cast <to = 1> (out_sample)
        move = Mul(noise, down)
        clean = Add(latents, move)
        unscaled = Div(clean, factor)
        prevSample = Cast <to = 10> (unscaled)
    }}"""


def sc_prep(numbers: Numbers) -> str:
    """Decoded pictures as CLIP looks at them: the central square, in 224 by 224, less the mean, by the deviation.

    A bilinear Resize, the only one that WebNN has, skips pixels where it halves a picture or more: whole pixels are
    averaged before.
    """
    size, side = numbers.size, min(numbers.size.height, numbers.size.width)
    top, left, pool = (size.height - side) // 2, (size.width - side) // 2, side // SAFETY_PIXELS
    crop = "cropped = Slice(clipped, starts, ends, axes)" if top or left else ""
    square = "cropped" if crop else "clipped"
    average = f"averaged = AveragePool <kernel_shape = [{pool}, {pool}], strides = [{pool}, {pool}]> ({square})"
    means = [(0.5 - mean) / std for mean, std in zip(OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, strict=True)]
    scales = [0.5 / std for std in OPENAI_CLIP_STD]
    return f"""
    sc_prep (float16[{size.batch},3,{size.height},{size.width}] sample)
        => (float16[{size.batch},3,{SAFETY_PIXELS},{SAFETY_PIXELS}] clip_input)
    <float low = {{-1}}, float high = {{1}}, int64[2] axes = {{2, 3}},
     int64[2] starts = {{{top}, {left}}}, int64[2] ends = {{{top + side}, {left + side}}},
     int64[4] sizes = {{{size.batch}, 3, {SAFETY_PIXELS}, {SAFETY_PIXELS}}},
     float[1,3,1,1] scales = {{{_listed(scales)}}}, float[1,3,1,1] means = {{{_listed(means)}}}>
    {{
        pixels = Cast <to = 1> (sample)
        clipped = Clip(pixels, low, high)
        {crop}
        {average if pool > 1 else ""}
        resized = Resize <mode = "linear"> ({"averaged" if pool > 1 else square}, , , sizes)
        scaled = Mul(resized, scales)
        centred = Add(scaled, means)
        clip_input = Cast <to = 10> (centred)
    }}"""


GLUE: dict[str, Callable[[Numbers], str]] = {
    "concat": concat,
    "latents": latents,
    "scheduler": scheduler,
    "sc_prep": sc_prep,
}
"""By name; each gives its graph as ONNX text, with float16 at the boundary."""

ON_CPU = frozenset({"latents"})
"""What WebNN has no operators for: its programs run it on the CPU."""


def write_glue(names: Iterable[str], layout: Layout, numbers: Numbers, bundle: Path) -> dict[str, Chain]:
    """Write those small graphs to their places in `bundle`; return their entries in the manifest, by name."""
    chains = {}
    for name in names:
        model = glue(name, numbers)
        chain = write_chain(model, [model], bundle, layout.glue[name], lambda _done: None, inline=True)
        chains[name] = replace(chain, on_cpu=name in ON_CPU)
    return chains


def glue(name: str, numbers: Numbers) -> ir.Model:
    """The small graph `name`, its constants lifted to initializers and every value with its shape."""
    text = f'<ir_version: 10, opset_import: ["" : {OPSET}]>{GLUE[name](numbers)}'
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text), data_prop=True)
    made = ir.from_proto(model)
    common.RemoveUnusedNodesPass()(made)  # and what initializers a picture of this shape does not need
    for node in made.graph:
        node.name = f"{name}/{node.outputs[0].name}"
    return made


def _listed(numbers: list[float]) -> str:
    return ", ".join(map(repr, numbers))
