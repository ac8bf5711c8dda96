"""Values inside components, and the names of those that are wrong."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.source import open_source
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.reference.reference import Reference
from turbo_webnn.runtime.verification import trace as tracing
from turbo_webnn.runtime.verification.trace import module_outputs, trace
from turbo_webnn.runtime.verification.traced import Traced

NAMES = (
    "proj/MatMul",
    "proj/Add",
    "block.attn/Reshape",
    "block.attn.to_q/MatMul",
    "block.attn.to_out.0/MatMul",
    "block/Add",
    "act/Mul",
)


def test_a_modules_output_is_its_last_nodes() -> None:
    values = [ir.val(f"value {i}") for i in range(len(NAMES))]
    nodes = [ir.Node("", "Identity", [], outputs=[value], name=name) for value, name in zip(values, NAMES, strict=True)]
    known = {"proj", "block", "block.attn", "block.attn.to_q", "block.attn.to_out.0"}
    # attn gives what its to_out gives, the scale of to_q is folded, and act is not asked for
    assert module_outputs(nodes, known) == {"proj": "value 1", "block": "value 5", "block.attn.to_out.0": "value 4"}


def test_growth_is_over_what_came_before() -> None:
    assert tracing._growth(0.3, 0.001, 0.0005) == pytest.approx(300)
    assert tracing._growth(0.0004, 0.0, 0.0005) == 1.0  # neither is more than rounding
    assert tracing._growth(math.inf, 0.001, 0.0005) == math.inf
    assert tracing._growth(math.inf, math.inf, 0.0005) == 1.0  # it broke before


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((1, 77, 64), (77, 64), True),
        ((2, 77, 64), (154, 64), True),
        ((1, 64, 8, 9), (1, 8, 9, 64), False),
        ((1, 64), (1, 32), False),
    ],
)
def test_the_same_numbers_in_the_same_order(one: tuple[int, ...], other: tuple[int, ...], same: bool) -> None:
    assert tracing._same_order(one, other) is same


def traced(bundle: Bundle) -> list[Traced]:
    """The UNet of `bundle`, on a real prompt."""
    reference, stages = Reference(open_source("tiny"), bundle.manifest.size), Stages(bundle, "cpu")
    return trace(stages, stages.run, "unet", unet_inputs(reference, bundle.manifest.size), reference)


def unet_inputs(reference: Reference, size: Size) -> dict[str, Any]:
    random = np.random.default_rng(0)
    ids = reference.token_ids("a red circle on a blue background")["text_encoder"]
    states = reference.encode_text("text_encoder", np.repeat(ids, size.batch, axis=0))["last_hidden_state"]
    shape = (size.batch, 4, size.latent_height, size.latent_width)
    sample = random.standard_normal(shape, np.float32)
    return {"sample": sample, "timestep": np.array([499], np.float32), "encoder_hidden_states": states}


@pytest.mark.parametrize(
    ("name", "nearest", "growth"),
    [("tiny_fp16", 5e-3, 10), ("tiny_chains", 1e-4, 100)],  # an angle of 499 has lost nine bits of float32
)
def test_every_value_of_a_true_bundle_is_near(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, name: str, nearest: float, growth: float
) -> None:
    """Also where a component is a chain, and where values are asked for a few at a time."""
    monkeypatch.setattr(tracing, "MAX_GROUP_BYTES", 1 << 23)
    bundle = Bundle.open(request.getfixturevalue(name))
    values = traced(bundle)
    modules = [value.module for value in values]
    assert len(set(modules)) == len(modules) > 150
    assert {"conv_in", "time_proj", "mid_block.resnets.0", "up_blocks.2.resnets.1.conv2"} <= set(modules)
    assert max(value.relative_l2 for value in values) < nearest
    assert 1 < max(value.growth for value in values) < growth


def test_the_module_that_is_wrong_is_named_first(tiny_fp16: Path, tmp_path: Path) -> None:
    planted = "down_blocks.1.resnets.0.conv2"
    folder = shutil.copytree(tiny_fp16, tmp_path / "bundle")
    bundle = replace(Bundle.open(folder), states={})  # as one whose files nobody looked at
    path = bundle.path(bundle.chain("unet").graphs[0])
    model = onnx.load(path)
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == f"{planted}.weight")
    numbers = onnx.numpy_helper.to_array(weight).copy()
    numbers[0] *= 1.5
    weight.CopyFrom(onnx.numpy_helper.from_array(numbers, weight.name))
    onnx.save(model, path)
    values = traced(bundle)
    first, second = sorted(values, key=lambda value: -value.growth)[:2]
    assert first.module == planted
    assert first.growth > 5 * second.growth
    before = [value for value in values if value.module.startswith(("down_blocks.0", "down_blocks.1.resnets.0.conv1"))]
    assert max(value.relative_l2 for value in before) < 5e-3 < first.relative_l2
