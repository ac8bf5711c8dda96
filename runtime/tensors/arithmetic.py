"""The arithmetic between components as small graphs on the device: sampler steps, casts, pixels.

A graph is a few nodes in ONNX's text format, made for the types and shapes of its slots. The order of operations is
that of `runtime.tensors.host` and `runtime.draw.images`, so that float32 gives the same bits, except for `exp`, which
onnxruntime and numpy round differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.ort.loading import start
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.bound import BoundSession
from turbo_webnn.runtime.tensors.slots import Slot, Slots

_ONNX_TYPES = {"float32": ("float", 1), "uint8": ("uint8", 2), "float16": ("float16", 10)} | {
    "int32": ("int32", 6),
    "int64": ("int64", 7),
    "bool": ("bool", 9),
}
"""The name of each type in ONNX's text format, and its number in TensorProto."""

_HEADER = '<ir_version: 10, opset_import: ["" : 20]>'

_ADD = "{{ wide = Cast<to = 1>(z)  more = Mul(wide, by)  y = Add(x, more) }}"

_MULTIPLY = "{{ wide = Cast<to = 1>(x)  product = Mul(wide, by)  y = Cast<to = {y}>(product) }}"

_MEAN = "{{ mean, _ = Split<axis = 1, num_outputs = 2>(x)  y = Cast<to = 1>(mean) }}"

_SAMPLE = """
  <float half = {{0.5}}>
{{
  wide = Cast<to = 1>(x)
  mean, log_variance = Split<axis = 1, num_outputs = 2>(wide)
  halved = Mul(log_variance, half)
  deviation = Exp(halved)
  more = Mul(deviation, z)
  y = Add(mean, more)
}}
"""

_PIXELS = """
  <float two = {{2}}, float half = {{0.5}}, float zero = {{0}}, float one = {{1}}, float most = {{255}}>
{{
  wide = Cast<to = 1>(x)
  halved = Div(wide, two)
  unit = Add(halved, half)
  clipped = Clip(unit, zero, one)
  scaled = Mul(clipped, most)
  rounded = Round(scaled)
  bytes = Cast<to = 2>(rounded)
  y = Transpose<perm = [0, 2, 3, 1]>(bytes)
}}
"""

# Zero times infinity or NaN is NaN.
_IS_FINITE = """
  <float zero = {{0}}>
{{
  wide = Cast<to = 1>(x)
  zeros = Mul(wide, zero)
  y = ReduceSum<keepdims = 0>(zeros)
}}
"""


class Arithmetic:
    """Computes from slots into slots with small graphs.

    Raises:
        RequestError: by each method, where the package onnx is not installed, which makes the graphs, or onnxruntime
            fails.
    """

    def __init__(self, settings: Settings, slots: Slots) -> None:
        self._settings = settings
        self._factor = slots.at("arithmetic.by", "float32", (1,))
        self._sum = slots.at("arithmetic.checked", "float32", ())
        self._sessions: dict[str, BoundSession] = {}

    def add(self, x: Slot, z: Slot, by: float, y: Slot) -> None:
        """Compute y = x + by·z in float32; `y` is not `x`."""
        self._factor.put(np.array([by]))
        self._run(_ADD, {"x": x, "z": z, "by": self._factor}, {"y": y})

    def multiply(self, x: Slot, by: float, y: Slot) -> None:
        """Compute y = x·by in float32, cast to the type of `y`."""
        self._factor.put(np.array([by]))
        self._run(_MULTIPLY, {"x": x, "by": self._factor}, {"y": y})

    def mean(self, x: Slot, y: Slot) -> None:
        """Compute the first half of the channels of `x`, in float32."""
        self._run(_MEAN, {"x": x}, {"y": y})

    def sample(self, x: Slot, z: Slot, y: Slot) -> None:
        """Compute mean + exp(v / 2)·z in float32, where mean and v are the halves of the channels of `x`."""
        self._run(_SAMPLE, {"x": x, "z": z}, {"y": y})

    def concatenate(self, parts: Sequence[Slot], whole: Slot) -> None:
        """Concatenate `parts` along their last axis into `whole`."""
        inputs = {f"part_{i}": part for i, part in enumerate(parts)}
        names = ", ".join(inputs)
        self._run(
            f"{{{{ joined = Concat<axis = -1>({names})  whole = Cast<to = {{whole}}>(joined) }}}}",
            inputs,
            {"whole": whole},
        )

    def copy(self, pairs: Sequence[tuple[Slot, Slot]]) -> None:
        """Copy the first slot of each pair into the second, cast to its type."""
        if not pairs:
            return
        inputs = {f"x{i}": x for i, (x, _) in enumerate(pairs)}
        outputs = {f"y{i}": y for i, (_, y) in enumerate(pairs)}
        casts = " ".join(f"y{i} = Cast<to = {{y{i}}}>(x{i})" for i in range(len(pairs)))
        self._run(f"{{{{ {casts} }}}}", inputs, outputs)

    def to_pixels(self, x: Slot, y: Slot) -> None:
        """Convert samples [batch, 3, height, width] in -1…1 to bytes [batch, height, width, 3]."""
        self._run(_PIXELS, {"x": x}, {"y": y})

    def is_finite(self, x: Slot) -> bool:
        """Whether every number of `x` is finite. Only one number is copied to the host."""
        self._run(_IS_FINITE, {"x": x}, {"y": self._sum})
        return bool(np.isfinite(self._sum.get()))

    def _run(self, body: str, inputs: Mapping[str, Slot], outputs: Mapping[str, Slot]) -> None:
        type_numbers = {name: _ONNX_TYPES[slot.tensor.dtype][1] for name, slot in outputs.items()}
        text = f"{_HEADER} graph ({_declare(inputs)}) => ({_declare(outputs)}) {body.format(**type_numbers)}"
        if text not in self._sessions:
            session = start(_parse(text), self._settings, "a graph of the sampler does not load", bound=False)
            # the memory of these graphs is that of a few pictures, and is never freed
            self._sessions[text] = BoundSession(session, self._settings.run_options(bound=True), captured=False)
        self._sessions[text].run(inputs, outputs)


def _declare(slots: Mapping[str, Slot]) -> str:
    """The declaration of `slots` in ONNX's text format, by their names in the graph."""
    return ", ".join(
        f"{_ONNX_TYPES[slot.tensor.dtype][0]}[{','.join(map(str, slot.tensor.shape))}] {name}"
        for name, slot in slots.items()
    )


def _parse(text: str) -> bytes:
    """Parse the graph `text` in ONNX's text format, and serialize it."""
    try:
        import onnx.parser
    except ImportError as error:
        right = "pip install 'turbo-webnn[cuda]', or run with --provider cpu"
        raise RequestError("the package onnx, which makes the sampler's graphs for CUDA, is missing", right) from error
    model: bytes = onnx.parser.parse_model(text).SerializeToString()
    return model
