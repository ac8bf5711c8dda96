"""A LoRA file, and the kinds of adapters that are not served."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from turbo_webnn.models.checkpoint.safetensors_file import Header, read_header
from turbo_webnn.models.digests import sha256_of_all
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable
from turbo_webnn.models.provenance import LoraProvenance

_METADATA = "lora_adapter_metadata"
"""The entry of a file's metadata in which diffusers' `save_lora_weights` states PEFT's config."""

DAMAGED = "the file is damaged: download it anew"
"""What would be right if numbers or shapes in a file are impossible."""

_UNSERVED = (
    (r"dora_scale|lora_magnitude_vector", "a DoRA"),
    (r"\.hada_", "a LoHa"),
    (r"\.lokr_", "a LoKr"),
    (r"\.oft_|\.boft_", "an OFT adapter"),
    (r"\.lora_mid\.", "a LoCon in Tucker form"),
    (r"\.on_input$|\.ia3_", "an IA3 adapter"),
    (r"\.diff(_b)?$", "an adapter with whole differences of weights"),
    (r"lora_controlnet", "a control LoRA"),
    (r"\.(lora_B|lora_up|up)\.bias$", "a LoRA with biases"),
    (r"^(emb_params|clip_[lg]|bundle_emb\.)", "an adapter with embeddings of words"),
)
"""Patterns of tensor names, and the adapters that have them."""


@dataclass(frozen=True)
class Lora:
    """A LoRA and its weight.

    Attributes:
        name: as the user wrote it; for a local file without the folders above it.
        path: the file.
        weight: the factor of its differences.
        revision: the commit on the hub, or None.
        license: the licence that the model card states, or None.
        remote: the header of a file that is not downloaded yet; None for a file on this machine.
    """

    name: str
    path: Path
    weight: float = 1.0
    revision: str | None = None
    license: str | None = None
    remote: Header | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise RequestError(f"the weight {self.weight} of {self.name} is no number", "give one, as 0.8")

    @cached_property
    def header(self) -> Header:
        """The header of the file; RequestError if it cannot be read."""
        return self.remote or read_header(self.path)

    @property
    def provenance(self) -> LoraProvenance:
        """The file, as a bundle states it; its sha256 is computed when it is first needed."""
        return {
            "name": self.name,
            "sha256": self._sha256,
            "weight": self.weight,
            "revision": self.revision,
            "license": self.license,
        }

    @cached_property
    def _sha256(self) -> str:
        return sha256_of_all([self.path])[self.path]

    def config(self, prefix: str) -> Mapping[str, Any]:
        """PEFT's config for the component `prefix`, which newer files of diffusers state; empty in other files.

        Raises:
            RequestError: if the file's metadata cannot be read.
        """
        text = self.header.metadata.get(_METADATA)
        if text is None:
            return {}
        try:
            config = json.loads(text)
        except ValueError:
            config = None
        if not isinstance(config, dict):
            raise RequestError(f"{self.name} has metadata that cannot be read", "download it anew")
        start = f"{prefix}."
        return {key.removeprefix(start): value for key, value in config.items() if key.startswith(start)}


def require_lora(names: Iterable[str], where: str) -> None:
    """Refuse the file `where` if it is no LoRA of two matrices for each weight.

    Args:
        names: the names of its tensors.
        where: the file, for messages.

    Raises:
        RequestError: names the kind of adapter, or what the file lacks.
    """
    given = sorted(names)
    for pattern, kind in _UNSERVED:
        if any(re.search(pattern, name) for name in given):
            raise RequestError(f"{where} is {kind}", "give a LoRA, or a checkpoint that it is merged into")
    if not any("lora" in name for name in given):
        first = printable(min(given, default="none"))
        raise RequestError(f"{where} is no LoRA (its first tensor is {first})", "give a LoRA as .safetensors")
