"""The command as users meet it: every mistake is one line and exit 2, and nothing is left half written."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.source import EMBEDDED
from tests.conftest import turbo_webnn

TINY = EMBEDDED["tiny"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Usage"),
        (["export"], "Missing argument 'SOURCE'"),
        (["export", "tiny"], "Missing option '-o'"),
        (["exprot"], "No such command 'exprot'"),
        (["export", "nonsense", "-o", "OUT"], "'nonsense' is no folder and no hub id"),
        (["export", "tiny", "-o", "OUT", "--height", "100"], "height 100 is not a multiple of 8, the VAE's factor; 96"),
        (["export", "tiny", "-o", "OUT", "--batch", "0"], "batch 0 is not positive"),
        (
            ["export", "tiny", "-o", "OUT", "--precision", "fp8"],
            "there is no precision 'fp8'; there is fp32, fp16, q8f16",
        ),
        (["export", "tiny", "-o", "OUT", "--component", "vae"], "no component 'vae'; it has text_encoder, unet,"),
        (
            ["export", "tiny", "-o", "OUT", "--layout", "webn"],
            "no layout 'webn'; stable-diffusion has webnn in fp32 or",
        ),
        (
            ["export", "tiny", "-o", "OUT", "--layout", "webnn-developer-preview", "--precision", "fp32"],
            "the layout webnn-developer-preview has no stable-diffusion in fp32; stable-diffusion has webnn in fp32",
        ),
        (
            ["export", "tiny", "-o", "OUT", "--layout", "ort-web-demo", "--max-graph-bytes", "2MB"],
            "knows its graphs and their inputs beforehand; drop --max-graph-bytes, or the layout",
        ),
        (["export", "tiny", "-o", "OUT", "--variant", "fp16"], "has no model.fp16.safetensors"),
        (["export", "tiny", "-o", "OUT", "--max-graph-bytes", "2 apples"], "'2 apples' is no size; give 450MB"),
        (
            ["export", "tiny", "-o", "OUT", "--size-budget", "1MB"],
            "fp16 has one size, whatever is asked; give --precision",
        ),
        (["export", "tiny", "-o", "OUT", "--precision", "q4f16", "--recipe", "OUT"], "is missing"),
        (["export", "tiny", "-o", "OUT", "--quantization", "gptq"], "no quantization 'gptq'; there is qdq, nbits"),
        (["export", "tiny", "-o", "OUT", "--vae", "nonsense"], "'nonsense' is no folder and no hub id"),
        (["synth", "sd-turbot", "-o", "OUT"], "no preset 'sd-turbot'; there is safety-checker, sd-turbo, sdxl-turbo"),
        (["generate", "OUT", "a cat", "-o", "x.png"], "OUT is not a bundle: it has no manifest.json"),
        (["generate", "OUT", "a cat", "-o", "x.png", "--provider-option", "x"], "'x' is no option; give KEY=VALUE"),
        (["bench"], "Missing argument 'BUNDLE...'"),
        (["bench", "OUT"], "OUT is not a bundle"),
        (["bench", "OUT", "--threads", "0"], "0 threads run nothing"),
        (["check", "OUT"], "OUT is not a bundle"),
        (["verify", "OUT", "--reference", "tiny"], "OUT is not a bundle"),
        (["verify", "OUT", "--reference", "tiny", "--seeds", "1;2"], "--seeds '1;2' are no numbers; give them with"),
        (["verify", "OUT", "--reference", "tiny", "--prompts", "99"], "99 prompts are not to be had; give 1 to"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    done = turbo_webnn(*[word.replace("OUT", out) for word in words])
    assert done.returncode == 2
    assert said.replace("OUT", out) in done.stderr
    assert "Traceback" not in done.stderr
    if words:
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_replaced_by_mistake(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    done = turbo_webnn("export", "tiny", "-o", mine)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "exists; give --overwrite" in done.stderr
    done = turbo_webnn("export", "tiny", "-o", mine, "--overwrite")
    assert "not ours to replace" in done.stderr
    assert (mine / "thesis.txt").read_text() == "years of work"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A copy of `tiny`, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "checkpoint"))


def _export_of(checkpoint: Path) -> str:
    out = checkpoint.parent / "out"
    done = turbo_webnn("export", checkpoint, "-o", out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == [checkpoint.name]
    return done.stderr


def test_a_damaged_checkpoint_is_told_in_one_line(damaged: Path) -> None:
    weights = damaged / "unet/diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "diffusion_pytorch_model.safetensors is truncated or corrupt" in _export_of(damaged)
    weights.rename(weights.with_suffix(".bin"))
    assert "holds its weights as a pickle" in _export_of(damaged)
    shutil.rmtree(damaged / "unet")
    assert "has no unet/config.json" in _export_of(damaged)


def test_numbers_that_are_none_are_told_by_name(damaged: Path) -> None:
    import safetensors.numpy

    path = damaged / "vae/diffusion_pytorch_model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors["decoder.conv_in.weight"][0, 0, 0, 0] = float("nan")
    safetensors.numpy.save_file(tensors, path)
    assert "tensor decoder.conv_in.weight holds NaN or Inf" in _export_of(damaged)


def test_a_config_of_another_shape_is_told_by_tensor(damaged: Path) -> None:
    path = damaged / "vae/config.json"
    config = json.loads(path.read_text())
    config["block_out_channels"][-1] *= 2
    path.write_text(json.dumps(config))
    said = _export_of(damaged)
    assert "has shape" in said
    assert "the config asks for" in said


def test_a_scheduler_that_predicts_something_else_is_refused(damaged: Path) -> None:
    path = damaged / "scheduler/scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "v_prediction"}))
    assert "predicts 'v_prediction'; served is 'epsilon'" in _export_of(damaged)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_leaves_nothing(tmp_path: Path, sent: signal.Signals) -> None:
    words = [sys.executable, "-m", "scripts.cli", "export", "tiny", "-o", str(tmp_path / "out")]
    # a shell that runs tests in the background would have our child ignore Ctrl-C
    heard = partial(signal.signal, sent, signal.SIG_DFL)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    waited = time.monotonic() + 60
    while not any(tmp_path.iterdir()) and time.monotonic() < waited:
        time.sleep(0.05)
    assert any(tmp_path.iterdir())
    process.send_signal(sent)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (2, "turbo-webnn: stopped before the end; nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_draw_and_json(tiny_fp16: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    done = turbo_webnn("generate", tiny_fp16, "a red circle " * 60, "-o", picture, "--steps", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    held = json.loads(done.stdout)
    assert held["pictures"] == [str(picture)]
    assert "circle" in held["prompt_cut"]
    with Image.open(picture) as drawn:
        assert (drawn.size, drawn.mode) == ((128, 128), "RGB")
        assert np.ptp(np.asarray(drawn)) > 20  # not flat
    again = tmp_path / "again.png"
    turbo_webnn("generate", tiny_fp16, "a cat", "-o", again, "--image", picture, "--strength", "0.5", "--steps", "2")
    assert again.is_file()
    failed = turbo_webnn("generate", tiny_fp16, "a cat", "-o", again, "--provider", "cuda", "--json")
    assert failed.returncode == 2
    assert "onnxruntime" in json.loads(failed.stdout)["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "5"], "5 steps"),
        (["--image", "PICTURE", "--strength", "0.4"], "strength"),
        (["--image", "missing.png"], "missing.png"),
        (["--provider", "tpu"], "tpu"),
    ],
)
def test_a_request_that_cannot_be_drawn_is_one_line(
    tiny_fp16: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    picture = tmp_path / "in.png"
    Image.new("RGB", (9, 5)).save(picture)
    words = [word.replace("PICTURE", str(picture)) for word in words]
    done = turbo_webnn("generate", tiny_fp16, "a cat", "-o", tmp_path / "out.png", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_verify_passes_against_its_own_checkpoint(tiny_fp16: Path, tiny_fp32: Path) -> None:
    components = {"text_encoder", "unet", "vae_decoder", "vae_encoder"}
    asked = ("--steps", "1,2", "--prompts", "2", "--seeds", "3,4", "--trace")
    for bundle, words, drawn, floors in ((tiny_fp16, asked, 9, {*components, "pipeline"}), (tiny_fp32, (), 4, set())):
        done = turbo_webnn("verify", bundle, "--reference", "tiny", "--json", *words)
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
    done = turbo_webnn("verify", tiny_fp16, "--reference", damaged)
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
    done = turbo_webnn("export", "tiny", "--vae", retuned, "-o", bundle, "--height", "64", "--width", "64", "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)["manifest"]
    assert manifest["source"]["vae"] == {"name": "vae", "revision": None, "variant": None, "license": None}
    assert manifest["scaling_factor"] == 0.125
    kept = {component: held["float32_parts"] for component, held in manifest["components"].items()}
    assert kept["vae_decoder"][name] > 65504
    assert not kept["text_encoder"] | kept["unet"] | kept["vae_encoder"]
    done = turbo_webnn("verify", bundle, "--reference", "tiny", "--vae", retuned, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["reference"]["vae"]["name"] == "vae"
    assert turbo_webnn("verify", bundle, "--reference", "tiny").returncode == 1  # against its own VAE


def test_check_by_the_rules_needs_no_node(tiny_fp16: Path) -> None:
    done = turbo_webnn("check", tiny_fp16, "--rules-only", "--json")
    assert done.returncode == 0, done.stdout
    assert all(component["whole"] for component in json.loads(done.stdout).values())
