"""An error that drawing with the bundle shares with this project's own drawing in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from turbo_webnn import verify
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.draw.drawer import Drawer
from turbo_webnn.runtime.verification.references import modules_reference
from turbo_webnn.runtime.verification.report import ParityReport

VERIFY = "turbo_webnn.runtime.verification.verify"


def compared(bundle: Path) -> ParityReport:
    return verify(Bundle.open(bundle), open_source("tiny"), steps=(1,), provider="cpu")


@pytest.fixture
def wrong_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents are scaled twice before they are decoded, with the bundle and with single modules alike."""
    decode = Drawer.decode

    def decode_rescaled(self: Drawer[Any], latents: Any) -> Any:
        return decode(self, self.tensors.scale(latents, 1 / self.facts.scaling_factor))

    monkeypatch.setattr(Drawer, "decode", decode_rescaled)


@pytest.mark.usefixtures("wrong_scale")
def test_the_pictures_of_diffusers_show_it(tiny_fp16: Path) -> None:
    report = compared(tiny_fp16)
    assert not report.passed
    assert {row.component for row in report.rows if not row.passed} == {"pipeline"}
    assert report.to_json()["compared_with"].startswith("StableDiffusionPipeline of diffusers ")


@pytest.mark.usefixtures("wrong_scale")
def test_the_modules_one_by_one_do_not(tiny_fp16: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_by_one(source: Source, size: Size) -> Any:
        return modules_reference(source, size, "fp32")

    monkeypatch.setattr(f"{VERIFY}.source_reference", one_by_one)
    assert all(row.passed for row in compared(tiny_fp16).rows)


def test_a_true_bundle_passes(tiny_fp16: Path) -> None:
    assert compared(tiny_fp16).passed
