"""Bundles of checkpoints whose configs have other values, against diffusers and transformers on the same folder.

Every key in `UNETS`, `VAES` and `TEXT_ENCODERS` changes what the library's module computes. One export of all values of
a set equals the library's module, so none of them is dropped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import onnxruntime
import pytest
import torch
import transformers

from tests.conftest import run_command
from turbo_webnn.export.exporter import export_bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.source import EMBEDDED
from turbo_webnn.runtime.draw.pipeline import Pipeline

Values = dict[str, Any]

SIZE, TOKENS, VOCABULARY = Size(1, 32, 32), 77, 921

NARROW = {"attention_head_dim": 1, "block_out_channels": [8, 16, 16]}
SIMPLE = {
    **NARROW,
    "down_block_types": ["SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D", "ResnetDownsampleBlock2D"],
    "up_block_types": ["ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D"],
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
}
UNETS: tuple[tuple[Values, Values], ...] = (
    (
        {},
        {
            "act_fn": "gelu",
            "attention_head_dim": [4, 2, 8],
            "block_out_channels": [8, 16, 16],
            "center_input_sample": True,
            "conv_in_kernel": 5,
            "conv_out_kernel": 5,
            "downsample_padding": 0,
            "flip_sin_to_cos": False,
            "freq_shift": 1,
            "layers_per_block": [1, 2, 1],
            "mid_block_only_cross_attention": True,
            "mid_block_scale_factor": 1.7,
            "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
            "norm_eps": 0.1,
            "norm_num_groups": 8,
            "only_cross_attention": [True, False, False],
            "resnet_time_scale_shift": "scale_shift",
            "reverse_transformer_layers_per_block": [1, 2, 1],
            "time_embedding_act_fn": "gelu",
            "time_embedding_dim": 48,
            "timestep_post_act": "mish",
        },
    ),
    (
        NARROW,
        {
            "down_block_types": ["AttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            "mid_block_type": None,
            "time_cond_proj_dim": 8,
            "transformer_layers_per_block": [1, 2, 1],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "AttnUpBlock2D"],
        },
    ),
    (SIMPLE, {"cross_attention_norm": "group_norm", "resnet_out_scale_factor": 1.3, "resnet_skip_time_act": True}),
)
"""Values that a set needs, and the values that are tested."""

VAES: tuple[Values, ...] = (
    {
        "act_fn": "gelu",
        "block_out_channels": [8, 8, 16, 32],
        "layers_per_block": 2,
        "mid_block_add_attention": False,
        "norm_num_groups": 4,
        "use_post_quant_conv": False,
        "use_quant_conv": False,
    },
    {
        "down_block_types": ["DownEncoderBlock2D"] * 3 + ["AttnDownEncoderBlock2D"],
        "up_block_types": ["AttnUpDecoderBlock2D", *["UpDecoderBlock2D"] * 3],
    },
)
TEXT_ENCODERS: Values = {
    "eos_token_id": 700,
    "hidden_act": "quick_gelu",
    "intermediate_size": 96,
    "layer_norm_eps": 0.1,
    "num_attention_heads": 2,
    "num_hidden_layers": 4,
}
WITHOUT_EFFECT: Mapping[str, Values] = {
    "unet": {
        "addition_embed_type_num_heads": 3,
        "dropout": 0.5,
        "sample_size": 8,
        "upcast_attention": True,
    },
    "vae": {
        "force_upcast": True,
        "latents_mean": [1.0] * 4,
        "sample_size": 8,
        "scaling_factor": 2.0,
        "shift_factor": 1.0,
    },
    "text_encoder_2": {
        "attention_dropout": 0.5,
        "bos_token_id": 5,
        "chunk_size_feed_forward": 2,
        "initializer_factor": 1.0,
        "output_hidden_states": True,
        "pad_token_id": 5,
        "use_attention_mask": True,
    },
}


def config_of(model: str, subfolder: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((EMBEDDED[model] / subfolder / "config.json").read_text())
    return config


def module_of(subfolder: str, config: Values) -> Any:
    """The library's module with random numbers, the same for equal shapes."""
    torch.manual_seed(0)
    if subfolder == "unet":
        module = diffusers.UNet2DConditionModel.from_config(dict(config))
    elif subfolder == "vae":
        module = diffusers.AutoencoderKL.from_config(dict(config))
    else:
        module = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**config))
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():  # norms too, so that what stands before and after them matters
        fan = max(parameter[0].numel(), 1) if parameter.ndim > 1 else 4
        parameter.data = torch.randn(parameter.shape, generator=generator) / fan**0.5
    return module.eval()


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is untyped here
def computed(subfolder: str, module: Any) -> dict[str, np.ndarray]:
    """What the pipelines read from the module, by component and output, for fixed inputs."""
    inputs = {name: torch.from_numpy(array) for name, array in inputs_of(subfolder).items()}
    if subfolder == "unet":
        width = module.config.time_cond_proj_dim
        guidance = None
        if width is not None:
            pipeline = diffusers.LatentConsistencyModelPipeline.__new__(diffusers.LatentConsistencyModelPipeline)
            guidance = pipeline.get_guidance_scale_embedding(torch.tensor([-1.0]), embedding_dim=width)
        states = inputs["encoder_hidden_states"]
        output = module(inputs["sample"], inputs["timestep"], states, timestep_cond=guidance).sample
        return {"unet.out_sample": output.numpy()}
    if subfolder == "vae":
        return {
            "vae_decoder.sample": module.decode(inputs["latent_sample"]).sample.numpy(),
            "vae_encoder.latent_sample": module.encode(inputs["sample"]).latent_dist.mode().numpy(),
        }
    output = module(inputs["input_ids"].long(), output_hidden_states=True)
    return {
        "text_encoder_2.hidden_states": output.hidden_states[-2].numpy(),
        "text_encoder_2.text_embeds": output[0].numpy(),
    }


