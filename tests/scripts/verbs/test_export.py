"""`export`: what it refuses, and what it leaves where it is stopped."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import run_command
from turbo_webnn.models.source import EMBEDDED

TINY = EMBEDDED["tiny"]


def test_what_exists_is_not_replaced_by_mistake(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    done = run_command("export", "tiny", "-o", mine)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "exists; give --overwrite" in done.stderr
    done = run_command("export", "tiny", "-o", mine, "--overwrite")
    assert "not ours to replace" in done.stderr
    assert (mine / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layout", "ort-web-demo"], "the layout ort-web-demo has no vae_encoder; drop --sample-posterior"),
        (["--component", "unet"], "is about the vae_encoder, which is not exported; drop it, or add --component vae_"),
    ],
)
def test_there_is_nothing_to_sample_without_an_encoder(tmp_path: Path, words: list[str], said: str) -> None:
    done = run_command("export", "tiny", "-o", tmp_path / "out", "--sample-posterior", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def _export_of(checkpoint: Path) -> str:
    out = checkpoint.parent / "out"
    done = run_command("export", checkpoint, "-o", out)
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
    words = [sys.executable, "-m", "turbo_webnn.scripts.cli", "export", "tiny", "-o", str(tmp_path / "out")]
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
