"""In PyTorch's place: a miniature bundle itself, wrong on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.conditions import TokenIds
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.draw.text import PromptTokenizer
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.verification.evidence import Recorder, RecordingSide


class Stand(Stages, RecordingSide):
    """`bundle`, with `error` added to all that the component `wrong` gives."""

    description = "a stand-in"

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


def let_stand_in(monkeypatch: pytest.MonkeyPatch, stands: Sequence[Stand]) -> None:
    """The first of `stands` for PyTorch in float32; the second in float16, or else a bundle that is not wrong."""

    def modules(source: Source, size: Size, precision: Precision) -> Stand:
        half = stands[1] if len(stands) > 1 else Stand(stands[0].bundle)
        return half if precision == "fp16" else stands[0]

    verify = "turbo_webnn.runtime.verification.verify"
    monkeypatch.setattr(f"{verify}.source_reference", lambda source, size: stands[0])
    monkeypatch.setattr(f"{verify}.modules_reference", modules)
