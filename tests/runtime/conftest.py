"""A miniature bundle by hand: graphs whose numbers can be worked out on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.parser
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from turbo_webnn.models.bundle import Bundle, Manifest, Tokenizer, describe, write_manifest
from turbo_webnn.models.chain import Chain, Graph, Tensor
from turbo_webnn.models.component import Size
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.precision import BOUNDARY_TYPE, Precision
from turbo_webnn.models.schedule import Schedule
from turbo_webnn.models.schedulers.euler import euler_step

LENGTH = 8
PAD_ID = 3
WORDS = ("<start>", "<end>", "<unknown>", "!", "a", "cat", "on", "mat")
SCALING_FACTOR = 0.5
SIGMAS = (14.0, 4.0, 1.5, 0.5)

_ONNX_TYPE = {"float32": "float", "float16": "float16"}

# Ids to numbers: states = ids.
_TEXT_ENCODER = """
<ir_version: 10, opset_import: ["" : 20]>
text_encoder (int32[{B},8] input_ids) => ({T}[{B},8,1] last_hidden_state)
<int64[1] last = {{2}}>
{{
  numbers = Cast<to = {N}>(input_ids)
  last_hidden_state = Unsqueeze(numbers, last)
}}
"""

# eps = sample / 2 + timestep / 1000 + mean(states).
_UNET = """
<ir_version: 10, opset_import: ["" : 20]>
unet ({T}[{B},4,{h},{w}] sample, {T}[1] timestep, {T}[{B},8,1] encoder_hidden_states)
  => ({T}[{B},4,{h},{w}] out_sample)
<float[1] half = {{0.5}}, float[1] thousandth = {{0.001}}, int64[2] axes = {{1, 2}}, int64[1] last = {{3}}>
{{
  mean = ReduceMean(encoder_hidden_states, axes)
  deep = Unsqueeze(mean, last)
  typed_half = Cast<to = {N}>(half)
  typed_thousandth = Cast<to = {N}>(thousandth)
  halved = Mul(sample, typed_half)
  time = Mul(timestep, typed_thousandth)
  timed = Add(halved, time)
  out_sample = Add(timed, deep)
}}
"""

# The same in two graphs: the latents with their time, and what is told about the picture.
_UNET_TIMED = """
<ir_version: 10, opset_import: ["" : 20]>
unet_1 ({T}[{B},4,{h},{w}] sample, {T}[1] timestep) => ({T}[{B},4,{h},{w}] timed)
<float[1] half = {{0.5}}, float[1] thousandth = {{0.001}}>
{{
  typed_half = Cast<to = {N}>(half)
  typed_thousandth = Cast<to = {N}>(thousandth)
  halved = Mul(sample, typed_half)
  time = Mul(timestep, typed_thousandth)
  timed = Add(halved, time)
}}
"""

_UNET_TOLD = """
<ir_version: 10, opset_import: ["" : 20]>
unet_2 ({T}[{B},8,1] encoder_hidden_states, {T}[{B},4,{h},{w}] timed) => ({T}[{B},4,{h},{w}] out_sample)
<int64[2] axes = {{1, 2}}, int64[1] last = {{3}}>
{{
  mean = ReduceMean(encoder_hidden_states, axes)
  deep = Unsqueeze(mean, last)
  out_sample = Add(timed, deep)
}}
"""

# Three of the four latents, each as a square of 8 by 8 pixels.
_VAE_DECODER = """
<ir_version: 10, opset_import: ["" : 20]>
vae_decoder ({T}[{B},4,{h},{w}] latent_sample) => ({T}[{B},3,{H},{W}] sample)
<int64[1] zero = {{0}}, int64[1] three = {{3}}, int64[1] channel = {{1}}, float[4] by = {{1, 1, 8, 8}}>
{{
  colours = Slice(latent_sample, zero, three, channel)
  sample = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">
    (colours, , by)
}}
"""

# The mean colour of each square, and zero.
_VAE_ENCODER = """
<ir_version: 10, opset_import: ["" : 20]>
vae_encoder ({T}[{B},3,{H},{W}] sample) => ({T}[{B},4,{h},{w}] latent_sample)
<int64[8] pads = {{0, 0, 0, 0, 0, 1, 0, 0}}>
{{
  colours = AveragePool<kernel_shape = [8, 8], strides = [8, 8]>(sample)
  latent_sample = Pad(colours, pads)
}}
"""

_GRAPHS = {
    "text_encoder": (_TEXT_ENCODER,),
    "unet": (_UNET,),
    "vae_decoder": (_VAE_DECODER,),
    "vae_encoder": (_VAE_ENCODER,),
}

_CUT = {"unet": (_UNET_TIMED, _UNET_TOLD)}

MakeBundle = Callable[..., Bundle]


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Writes a miniature bundle of the given precision, size and components, its UNet whole or cut in two; opens it."""

    def make(
        precision: Precision = "fp32",
        size: Size | None = None,
        components: tuple[str, ...] = tuple(_GRAPHS),
        *,
        cut: bool = False,
    ) -> Bundle:
        size = size or Size(1, 16, 24)
        dtype = BOUNDARY_TYPE[precision]
        texts = _GRAPHS | (_CUT if cut else {})
        chains = {name: _write_chain(tmp_path, name, texts[name], dtype, size) for name in components}
        manifest = Manifest(
            family="stable-diffusion",
            layout="webnn",
            precision=precision,
            size=size,
            source={"name": "miniature", "revision": None, "variant": None, "license": None},
            scaling_factor=SCALING_FACTOR,
            scheduler="EulerDiscreteScheduler",
            schedules={steps: schedule(steps) for steps in (1, 2, 4)},
            components=chains,
            tokenizers={"tokenizer": _write_tokenizer(tmp_path)},
            conditions={},
            wiring=STABLE_DIFFUSION.wiring,
        )
        write_manifest(tmp_path, manifest)
        return Bundle.open(tmp_path)

    return make


