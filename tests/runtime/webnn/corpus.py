"""Small graphs, known to be whole on the portable target and known not to be: `graphs/*.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from turbo_webnn.runtime.webnn.weightless import tensor_bytes

GRAPHS = Path(__file__).parent / "graphs"

# "== name @opset: rule, rule", both of the latter optional.
HEADER = re.compile(r"^== (?P<name>[^@:\n]+?)(?: @(?P<opset>\d+))?(?:: (?P<rules>.+))?$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A graph in ONNX text, and the rules that speak of it on the portable target."""

    name: str
    opset: int
    rules: frozenset[str]
    text: str

    def proto(self) -> onnx.ModelProto:
        imports = f'"": {self.opset}, "com.microsoft": 1'
        model = onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{imports}]> graph {self.text}")
        _fill_with_zeros(model.graph)
        return model

    def save(self, folder: Path) -> Path:
        path = folder / "model.onnx"
        onnx.save(self.proto(), path)
        return path


def read_cases(name: str) -> list[Case]:
    """The cases of `graphs/<name>.txt`."""
    text = (GRAPHS / f"{name}.txt").read_text()
    headers = list(HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    return [
        Case(
            name=header["name"],
            opset=int(header["opset"] or 20),
            rules=frozenset(header["rules"].split(", ") if header["rules"] else ()),
            text=text[header.end() : end].strip(),
        )
        for header, end in zip(headers, ends, strict=True)
    ]


def _fill_with_zeros(graph: onnx.GraphProto) -> None:
    """Gives values to the initializers that are declared without any: values that no node makes."""
    made = {name for node in graph.node for name in node.output}
    made |= {tensor.name for tensor in graph.initializer}
    for value in graph.value_info:
        if value.name not in made:
            kind = value.type.tensor_type
            dims = [dim.dim_value for dim in kind.shape.dim]
            tensor = TensorProto(name=value.name, data_type=kind.elem_type, dims=dims)
            tensor.raw_data = bytes(tensor_bytes(tensor))
            graph.initializer.append(tensor)


def sharded_product(folder: Path, side: int) -> Path:
    """z = x·a·b in float16, x [1, side]; the weights, 1/side throughout, in a shard each."""
    weights = f"<float16[{side},{side}] a, float16[{side},{side}] b>"
    body = "{ y = MatMul(x, a) z = MatMul(y, b) }"
    text = f"(float16[1,{side}] x) => (float16[1,{side}] z) {weights} {body}"
    model = Case("product", 20, frozenset(), text).proto()
    for tensor in model.graph.initializer:
        tensor.raw_data = np.full((side, side), 1 / side, np.float16).tobytes()
        onnx.external_data_helper.set_external_data(tensor, location=f"{tensor.name}.bin")
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


WHOLE = read_cases("whole")
REFUSED = read_cases("refused")
TRAPS = read_cases("traps")
