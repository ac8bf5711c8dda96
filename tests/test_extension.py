"""A family of another package: its own part, its own scheduler, and no other file of the project changed.

The denoiser is no UNet and is not called one, its inputs have other names, and its scheduler reads its last output too.
It comes as an installed package would: by an entry point.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Browser, Serve, browser, pixels_of, serve
from tests.pictures import psnr
from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.parts.autoencoder_kl import AutoencoderKLDecoder, AutoencoderKLEncoder
from turbo_webnn.models.parts.clip_text import TOKENS, ClipText
from turbo_webnn.models.parts.part import Config, Part
from turbo_webnn.models.parts.probe_inputs import coarse_latents
from turbo_webnn.models.schedule import Combination, Schedule, Step
from turbo_webnn.models.schedulers.scheduler import Scheduler
from turbo_webnn.models.source import EMBEDDED
from turbo_webnn.models.wiring import Wiring

__all__ = ["browser", "serve"]  # fixtures

PROMPT = "a red circle on a blue background"
SETTINGS = {"width": 32, "states": 64, "sample_size": 16}


@dataclass(frozen=True)
class MixerForm:
    """The config of the made-up module."""

    width: int
    states: int


class Mixer(Part):
    """A made-up module: two convolutions over the latents, shifted by the time and the mean of the text's states."""

    module = "Mixer"
    noun = "mixer"
    weights_stem = "mixer"
    form = MixerForm

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (
            TensorSpec("noisy", "float", ("batch", 4, "latent_height", "latent_width")),
            TensorSpec("moment", "float", (1,)),
            TensorSpec("prompt", "float", ("batch", TOKENS, "states")),
        )

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("velocity", "float", ("batch", 4, "latent_height", "latent_width")),)

    def build(self, config: Config) -> Any:
        import torch
        from torch import nn

        class Module(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.enter = nn.Conv2d(4, config["width"], 3, padding=1)
                self.read = nn.Linear(config["states"], config["width"])
                self.leave = nn.Conv2d(config["width"], 4, 3, padding=1)

            def forward(self, noisy: Any, moment: Any, prompt: Any) -> Any:
                shift = self.read(prompt.mean(dim=1)) + moment.unsqueeze(1) / 1000  # [batch, width]
                return self.leave(torch.tanh(self.enter(noisy) + shift.unsqueeze(-1).unsqueeze(-1)))

        return Module().eval()

    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        from safetensors.torch import load_file

        module = self.build(json.loads((folder / "config.json").read_text()))
        missing, _ = module.load_state_dict(load_file(folder / "mixer.safetensors"), strict=False)
        return module.to(dtype), missing

    def trace(self, module: Any, component: Component, size: Size, noisy: Any, moment: Any, prompt: Any) -> Any:
        return module(noisy, moment, prompt)

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        return (module(inputs["noisy"], inputs["moment"], inputs["prompt"]),)

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        import torch

        return torch.tensor([900.0]) if spec.name == "moment" else coarse_latents(shape)


class TwoStep(Scheduler):
    """Straight paths from noise, each step but the first by the velocities of two moments (Adams-Bashforth)."""

    name = "TwoStepScheduler"

    def require_served(self, config: Mapping[str, Any]) -> None:
        if config.get("shift") != 1:
            raise RequestError("the scheduler has another shift", "served is 1")

    def reference(self, config: Mapping[str, Any]) -> Any:
        return StatefulTwoStep()

    def schedule(self, config: Mapping[str, Any], count: int) -> Schedule:
        return Schedule(1.0, tuple(_step(i, count) for i in range(count)))


def _step(index: int, count: int) -> Step:
    noise, move = 1 - index / count, -1 / count
    now, before = (move, 0.0) if index == 0 else (1.5 * move, -0.5 * move)
    return Step(
        timestep=1000 * noise,
        input_scale=1.0,
        next=Combination(output=now, last_output=before),
        clean=Combination(output=-noise),
        start=Combination(latents=1 - noise, noise=noise),
    )


class StatefulTwoStep:
    """The same scheduler as diffusers has schedulers: it remembers the last output itself."""

    init_noise_sigma = 1.0

    def set_timesteps(self, count: int, device: str = "cpu") -> None:
        import torch

        self.timesteps = torch.tensor([1000.0 * (1 - i / count) for i in range(count)], device=device)
        self._count, self._last = count, None

    def set_begin_index(self, first: int) -> None:
        pass

    def scale_model_input(self, sample: Any, timestep: Any) -> Any:
        return sample

    def add_noise(self, latents: Any, noise: Any, timesteps: Any) -> Any:
        return latents + timesteps / 1000 * (noise - latents)

    def step(self, output: Any, timestep: Any, sample: Any, generator: Any) -> Any:
        velocity = output if self._last is None else 1.5 * output - 0.5 * self._last
        self._last = output

        class Stepped:
            prev_sample = sample - velocity / self._count

        return Stepped


ENCODER = Component.of(ClipText(), "text_encoder", tokenizer="tokenizer")
MIXER = Component.of(Mixer(), "mixer")
DECODER = Component.of(AutoencoderKLDecoder(), "pictures", "vae")
LATENTS = Component.of(AutoencoderKLEncoder(), "latents", "vae")

FAMILY = Family(
    name="made-up",
    pipeline="MadeUpPipeline",
    components=(ENCODER, MIXER, DECODER, LATENTS),
    wiring=Wiring(
        denoiser="mixer",
        decoder="pictures",
        encoder="latents",
        latents="noisy",
        timestep="moment",
        conditions={"prompt": ("text_encoder.last_hidden_state",)},
    ),
    schedulers=(TwoStep(),),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a checkpoint of the family, and the entry point of its package."""
    from safetensors.torch import save_file
    from torch import manual_seed

    folder = tmp_path_factory.mktemp("made-up")
    metadata = folder / "packages" / "made_up-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[turbo_webnn.families]\nmade-up = tests.test_extension:FAMILY\n")
    checkpoint = folder / "checkpoint"
    for name in ("text_encoder", "tokenizer", "vae"):
        shutil.copytree(EMBEDDED["tiny"] / name, checkpoint / name)
    for name in ("scheduler", "mixer"):
        (checkpoint / name).mkdir()
    index = {"_class_name": "MadeUpPipeline", "mixer": ["made_up", "Mixer"]}
    (checkpoint / "model_index.json").write_text(json.dumps(index))
    scheduler = {"_class_name": "TwoStepScheduler", "shift": 1}
    (checkpoint / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    width = json.loads((checkpoint / "text_encoder" / "config.json").read_text())["hidden_size"]
    config = {"_class_name": "Mixer", **SETTINGS, "states": width}
    (checkpoint / "mixer" / "config.json").write_text(json.dumps(config))
    manual_seed(0)
    save_file(Mixer().build(config).state_dict(), checkpoint / "mixer" / "mixer.safetensors")
    return folder


def run(folder: Path, *words: str) -> str:
    """Standard output of the command in `folder`, with the package installed."""
    paths = [folder / "packages", Path(__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-m", "turbo_webnn.scripts.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    run(folder, "export", "checkpoint", "-o", "bundle", "--precision", "fp32")
    return folder / "bundle"


def test_it_is_exported_with_its_own_names_and_numbers(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["family"], manifest["scheduler"]) == ("made-up", "TwoStepScheduler")
    assert list(manifest["components"]) == ["text_encoder", "mixer", "pictures", "latents"]
    assert manifest["wiring"]["conditions"] == {"prompt": ["text_encoder.last_hidden_state"]}
    assert [step["next"]["last_output"] for step in manifest["schedules"]["2"]["steps"]] == [0, 0.25]
    mixer = manifest["components"]["mixer"]
    assert [tensor["name"] for tensor in mixer["inputs"]] == ["noisy", "moment", "prompt"]


def test_its_graphs_run_wholly_on_webnn(node_modules: None, folder: Path, bundle: Path) -> None:
    verdicts = json.loads(run(folder, "check", "bundle", "--json"))
    assert all(verdict["whole"] for verdict in verdicts.values()), verdicts
    assert len(verdicts) == 4


def test_it_computes_and_draws_what_pytorch_does(folder: Path, bundle: Path) -> None:
    report = json.loads(run(folder, "verify", "bundle", "--reference", "checkpoint", "--json"))
    assert report["passed"]
    assert report["compared_with"] == "modules of PyTorch, run one by one"
    components = {row["component"] for row in report["rows"]}
    assert components == {"tokenizer", "text_encoder", "mixer", "pictures", "latents", "pipeline"}


def test_the_browser_draws_what_the_command_draws(folder: Path, bundle: Path, browser: Browser, serve: Serve) -> None:
    run(folder, "generate", "bundle", PROMPT, "--steps", "3", "--seed", "7", "--provider", "cpu", "-o", "picture.png")
    served = serve(bundle)
    browser.do("open", url=served.blank, fresh=True)
    browser.call("open", {"device": "webnn-cpu"})
    drawn = browser.call("draw", {"prompt": PROMPT, "seed": 7, "steps": 3})
    assert "error" not in drawn, drawn["error"]
    with Image.open(folder / "picture.png") as picture:
        assert psnr(pixels_of(drawn["images"][0], served.bundle.manifest.size), np.asarray(picture)) > 35
    assert list(drawn["timings"]) == ["text_encoder", "mixer", "pictures"]