def inputs_of(subfolder: str) -> dict[str, np.ndarray]:
    """Inputs of the components of a subfolder, by name."""
    random = np.random.default_rng(2)
    latents = random.normal(size=(1, 4, 4, 4)).astype(np.float32)
    if subfolder == "unet":
        states = random.normal(size=(1, TOKENS, 64)).astype(np.float32)
        return {"sample": latents, "timestep": np.array([613.0], np.float32), "encoder_hidden_states": states}
    if subfolder == "vae":
        return {"latent_sample": latents, "sample": random.uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32)}
    ids = random.integers(1, 600, (1, TOKENS)).astype(np.int32)
    ids[0, 30], ids[0, 40:] = 700, VOCABULARY - 1  # the end of the text by the changed config, and by the embedded one
    return {"input_ids": ids}


def difference(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> float:
    """The largest difference of two modules' outputs, in standard deviations of the output."""
    assert left.keys() == right.keys()
    return max(float(np.abs(left[name] - right[name]).max() / right[name].std()) for name in left)


SETS = [
    *(("unet", "tiny", needed, values) for needed, values in UNETS),
    *(("vae", "tiny", {}, values) for values in VAES),
    ("text_encoder_2", "tiny-xl", {}, TEXT_ENCODERS),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("subfolder", "model", "needed", "values"), SETS)
def test_every_value_changes_what_the_library_computes(
    subfolder: str, model: str, needed: Values, values: Values
) -> None:
    """Without this, the next test would also pass for keys that are dropped."""
    everything = {**config_of(model, subfolder), **needed, **values}
    all_changed = computed(subfolder, module_of(subfolder, everything))
    without_effect = []
    for key in values:
        config = everything | {key: config_of(model, subfolder).get(key, needed.get(key))}
        if difference(computed(subfolder, module_of(subfolder, config)), all_changed) < 0.01:
            without_effect.append(key)
    assert without_effect == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("subfolder", "model", "needed", "values"), SETS)
def test_a_bundle_computes_what_the_library_does(
    tmp_path: Path, subfolder: str, model: str, needed: Values, values: Values
) -> None:
    module = module_of(subfolder, {**config_of(model, subfolder), **needed, **values})
    checkpoint = Path(shutil.copytree(EMBEDDED[model], tmp_path / "turbo"))
    shutil.rmtree(checkpoint / subfolder)
    module.save_pretrained(checkpoint / subfolder)
    expected = computed(subfolder, module)
    components = sorted({name.split(".")[0] for name in expected})
    bundle = export_bundle(checkpoint, tmp_path / "bundle", precision="fp32", size=SIZE, components=components)
    given = {}
    for component in components:
        session = onnxruntime.InferenceSession(str(bundle.path(bundle.manifest.components[component].graphs[0])))
        fed = {each.name: inputs_of(subfolder)[each.name] for each in session.get_inputs()}
        names = [each.name for each in session.get_outputs()]
        outputs = zip(names, session.run(names, fed), strict=True)
        given.update({f"{component}.{name}": output for name, output in outputs})
    assert difference(given, expected) < 2e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("subfolder", "values"), WITHOUT_EFFECT.items())