def schedule(steps: int, noise_scale: float = 0.0) -> Schedule:
    """A schedule of `steps` steps over SIGMAS; all but the last add noise."""
    sigmas = [*SIGMAS[:: len(SIGMAS) // steps], 0.0]
    return Schedule(
        init_noise_sigma=sigmas[0],
        steps=tuple(
            euler_step(100.0 * sigmas[i], sigmas[i], sigmas[i + 1], noise_scale if i + 1 < steps else 0.0)
            for i in range(steps)
        ),
    )


def _write_chain(folder: Path, name: str, texts: tuple[str, ...], dtype: str, size: Size) -> Chain:
    graphs = [_write_graph(folder, f"{name}/model-{i}.onnx", text, dtype, size) for i, text in enumerate(texts)]
    made = {tensor.name for graph in graphs for tensor in graph.outputs}
    inputs = {tensor.name: tensor for graph in graphs for tensor in graph.inputs if tensor.name not in made}
    return Chain(tuple(inputs.values()), graphs[-1].outputs, tuple(graphs))


def _write_graph(folder: Path, name: str, text: str, dtype: str, size: Size) -> Graph:
    numbers = {
        "B": size.batch,
        "H": size.height,
        "W": size.width,
        "h": size.latent_height,
        "w": size.latent_width,
    }
    kind = onnx.TensorProto.FLOAT if dtype == "float32" else onnx.TensorProto.FLOAT16
    model = onnx.parser.parse_model(text.format(T=_ONNX_TYPE[dtype], N=int(kind), **numbers))
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, path)
    return Graph(
        files=(describe(folder, path),),
        nodes=len(model.graph.node),
        inputs=tuple(_tensor(value) for value in model.graph.input),
        outputs=tuple(_tensor(value) for value in model.graph.output),
    )


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return Tensor(value.name, dtype, tuple(dim.dim_value for dim in kind.shape.dim))


def _write_tokenizer(folder: Path) -> Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 0), ("<end>", 1)]
    )
    tokenizer.enable_padding(length=12, pad_id=1, pad_token="<end>")  # as published files do: the runner must not
    path = folder / "tokenizer" / "tokenizer.json"
    path.parent.mkdir(exist_ok=True)
    tokenizer.save(str(path))
    return Tokenizer((describe(folder, path),), LENGTH, PAD_ID, "text_encoder")
