"""Pipeline objects with a part of their modules, from a single file and with LoRAs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import diffusers
import pytest
import safetensors.torch
import torch

from tests.refusal import refusal
from turbo_webnn.models.component import Component
from turbo_webnn.models.loras import Lora
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.reference.loading import load, open_pipeline

ORIGINAL = "cond_stage_model.transformer.text_model."
"""The prefix of the text encoder's tensors in a single file of SD 1.5."""


def state(source: Source, component: Component) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load(source, component).state_dict()
    return tensors


def single_file(folder: Path, source: Source, *, lacks: str | None = None) -> Source:
    (weights,) = (source.folder / "text_encoder").glob("*.safetensors")
    tensors = {
        ORIGINAL + name.removeprefix("text_model."): tensor
        for name, tensor in safetensors.torch.load_file(weights).items()
        if lacks is None or not name.endswith(lacks)
    }
    path = folder / "original.safetensors"
    safetensors.torch.save_file(tensors, path, {"format": "pt"})
    return replace(source, file=path)


def test_text_encoders_come_from_a_single_file(tmp_path: Path) -> None:
    source = open_source("tiny")
    (encoder,) = source.family.text_encoders
    pipeline = open_pipeline(single_file(tmp_path, source), [encoder], tokenizers=True)
    assert pipeline.unet is pipeline.vae is None
    assert pipeline.tokenizer("a red circle").input_ids
    expected = state(source, encoder)
    given = pipeline.text_encoder.state_dict()
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("lacks", ["final_layer_norm.bias", "layers.1.mlp.fc1.weight"])
def test_a_tensor_that_a_single_file_lacks_is_not_random(tmp_path: Path, lacks: str) -> None:
    source = single_file(tmp_path, open_source("tiny"), lacks=lacks)
    (encoder,) = source.family.text_encoders
    assert f"has no tensor {lacks}" in refusal(load, source, encoder).replace("encoder.layers", "layers")


def test_a_single_file_that_is_cut_is_one_line(tmp_path: Path) -> None:
    source = single_file(tmp_path, open_source("tiny"))
    assert source.file is not None
    source.file.write_bytes(source.file.read_bytes()[:3000])
    (encoder,) = source.family.text_encoders
    assert refusal(load, source, encoder).startswith("PyTorch cannot load the pipeline of tiny")


def lora(path: Path, source: Source, weight: float, seed: int) -> tuple[Lora, dict[str, torch.Tensor]]:
    """A LoRA of rank 2 for an attention layer of each module that has any."""
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for component in source.family.components:
        ends = (".attn1.to_q.weight", ".self_attn.q_proj.weight")
        for name, value in state(source, component).items():
            if name.endswith(ends) and component.part.module != "AutoencoderKL":
                layer = f"{component.subfolder}.{name.removesuffix('.weight')}"
                rows, columns = value.shape
                tensors[f"{layer}.lora_A.weight"] = torch.randn(2, columns, generator=random)
                tensors[f"{layer}.lora_B.weight"] = torch.randn(rows, 2, generator=random)
    safetensors.torch.save_file(tensors, path)
    return Lora(path.name, path, weight), tensors


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["tiny", "tiny-xl"])
def test_loras_are_fused_into_each_stage(tmp_path: Path, model: str) -> None:
    source = open_source(model)
    loras = [lora(tmp_path / f"{number}.safetensors", source, 0.5 - number, number) for number in range(2)]
    changed = replace(source, loras=tuple(opened for opened, _ in loras))
    for component in source.family.components:
        expected = state(source, component)
        assert not any("lora" in name for name in state(changed, component))
        for name, tensor in state(changed, component).items():
            total = expected[name].clone()
            for each, tensors in loras:
                layer = f"{component.subfolder}.{name.removesuffix('.weight')}"
                if f"{layer}.lora_A.weight" in tensors:
                    first, second = (tensors[f"{layer}.lora_{half}.weight"] for half in "AB")
                    total += each.weight * (second @ first)
            torch.testing.assert_close(tensor, total, rtol=0, atol=1e-5)


def test_a_lora_of_another_model_is_one_line(tmp_path: Path) -> None:
    other, _ = lora(tmp_path / "other.safetensors", open_source("tiny-xl"), 1.0, 0)
    source = replace(open_source("tiny"), loras=(other,))
    said = refusal(load, source, source.family.denoiser)
    assert said.startswith("PyTorch cannot load the LoRAs of tiny")


def test_the_watermark_and_the_checker_are_off() -> None:
    assert open_pipeline(open_source("tiny-xl"), []).watermark is None
    pipeline = open_pipeline(open_source("tiny"), [])
    assert isinstance(pipeline, diffusers.StableDiffusionPipeline)
    assert pipeline.safety_checker is None
