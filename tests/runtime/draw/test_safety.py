"""The safety checker, from diffusers' own class to the black picture."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from turbo_webnn import export_bundle
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.source import EMBEDDED
from turbo_webnn.runtime.draw.safety import blacken, clip_input
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.webnn.check import check_provider

BATCH = 8


def pictures(count: int = BATCH) -> list[Image.Image]:
    """Noise of several grains in several tints."""
    random = np.random.default_rng(0)
    grains = [random.integers(0, 256, (2 + 3 * i, 3 + 2 * i, 3), np.uint8) for i in range(count)]
    return [Image.fromarray(grain).resize((96, 64)) for grain in grains]


@pytest.fixture(scope="module")
def checker() -> StableDiffusionSafetyChecker:
    """A small one with random weights, its thresholds such that no picture lies near one."""
    torch.manual_seed(0)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 224,
        "patch_size": 32,
    }
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    module = StableDiffusionSafetyChecker(CLIPConfig(projection_dim=16, vision_config=vision, text_config=text)).eval()
    with torch.no_grad():
        for weight in module.parameters():
            torch.nn.init.normal_(weight, std=0.3)
        seen = module.visual_projection(module.vision_model(torch.from_numpy(clip_input(pictures())))[1])
        for embeds, weights, rank in (
            (module.special_care_embeds, module.special_care_embeds_weights, BATCH // 2),
            (module.concept_embeds, module.concept_embeds_weights, BATCH - 1),
        ):
            cosines = torch.nn.functional.normalize(seen) @ torch.nn.functional.normalize(embeds).T
            ranked = cosines.sort(dim=0).values  # each concept is seen in the pictures from `rank` on
            weights.copy_((ranked[rank - 1] + ranked[rank]) / 2)
        module.concept_embeds_weights[4:] = 2.0  # the others are seen in none
    return module


@pytest.fixture(scope="module")
def bundle(checker: StableDiffusionSafetyChecker, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The checker alone, exported in float16 from a folder that lies as diffusers lays it."""
    folder = tmp_path_factory.mktemp("checked")
    shutil.copytree(EMBEDDED["tiny"], folder / "tiny")
    checker.save_pretrained(folder / "tiny" / "safety_checker")
    size = Size(BATCH, 128, 128)
    return export_bundle(str(folder / "tiny"), folder / "bundle", components=["safety_checker"], size=size)


def test_pictures_are_prepared_as_clip_reads_them() -> None:
    prepare = CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=224)
    expected = prepare(pictures(3), return_tensors="np").pixel_values
    got = clip_input(pictures(3))
    assert got.shape == (3, 3, 224, 224)
    assert got.dtype == np.float32
    assert np.abs(got - expected).mean() < 0.02  # the crop is taken before resampling, not after


def test_the_graph_decides_as_diffusers_does(checker: StableDiffusionSafetyChecker, bundle: Bundle) -> None:
    prepared = clip_input(pictures())
    _, expected = checker(torch.from_numpy(prepared), np.zeros((BATCH, 1)))
    assert 0 < sum(expected) < BATCH
    assert Stages(bundle, "cpu").flag_unsafe(prepared) == expected
    (output,) = bundle.chain("safety_checker").outputs
    assert (output.name, output.dtype, output.shape) == ("has_nsfw_concepts", "int32", (BATCH,))


def test_the_graph_is_whole_on_webnn(bundle: Bundle, node_modules: None) -> None:
    placements = check_provider([bundle.folder / "safety_checker/model.onnx"])
    assert [placement.reason for placement in placements if not placement.whole] == []
    assert len(placements) == 8


def test_what_is_refused_is_black() -> None:
    shown = pictures(2)
    refused, kept = blacken(shown, [True, False])
    assert refused.size == shown[0].size
    assert refused.getextrema() == ((0, 0),) * 3
    assert kept is shown[1]
