from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from models.bundle import Bundle
from models.component import Size
from models.errors import RequestError
from models.precision import Precision
from models.source import Source
from runtime import verify
from runtime.conditions import TokenIds
from runtime.evidence import Recorder
from runtime.noise import Float32Array
from runtime.report import PARITY
from runtime.sessions import Array
from runtime.stages import Stages
from runtime.text import PromptTokenizer
from tests.runtime.conftest import MakeBundle

SOURCE = Source("reference", Path("reference"))
PROMPT = "a cat"


class Stand(Stages):
    """In PyTorch's place: the miniature bundle itself, wrong by `error` in one component."""

    def __init__(self, bundle: Bundle, wrong: str = "", error: float = 0.0) -> None:
        super().__init__(bundle, "cpu")
        self.record: Recorder | None = None
        self.loaded: list[set[str]] = []
        self._wrong, self._error = wrong, error

    def token_ids(self, prompt: str) -> TokenIds:
        ids = PromptTokenizer(self.bundle, "tokenizer").encode(prompt).ids
        return {"text_encoder": ids + (self._wrong == "tokenizer")}

    def run(self, component: str, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        outputs = super().run(component, inputs)
        self.loaded.append(set(self._sessions))
        for output in outputs.values():
            output += np.float32(self._error * (component == self._wrong))
        if self.record is not None:
            self.record(component, inputs, outputs)
        return outputs


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> list[Stand]:
    """Where a test puts the reference of its verify."""
    stands: list[Stand] = []
    module = sys.modules["runtime.verify"]  # the package gives the function of that name
    monkeypatch.setattr(module, "_reference", lambda reference, size, provider: stands[0])
    return stands


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_bundle_that_agrees_passes(make_bundle: MakeBundle, stand: list[Stand], precision: Precision) -> None:
    bundle = make_bundle(precision, Size(2, 16, 24))
    stand.append(Stand(bundle))
    report = verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert report.passed
    cases = [(row.component, row.case) for row in report.rows]
    assert cases == [
        ("tokenizer", "'a cat'"),
        ("tokenizer", "''"),
        ("tokenizer", f"{' '.join([PROMPT] * 77)[:77]!r}…, to be cut"),
        ("text_encoder", "text to image, 4 steps, seed 0, 'a cat'"),
        ("vae_encoder", "image to image at 0.5, 2 steps, seed 0, 'a cat'"),
        *(
            ("unet", f"timestep {timestep}, text to image, 4 steps, seed 0, 'a cat'")
            for timestep in (1400, 400, 150, 50)
        ),
        ("vae_decoder", "text to image, 4 steps, seed 0, 'a cat'"),
        ("latents", "text to image, 1 step, seed 0, 'a cat'"),
        ("pipeline", "text to image, 1 step, seed 0, 'a cat'"),
        ("latents", "text to image, 4 steps, seed 0, 'a cat'"),
        ("pipeline", "text to image, 4 steps, seed 0, 'a cat'"),
        ("latents", "image to image at 0.5, 2 steps, seed 0, 'a cat'"),
        ("pipeline", "image to image at 0.5, 2 steps, seed 0, 'a cat'"),
    ]


@pytest.mark.parametrize("wrong", ["text_encoder", "unet", "vae_decoder", "vae_encoder", "tokenizer"])
def test_the_component_that_is_wrong_is_named(make_bundle: MakeBundle, stand: list[Stand], wrong: str) -> None:
    bundle = make_bundle()
    stand.append(Stand(bundle, wrong, 0.1))
    report = verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert not report.passed
    failed = {row.component for row in report.rows if not row.passed}
    assert failed - {"pipeline"} == {wrong}
    assert ("pipeline" in failed) == (wrong != "tokenizer")


@pytest.mark.parametrize(
    ("components", "drawn"),
    [
        (("unet",), {"unet"}),
        (("text_encoder",), {"text_encoder"}),
        (("vae_encoder",), {"vae_encoder"}),
        (("vae_decoder", "unet"), {"unet", "vae_decoder"}),
        (("text_encoder", "unet", "vae_decoder"), {"text_encoder", "unet", "vae_decoder", "latents", "pipeline"}),
    ],
)
def test_what_the_bundle_lacks_is_left_out(
    make_bundle: MakeBundle, stand: list[Stand], components: tuple[str, ...], drawn: set[str]
) -> None:
    stand.append(Stand(make_bundle()))
    bundle = make_bundle(components=components)
    report = verify(bundle, SOURCE, prompts=[PROMPT], steps=(1, 2), provider="cpu")
    assert report.passed
    assert {row.component for row in report.rows} - {"tokenizer"} == drawn


def test_one_component_is_loaded_at_a_time(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle()
    stand.append(Stand(bundle))
    verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert all(len(loaded) == 1 for loaded in stand[0].loaded)


def test_the_report_is_written_into_the_bundle(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle()
    stand.append(Stand(bundle, "unet", float("nan")))
    verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    written = json.loads((bundle.folder / PARITY).read_text(), parse_constant=pytest.fail)
    assert written["passed"] is False
    assert written["reference"]["name"] == "reference"
    assert written["environment"]["onnxruntime"]
    assert written["provider"] == "cpu"
    assert {row["component"]: row["gate"] for row in written["rows"]}["unet"] == {"psnr": 80.0}
    assert [path.name for path in (bundle.folder / PARITY).parent.iterdir()] == ["parity.json"]


def test_progress_tells_both_sides(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle(components=("text_encoder",))
    stand.append(Stand(bundle))
    told: list[tuple[str, int, int]] = []
    verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu", progress=lambda *report: told.append(report))
    assert told == [(name, done, 1) for name in ("PyTorch text_encoder", "text_encoder") for done in (0, 1)]


def test_a_bundle_is_compared_with_another(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("fp16")
    report = verify(bundle, bundle, prompts=[PROMPT], provider="cpu")
    assert report.passed
    assert {row.figures.max_abs for row in report.rows} == {0.0}
    assert {row.component for row in report.rows} == {
        *("tokenizer", "text_encoder", "unet", "vae_decoder", "vae_encoder", "latents", "pipeline")
    }
    assert report.reference["name"] == "miniature in fp16"


def test_a_bundle_of_another_size_is_no_reference(make_bundle: MakeBundle) -> None:
    other, bundle = make_bundle(size=Size(1, 24, 16)), make_bundle()
    with pytest.raises(RequestError, match="draws 1 × 24 × 16; give one of 1 × 16 × 24"):
        verify(bundle, other, prompts=[PROMPT], provider="cpu")


def test_steps_without_a_schedule(make_bundle: MakeBundle) -> None:
    with pytest.raises(RequestError, match="no schedule of 3 steps"):
        verify(make_bundle(), SOURCE, steps=(1, 3), provider="cpu")
