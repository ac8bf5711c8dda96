"""The command as users meet it: every mistake is one line and exit 2, and nothing is left half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_command
from turbo_webnn.models.source import EMBEDDED

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
    done = run_command(*[word.replace("OUT", out) for word in words])
    assert done.returncode == 2
    assert said.replace("OUT", out) in done.stderr
    assert "Traceback" not in done.stderr
    if words:
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