def test_a_value_without_effect_has_none(subfolder: str, values: Values) -> None:
    config = config_of("tiny-xl" if subfolder == "text_encoder_2" else "tiny", subfolder)
    changed = [key for key, value in values.items() if config.get(key) != value]
    assert len(changed) >= len(values) - 1
    left, right = (computed(subfolder, module_of(subfolder, each)) for each in (config, config | values))
    assert difference(left, right) < 1e-5


STATISTICS = {"latents_mean": [0.5, -0.2, 0.1, 0.3], "latents_std": [1.2, 0.8, 1.5, 0.9]}
PIPELINES: tuple[tuple[str, Mapping[str, Values]], ...] = (
    (
        "tiny",
        {
            "model_index.json": {"requires_safety_checker": True},
            "scheduler/scheduler_config.json": {
                "clip_sample": True,
                "steps_offset": 0,
                "thresholding": True,
                "timestep_spacing": "leading",
                "timestep_type": "continuous",
            },
            "vae/config.json": STATISTICS | {"scaling_factor": 0.3, "shift_factor": 0.5},
        },
    ),
    (
        "tiny",
        {
            "scheduler/scheduler_config.json": {
                "final_sigmas_type": "sigma_min",
                "interpolation_type": "log_linear",
                "rescale_betas_zero_snr": True,
                "sigma_max": 20.0,
                "sigma_min": 0.2,
                "use_exponential_sigmas": True,
            },
            "unet/config.json": {"center_input_sample": True, "freq_shift": 1},
        },
    ),
    (
        "tiny-xl",
        {
            "model_index.json": {"force_zeros_for_empty_prompt": False},
            "scheduler/scheduler_config.json": {"steps_offset": 0, "timestep_spacing": "leading"},
            "text_encoder_2/config.json": {"eos_token_id": 2, "use_attention_mask": True},
            "vae/config.json": STATISTICS | {"scaling_factor": 0.3, "shift_factor": 0.5},
        },
    ),
)
PROMPT, SEED, STEPS = "a red circle on a blue background", 11, 2


def changed(folder: Path, model: str, files: Mapping[str, Values]) -> Path:
    """A copy of an embedded checkpoint with other values in its files."""
    checkpoint = Path(shutil.copytree(EMBEDDED[model], folder / "turbo"))
    for name, values in files.items():
        path = checkpoint / name
        path.write_text(json.dumps(json.loads(path.read_text()) | dict(values)))
    return checkpoint


def drawn_by_diffusers(checkpoint: Path) -> np.ndarray:
    pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(checkpoint, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=0.0,
        height=SIZE.height,
        width=SIZE.width,
        generator=torch.Generator().manual_seed(SEED),
    )
    return np.asarray(drawn.images[0], np.int16)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model", "files"), PIPELINES)
def test_a_bundle_draws_what_the_pipeline_does(tmp_path: Path, model: str, files: Mapping[str, Values]) -> None:
    checkpoint = changed(tmp_path, model, files)
    expected = drawn_by_diffusers(checkpoint)
    assert np.abs(expected - drawn_by_diffusers(EMBEDDED[model])).max() > 8  # the values change the picture
    export_bundle(checkpoint, tmp_path / "bundle", precision="fp32", size=SIZE)
    drawn = Pipeline.open(tmp_path / "bundle", "cpu").draw(PROMPT, steps=STEPS, seed=SEED)
    assert np.abs(np.asarray(drawn, np.int16) - expected).max() <= 1


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        (
            "vae/config.json",
            {"_use_default_values": ["scaling_factor"]},
            "has _use_default_values = ('scaling_factor',)",
        ),
        ("unet/config.json", {"reverse_transformer_layers_per_block": [10**6] * 3}, "Expected int <= 128"),
        (
            "scheduler/scheduler_config.json",
            {"prediction_type": "v_prediction"},
            "the scheduler predicts 'v_prediction'",
        ),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path: Path, file: str, values: Values, said: str) -> None:
    done = run_command("export", changed(tmp_path, "tiny", {file: values}), "-o", tmp_path / "bundle", timeout=120)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "bundle").exists()
