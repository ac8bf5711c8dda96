"""Another bundle as the reference: it shows the error of a quantised bundle against the float16 one."""

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
from turbo_webnn.runtime.verification.evidence import RecordingSide


class BundleReference(Stages, RecordingSide):
    """A bundle that records the inputs and outputs of its components.

    Args:
        bundle: the reference.
        size: the size of the bundle to verify.
        provider: where to run it, or all settings.

    Raises:
        RequestError: where the bundle has another size than `size`, and as Stages does.
    """

    description = "another bundle"

    def __init__(self, bundle: Bundle, size: Size, provider: Provider | Settings | None = None) -> None:
        super().__init__(bundle, provider)
        if bundle.manifest.size != size:
            raise RequestError(
                f"{bundle.folder} draws {_size_text(bundle.manifest.size)}", f"give one of {_size_text(size)}"
            )

    def token_ids(self, prompt: str) -> TokenIds:
        """The token ids [1, 77] of `prompt`, by text encoder."""
        return {encoder: tokenizer.encode(prompt).ids for encoder, tokenizer in self._tokenizers.items()}

    @cached_property
    def _tokenizers(self) -> dict[str, PromptTokenizer]:
        return tokenizers_of(self.bundle)

    def run(self, component: str, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        """Run `component`, record its inputs and outputs, and return all outputs by name."""
        outputs = super().run(component, inputs)
        if self.record is not None:
            contract = self.bundle.family.component(component).outputs
            self.record(component, inputs, {spec.name: outputs[spec.name] for spec in contract})
        return outputs


def _size_text(size: Size) -> str:
    return f"{size.batch} × {size.height} × {size.width}"
