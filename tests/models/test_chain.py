from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from turbo_webnn.models.chain import BundleFile, Chain, Graph, Tensor
from turbo_webnn.models.json_file import convert_json

X, Y, Z = (Tensor(name, "float16", (1, 4)) for name in "xyz")


def file(path: str) -> BundleFile:
    return BundleFile(path, bytes=1, sha256="0" * 64)


FIRST = Graph((file("unet/model-1.onnx"), file("unet/model-1.onnx.data")), nodes=3, inputs=(X,), outputs=(Y,))
SECOND = Graph((file("unet/model-2.onnx"),), nodes=4, inputs=(X, Y), outputs=(Z,))


def test_a_chain_is_what_was_written() -> None:
    chain = Chain((X,), (Z,), (FIRST, SECOND), webnn={"whole": True, "graphs": []}, float32_parts={"up.conv": 8.1e4})
    assert convert_json(asdict(chain), Chain, "it") == chain
    assert (chain.nodes, len(chain.files), SECOND.path) == (7, 3, "unet/model-2.onnx")


@pytest.mark.parametrize(
    ("inputs", "outputs", "graphs", "said"),
    [
        ((X,), (Z,), (SECOND, FIRST), "unet/model-2.onnx: nothing gives y"),
        ((), (Z,), (FIRST, SECOND), "unet/model-1.onnx: nothing gives x"),
        ((X,), (Z,), (FIRST,), "the component: nothing gives z"),
        ((X,), (Z,), (), "the component: nothing gives z"),
        ((Tensor("x", "float32", (1, 4)),), (Z,), (FIRST, SECOND), "unet/model-1.onnx: nothing gives x"),
    ],
)
def test_a_chain_that_does_not_join_is_refused(inputs: Any, outputs: Any, graphs: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Chain(inputs, outputs, graphs)


@pytest.mark.parametrize("path", ["/etc/passwd", "../model.onnx", "unet/../../model.onnx", "unet\\model.onnx"])
def test_a_file_outside_the_bundle_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leaves the bundle"):
        file(path)
