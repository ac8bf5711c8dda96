"""diffusers' pipelines as the reference: staged, watched, and with the same numbers as a whole pipeline object."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import safetensors.torch
import torch

from tests.refusal import refusal
from turbo_webnn.models.component import Size
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.source import EMBEDDED, Source, open_source
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.reference import pipeline_reference
from turbo_webnn.runtime.reference.loading import open_pipeline, pipeline_class
from turbo_webnn.runtime.reference.pipeline_reference import PipelineReference
from turbo_webnn.runtime.reference.reference import Reference
from turbo_webnn.runtime.verification.drawing import Case, Drawing
from turbo_webnn.runtime.verification.evidence import Evidence

PROMPT, SEED, SIZE = "a red circle on a blue background", 11, Size(2, 64, 96)
TEXT = Sampling(2, SEED)
IMAGE = Sampling(4, SEED, 0.5)

STATISTICS = {"latents_mean": [0.5, -0.2, 0.1, 0.3], "latents_std": [1.2, 0.8, 1.5, 0.9], "scaling_factor": 0.3}


def gathered(source: Source, components: Iterable[str] = (), size: Size = SIZE) -> Evidence:
    """One drawing from text and one from its picture, in which every component is measured."""
    family, reference = source.family, PipelineReference(source, size)
    cases = [
        Case(PROMPT, TEXT, frozenset(family.text_to_image)),
        Case(PROMPT, IMAGE, frozenset({str(family.wiring.encoder)})),
    ]
    ids = {name: np.repeat(row, size.batch, axis=0) for name, row in reference.token_ids(PROMPT).items()}
    names = tuple(components) or tuple(component.name for component in family.components)
    drawings = [Drawing(case, ids) for case in (cases if family.wiring.encoder in names else cases[:1])]
    return reference.gather(drawings, names, lambda *_: None)


def whole_pipeline(folder: Path) -> Any:
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generated(pipeline: Any, sampling: Sampling, **named: Any) -> np.ndarray:
    pictures: np.ndarray = pipeline(
        PROMPT,
        num_inference_steps=sampling.steps,
        guidance_scale=0.0,
        num_images_per_prompt=SIZE.batch,
        generator=torch.Generator().manual_seed(SEED),
        output_type="np",
        **named,
    ).images
    return pictures.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("model", ["tiny", "tiny-xl"])
def test_pictures_are_those_of_the_whole_pipeline(model: str) -> None:
    source = open_source(model)
    evidence = gathered(source)
    from_text, from_image = evidence.drawings
    pipeline = whole_pipeline(source.folder)
    expected = generated(pipeline, TEXT, height=SIZE.height, width=SIZE.width)
    np.testing.assert_allclose(images.to_unit(from_text.finished), expected, rtol=0, atol=1e-6)

    mean = torch.from_numpy(evidence.records["vae_encoder"][0].outputs["latent_sample"]) * source.scaling_factor
    pipeline = diffusers.AutoPipelineForImage2Image.from_pipe(pipeline)
    expected = generated(pipeline, IMAGE, image=mean, strength=IMAGE.strength)
    np.testing.assert_allclose(images.to_unit(from_image.finished), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("tiny", {}),
        ("tiny-xl", {}),
        ("tiny", {"vae/config.json": STATISTICS}),
        ("tiny-xl", {"vae/config.json": STATISTICS}),
        ("tiny-xl", {"vae/config.json": {"latents_mean": STATISTICS["latents_mean"]}}),
    ],
    ids=str,
)
def test_the_evidence_is_what_the_components_compute(
    tmp_path: Path, model: str, changes: Mapping[str, Mapping[str, Any]]
) -> None:
    folder = shutil.copytree(EMBEDDED[model], tmp_path / "turbo")
    for name, values in changes.items():
        (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | values))
    source = open_source(str(folder))
    evidence, modules = gathered(source), Reference(source, SIZE)
    runs = {name: len(records) for name, records in evidence.records.items()}
    assert runs == {component.name: 2 if component.name == "unet" else 1 for component in source.family.components}
    for name, records in evidence.records.items():
        component = source.family.component(name)
        config = source.config(component)
        for record in records:
            shapes = {spec.name: spec.shape(SIZE, config) for spec in component.inputs}
            assert {name: array.shape for name, array in record.inputs.items()} == shapes
            computed = modules.run(name, record.inputs)
            for output, numbers in record.outputs.items():
                np.testing.assert_allclose(numbers, computed[output], rtol=0, atol=2e-5)


def test_a_unet_with_guidance_in_its_weights(tmp_path: Path) -> None:
    folder = shutil.copytree(EMBEDDED["tiny"], tmp_path / "turbo")
    config = json.loads((folder / "unet/config.json").read_text()) | {"time_cond_proj_dim": 16}
    (folder / "unet/config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    diffusers.UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    source = open_source(str(folder))
    modules = Reference(source, SIZE)
    for record in gathered(source, ["unet"]).records["unet"]:
        (numbers,) = modules.run("unet", record.inputs).values()
        np.testing.assert_allclose(record.outputs["out_sample"], numbers, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("components", "recorded", "pictures"),
    [
        (["text_encoder"], {"text_encoder"}, False),
        (["unet"], {"text_encoder", "unet"}, False),
        (["vae_decoder"], {"text_encoder", "unet", "vae_decoder"}, True),
    ],
)
def test_what_no_component_needs_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, components: list[str], recorded: set[str], pictures: bool
) -> None:
    loaded: list[set[str]] = []

    def watched(source: Source, parts: Any, **named: Any) -> Any:
        loaded.append({component.name for component in parts})
        return open_pipeline(source, parts, **named)

    monkeypatch.setattr(pipeline_reference, "open_pipeline", watched)
    evidence = gathered(open_source("tiny"), components)
    assert evidence.records.keys() == recorded
    assert bool(evidence.samples) == pictures
    assert [names for names in loaded if names] == [
        names for names in ({"text_encoder"}, recorded - {"text_encoder"}) if names
    ]


def test_a_vae_of_another_source_draws() -> None:
    source = open_source("tiny", parts={"vae": "tiny-xl"})
    (drawing,) = gathered(source, ["vae_decoder"]).drawings
    pipeline = whole_pipeline(source.folder)
    pipeline.vae = whole_pipeline(EMBEDDED["tiny-xl"]).vae
    expected = generated(pipeline, TEXT, height=SIZE.height, width=SIZE.width)
    np.testing.assert_allclose(images.to_unit(drawing.finished), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["text_encoder", "unet", "vae"])
def test_a_tensor_that_is_missing_is_not_random(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(EMBEDDED["tiny"], tmp_path / "turbo")
    (weights,) = (folder / name).glob("*.safetensors")
    tensors = safetensors.torch.load_file(weights)
    tensors.pop(min(tensors))
    safetensors.torch.save_file(tensors, weights, {"format": "pt"})
    assert "has no tensor" in refusal(gathered, open_source(str(folder)))


@pytest.mark.parametrize("spacing", ["middle", 7])
def test_a_scheduler_that_diffusers_cannot_run_is_one_line(tmp_path: Path, spacing: Any) -> None:
    folder = shutil.copytree(EMBEDDED["tiny"], tmp_path / "turbo")
    path = folder / "scheduler/scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"timestep_spacing": spacing}))
    assert refusal(gathered, open_source(str(folder))).startswith("PyTorch cannot ")


def test_families_that_diffusers_lacks_have_no_pipeline_class() -> None:
    assert pipeline_class(STABLE_DIFFUSION) is diffusers.StableDiffusionPipeline
    assert pipeline_class(replace(STABLE_DIFFUSION, pipeline="MadeUpPipeline")) is None
    assert pipeline_class(replace(STABLE_DIFFUSION, pipeline="AutoencoderKL")) is None  # no pipeline
