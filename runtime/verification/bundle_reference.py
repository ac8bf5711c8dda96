"""Another bundle in PyTorch's place: what a quantised bundle loses against the float16 one of the same checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.draw.conditions import TokenIds
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.draw.text import PromptTokenizer, tokenizers_of
from turbo_webnn.runtime.ort.sessions import Array, Provider, Settings
from turbo_webnn.runtime.verification.evidence import Recorded


class BundleReference(Stages, Recorded):
    """A bundle that tells what passes through its components.

    Raises:
        RequestError: where it serves another size than `size`, and as Stages does.
    """

    def __init__(self, bundle: Bundle, size: Size, provider: Provider | Settings | None = None) -> None:
        super().__init__(bundle, provider)
        if bundle.manifest.size != size:
            raise RequestError(f"{bundle.folder} draws {_said(bundle.manifest.size)}", f"give one of {_said(size)}")

    def token_ids(self, prompt: str) -> TokenIds:
        """The ids [1, 77] of `prompt` by text encoder."""
        return {encoder: tokenizer.encode(prompt).ids for encoder, tokenizer in self._tokenizers.items()}

    @cached_property
    def _tokenizers(self) -> dict[str, PromptTokenizer]:
        return tokenizers_of(self.bundle)

    def run(self, component: str, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        """All outputs of `component`, by name; they and the inputs are told."""
        outputs = super().run(component, inputs)
        if self.record is not None:
            self.record(component, inputs, outputs)
        return outputs


def _said(size: Size) -> str:
    return f"{size.batch} × {size.height} × {size.width}"
