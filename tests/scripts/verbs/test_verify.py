"""`verify`: verdicts on bundles of right and of wrong checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.conftest import run_command
from turbo_webnn.models.source import EMBEDDED

TINY = EMBEDDED["tiny"]


def test_verify_passes_against_its_own_checkpoint(tiny_fp16: Path, tiny_fp32: Path) -> None:
    components = {"text_encoder", "unet", "vae_decoder", "vae_encoder"}
    traced, all_floors = ("--seeds", "3,4", "--trace"), {*components, "pipeline"}
    for bundle, words, drawn, floors in ((tiny_fp16, traced, 3, all_floors), (tiny_fp32, (), 2, set())):
        done = run_command("verify", bundle, "--reference", "tiny", "--steps", "1", "--json", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert report["passed"]
        assert {row["component"] for row in report["rows"]} >= components
        pictures = [row for row in report["rows"] if row["component"] == "pipeline"]
        assert len(pictures) == drawn
        assert all(row["ssim"] > 0.97 for row in pictures)
        assert {floor["component"] for floor in report["noise"]} == floors
        assert all(0.1 < floor["ratio"] <= 1.5 for floor in report["noise"])
        assert {value["component"] for value in report["traced"]} == (components if words else set())
        assert json.loads((bundle / "report/parity.json").read_text()) == report
        assert "<h1>tiny" in (bundle / "report/index.html").read_text()


def test_verify_fails_against_another_checkpoint(tiny_fp16: Path, damaged: Path) -> None:
    import safetensors.numpy

    path = damaged / "unet/diffusion_pytorch_model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors["conv_out.weight"] = tensors["conv_out.weight"] * 1.5
    safetensors.numpy.save_file(tensors, path)
    done = run_command("verify", tiny_fp16, "--reference", damaged, "--steps", "1")
    assert done.returncode == 1, done.stderr
    assert "FAILS unet" in done.stdout
    assert "parity FAILS" in done.stdout


def test_another_vae_that_overflows_float16_is_contained_and_verified(damaged: Path, tmp_path: Path) -> None:
    import safetensors.numpy

    retuned = damaged / "vae"
    path = retuned / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    name = "decoder.up_blocks.2.upsamplers.0.conv"
    tensors[f"{name}.weight"] = tensors[f"{name}.weight"].astype(np.float32) * 5e4
    safetensors.numpy.save_file(tensors, path)
    change = json.loads((retuned / "config.json").read_text()) | {"scaling_factor": 0.125}
    (retuned / "config.json").write_text(json.dumps(change))
    bundle = tmp_path / "bundle"
    only = ("--component", "vae_decoder", "--component", "vae_encoder", "--height", "64", "--width", "64", "--json")
    done = run_command("export", "tiny", "--vae", retuned, "-o", bundle, *only)
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)["manifest"]
    assert manifest["source"]["vae"] == {"name": "vae", "revision": None, "variant": None, "license": None}
    assert manifest["scaling_factor"] == 0.125
    kept = {component: held["float32_parts"] for component, held in manifest["components"].items()}
    assert kept["vae_decoder"][name] > 65504
    assert not kept["vae_encoder"]
    words = ("--reference", "tiny", "--steps", "1")
    done = run_command("verify", bundle, *words, "--vae", retuned, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["reference"]["vae"]["name"] == "vae"
    assert run_command("verify", bundle, *words).returncode == 1  # against its own VAE
