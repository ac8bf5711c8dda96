"""The small graphs between the components. Some programs run them instead of their own arithmetic.

They compute in float32 between casts: latents and their noise reach about 60, where float16 has little precision.
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
class GlueParameters:
    """The numbers that the small graphs depend on.

    Attributes:
        size: the size of the bundle.
        schedule: the schedule of one step.
        scaling_factor: the VAE's scaling factor.
        widths: the widths of the text encoders' states that the denoiser reads side by side, in order.
        embeds: the width of the text embeddings.
    """

    size: Size
    schedule: Schedule
    scaling_factor: float
    widths: tuple[int, ...]
    embeds: int

    @classmethod
    def of(cls, source: Source, size: Size, schedule: Schedule, scaling_factor: float) -> GlueParameters:
        """The parameters of a checkpoint; RequestError if a config is missing or not served."""
        widths = [
            [spec.shape(size, source.config(encoder))[-1] for encoder, spec in map(source.family.output, outputs)]
            for outputs in source.family.wiring.conditions.values()
        ]
        states, *pooled = widths
        return cls(size, schedule, scaling_factor, tuple(states), sum(map(sum, pooled)))

    @property
    def latents(self) -> str:
        """The type of latents, in ONNX text."""
        return f"float16[{self.size.batch},4,{self.size.latent_height},{self.size.latent_width}]"


def concat_graph(parameters: GlueParameters) -> str:
    """The graph that joins the states of one prompt and repeats states and embeddings for each picture.

    `sample` has one uninitialised number for each picture. An input must reach an output, so the graph adds `sample`
    times zero. It multiplies in int32, because an uninitialised float times zero may be NaN.
    """
    batch, (first, second), embeds = parameters.size.batch, parameters.widths, parameters.embeds
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


def latents_graph(parameters: GlueParameters) -> str:
    """The graph that draws noise of the shape of `sample`: the first latents, and the UNet's input made of them.

    WebNN has no random numbers. The UNet's input is computed from the rounded latents, so that the step from them is
    exact.
    """
    first = parameters.schedule.steps[0]
    return f"""
    latents ({parameters.latents} sample) => ({parameters.latents} latents, {parameters.latents} latentModelInput)
    <float sigma = {{{parameters.schedule.init_noise_sigma}}}, float spread = {{{1 / first.input_scale}}}>
    {{
        noise = RandomNormalLike <dtype = 1> (sample)
        noisy = Mul(noise, sigma)
        latents = Cast <to = 10> (noisy)
        rounded = Cast <to = 1> (latents)
        scaled = Div(rounded, spread)
        latentModelInput = Cast <to = 10> (scaled)
    }}"""


def scheduler_graph(parameters: GlueParameters) -> str:
    """The graph of the one Euler step to no noise, and of the division by the scaling factor for the VAE decoder."""
    (step,) = parameters.schedule.steps
    return f"""
    scheduler ({parameters.latents} sample, {parameters.latents} out_sample) => ({parameters.latents} prevSample)
    <float down = {{{step.next.output}}}, float factor = {{{parameters.scaling_factor}}}>
    {{
        latents = Cast <to = 1> (sample)
        noise = Cast <to = 1> (out_sample)
        move = Mul(noise, down)
        clean = Add(latents, move)
        unscaled = Div(clean, factor)
        prevSample = Cast <to = 10> (unscaled)
    }}"""


def sc_prep_graph(parameters: GlueParameters) -> str:
    """The graph that prepares decoded pictures for CLIP: the central square, resized to 224 by 224 and normalised.

    WebNN has only the bilinear Resize, which skips pixels if it halves a picture or more. So whole pixels are averaged
    first.
    """
    size, side = parameters.size, min(parameters.size.height, parameters.size.width)
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
     float[1,3,1,1] scales = {{{_join(scales)}}}, float[1,3,1,1] means = {{{_join(means)}}}>
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


GLUE: dict[str, Callable[[GlueParameters], str]] = {
    "concat": concat_graph,
    "latents": latents_graph,
    "scheduler": scheduler_graph,
    "sc_prep": sc_prep_graph,
}
"""By name, the function that gives the graph as ONNX text, with float16 at the boundary."""

ON_CPU = frozenset({"latents"})
"""The graphs that WebNN has no operators for: programs run them on the CPU."""


def write_glue(names: Iterable[str], layout: Layout, parameters: GlueParameters, bundle: Path) -> dict[str, Chain]:
    """Write the small graphs `names` to their places in `bundle`; return their entries in the manifest, by name."""
    chains = {}
    for name in names:
        model = make_glue(name, parameters)
        chain = write_chain(model, [model], bundle, layout.glue[name], lambda _done: None, inline=True)
        chains[name] = replace(chain, on_cpu=name in ON_CPU)
    return chains


def make_glue(name: str, parameters: GlueParameters) -> ir.Model:
    """Make the small graph `name`. Its constants are initializers, and every value has its shape."""
    text = f'<ir_version: 10, opset_import: ["" : {OPSET}]>{GLUE[name](parameters)}'
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text), data_prop=True)
    graph_model = ir.from_proto(model)
    common.RemoveUnusedNodesPass()(graph_model)  # removes also initializers that a picture of this shape does not need
    for node in graph_model.graph:
        node.name = f"{name}/{node.outputs[0].name}"
    return graph_model


def _join(numbers: list[float]) -> str:
    return ", ".join(map(repr, numbers))
